"""Pieces of image models that more than one estimator builds from."""

from math import prod

import torch

from skflow.networks.convolutional import ConvNet
from skflow.transforms import Affine, Coupling

ImageShape = tuple[int, int, int]


def image_scales(shape: ImageShape, most: int) -> list[ImageShape]:
    """Shapes of the scales: each has half the height and width of the one before."""
    shapes = [shape]
    while len(shapes) < most and shapes[-1][1] % 2 == 0 and shapes[-1][2] % 2 == 0:
        channels, height, width = shapes[-1]
        shapes.append((4 * channels, height // 2, width // 2))
    return shapes


def glow_coupling(
    shape: ImageShape, n_hidden_channels: int, generator: torch.Generator | None
) -> Coupling:
    """Half of the channels move, affinely, given the others around them."""
    channels, height, width = shape
    kept = channels // 2
    network = ConvNet(
        (kept, height, width),
        Affine().n_parameters,
        channels - kept,
        n_hidden_channels,
        generator=generator,
    )
    return Coupling(prod(shape), Affine(), n_kept=kept * height * width, network=network)
