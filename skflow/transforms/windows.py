"""The windows of an image, side by side: what a convolution and a pooling see."""

from collections.abc import Callable

import torch
from torch import Tensor

from skflow.distributions import Decoder
from skflow.transforms.augment import Augment, ConstantScale
from skflow.transforms.base import Transform
from skflow.transforms.funnel import Funnel
from skflow.transforms.linear import Permutation
from skflow.transforms.tile import INITIAL_SCALE, Tile

Pair = tuple[int, int]

DecoderFactory = Callable[[int, int], Decoder]
"""From the numbers of dropped columns and of context columns to a decoder."""


def window_pixels(
    image_shape: tuple[int, int, int], kernel_size: Pair, stride: Pair, padding: Pair = (0, 0)
) -> Tensor:
    """Which pixel is where in which window: (channels, places in it, windows down, windows across).

    Pixels are numbered as the columns of a row (channels, height, width), those of the padding
    from there on.
    """
    n_channels, height, width = image_shape
    top, left = padding
    n_pixels = n_channels * height * width
    padded = torch.full((n_channels, height + 2 * top, width + 2 * left), -1)
    inner = padded[:, top : top + height, left : left + width]
    inner.copy_(torch.arange(n_pixels).view(image_shape))
    outside = padded < 0
    padded[outside] = torch.arange(n_pixels, n_pixels + int(outside.sum()))
    windows = padded.unfold(1, kernel_size[0], stride[0]).unfold(2, kernel_size[1], stride[1])
    return windows.permute(0, 3, 4, 1, 2).flatten(1, 2)


def lay_out(n_pixels: int, order: Tensor, decoder: DecoderFactory) -> list[Transform]:
    """Transforms from flat images to the pixels in this order, each as often as it occurs.

    Pixels that do not occur are dropped, which is exact. Pixels beyond ``n_pixels`` are noise, on
    the mean path zero, and copies differ by noise: with either the likelihood is a bound.
    """
    used = order.unique()
    n_kept = int((used < n_pixels).sum())
    n_padding = len(used) - n_kept
    steps: list[Transform] = []
    if n_kept < n_pixels:
        kept = used[:n_kept].tolist()
        steps.append(Funnel(n_pixels, kept, decoder(n_pixels - n_kept, n_kept)))
    if n_padding:
        noise = ConstantScale(n_padding, INITIAL_SCALE)
        steps.append(Augment(n_kept, n_padding, network=noise))
    columns = torch.searchsorted(used, order)
    if len(columns) > len(used):
        steps.append(Tile(len(used), columns))
    elif not torch.equal(columns, torch.arange(len(used))):
        steps.append(Permutation(len(used), order=columns))
    return steps
