"""The layers of FlowifiedMLP, built from a plan of plain values and the start they begin at."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from skflow.architectures.decoders import initialized_decoder, split
from skflow.distributions import FlowBase, StandardNormal
from skflow.kernels.families import RationalQuadratic
from skflow.transforms import (
    ActNorm,
    Augment,
    Compose,
    Elementwise,
    Funnel,
    LeakyReLU,
    Transform,
    make_rotation,
    random_rotation,
)
from skflow.transforms.flowified import flowified_convolution

NEGATIVE_SLOPE = 0.5  # of the leaky ReLU in the paper's code
STRIDE = 2  # of convolutions
PLAIN_KERNEL = 2  # windows side by side

Built = tuple[Compose, FlowBase]


def _activation(plan: dict, n_features: int, n_positions: int = 1) -> Transform:
    if plan["activation"] == "leaky_relu":
        return LeakyReLU(NEGATIVE_SLOPE)
    shared = n_features if plan["activation"] == "shared_spline" else n_positions
    return Elementwise(n_features, RationalQuadratic(plan["n_bins"]), shared)


def flowified_layers(
    plan: dict,
    base: FlowBase,
    generator: torch.Generator | None,
    *,
    ordered: bool,
) -> Built:
    """Linear maps by their singular values, dropping or adding columns, activations between.

    The first rotation of every map takes back the second one of the map before, which is random
    and turns the directions that the activation bends; so in the beginning all of it is a rotation
    to the principal axes, and what is dropped comes from the base.
    """
    steps: list[Transform] = []
    frame = torch.eye(base.n_features, dtype=torch.float64)  # present columns = base's @ frame
    sizes, hidden = plan["hidden_layer_sizes"], plan["decoder_hidden_layer_sizes"]
    for position, n_out in enumerate(sizes):
        n_in = base.n_features
        unturned = torch.eye(n_in, dtype=torch.float64)
        axes: Tensor | None = unturned
        norm = ActNorm(n_out)
        middle: list[Transform] = [norm]
        if n_out < n_in:
            turned, axes = base.on_principal_axes(ordered=ordered)
            base, decoder = split(turned, n_out, plan["decoder"], hidden, generator)
            middle = [Funnel(n_in, n_out, decoder, norm)]
            ordered = True
        elif n_out > n_in:
            middle = [Augment(n_in, n_out - n_in, hidden, generator=generator), norm]
            base = base.widened(n_out - n_in)
        if axes is None and position == 0:
            steps.append(make_rotation(n_in, generator=generator))  # to the data's own axes
        else:
            steps.append(_rotation(frame.T @ (unturned if axes is None else axes), generator))
        steps += middle
        last = position == len(sizes) - 1
        frame = torch.eye(n_out, dtype=torch.float64)
        if not last:
            frame = random_rotation(n_out, generator)
        if not (last and base.isotropic):
            steps.append(_rotation(frame, generator))
        if not last:
            steps.append(_activation(plan, n_out))
    return Compose(steps), base


def _rotation(matrix: Tensor, generator: torch.Generator | None) -> Transform:
    return make_rotation(len(matrix), fixed=matrix, generator=generator)


def _n_windows(size: int, kernel_size: int) -> int:
    """Windows that a convolution has along so many pixels."""
    return (size - kernel_size) // STRIDE + 1


def default_channels(shape: Sequence[int], kernel_size: int) -> list[int]:
    """As many as a window has values, then half as many, as long as the image can be halved."""
    channels: list[int] = []
    n, height, width = shape
    while min(height, width) >= kernel_size and len(channels) < 2:
        if kernel_size == PLAIN_KERNEL and (height % STRIDE or width % STRIDE):
            break  # a row of pixels would be left over
        n = n * kernel_size**2 // (1 + len(channels))
        channels.append(n)
        height, width = (_n_windows(size, kernel_size) for size in (height, width))
    return channels


def convolved_width(
    shape: Sequence[int], channels: Sequence[int], kernel_size: int
) -> tuple[int, list[str]]:
    """Columns behind the convolutions, and in words where they widen.

    Raises
    ------
    ValueError
        If there is no such convolution.
    """
    if min(channels, default=1) < 1:
        raise ValueError(f"n_channels={channels} must be positive.")
    widens: list[str] = []
    n, *size = shape
    if channels and kernel_size > PLAIN_KERNEL:
        widens.append(f"kernel_size={kernel_size} makes windows overlap")
    for n_out in channels:
        if n_out > n * kernel_size**2:
            widens.append(f"n_channels={channels} widens from {n * kernel_size**2}")
        size = [_n_windows(one, kernel_size) for one in size]
        if min(size) < 1:
            raise ValueError(
                f"image_shape={shape} is too small for {len(channels)} convolutions of "
                f"kernel_size={kernel_size}; give fewer n_channels."
            )
        n = n_out
    return n * prod(size), widens


def image_layers(plan: dict, generator: torch.Generator | None) -> Built:
    """Convolutions with an activation after each, then linear maps.

    Pixels are no columns to start a base from: these layers take their first axes, scales and
    regressions from the images themselves, when they are initialised.
    """
    shape = tuple(plan["image_shape"])
    kernel_size, hidden = plan["kernel_size"], plan["decoder_hidden_layer_sizes"]
    options = {"hidden_layer_sizes": hidden, "generator": generator}
    steps: list[Transform] = []
    for n_channels in plan["n_channels"]:
        layer = flowified_convolution(shape, n_channels, kernel_size, STRIDE, **options)
        shape = (n_channels, *((size - kernel_size) // STRIDE + 1 for size in shape[1:]))
        steps += [layer, _activation(plan, prod(shape), shape[1] * shape[2])]
    width = prod(shape)
    n_kept = min(width, plan["hidden_layer_sizes"][0])
    steps.append(make_rotation(width, generator=generator))
    norm: Transform = ActNorm(n_kept)
    if n_kept < width:
        decoder = initialized_decoder(plan["decoder"], hidden, generator)
        norm = Funnel(width, n_kept, decoder(width - n_kept, n_kept), norm)
    # From here on the columns are whitened principal components, the leading ones first.
    base = StandardNormal(n_kept).double()
    dense, base = flowified_layers(plan, base, generator, ordered=True)
    return Compose([*steps, norm, dense]), base
