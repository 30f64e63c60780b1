"""Layers of ordinary networks as transforms: linear maps, convolutions and poolings.

All of them on flat rows. A linear map is ``W = U diag(s) V^T``: a rotation, then columns are
dropped or added and scaled, then another rotation. A convolution is that at every position, on
windows that were made separate before.

References
----------
Máté, Klein, Golling, Fleuret (2022), "Flowification: Everything is a normalizing flow",
arXiv:2205.15209.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from skflow.distributions import Decoder, LinearDecoder, LocationScale, StandardNormal
from skflow.networks.convolutional import ConvNet
from skflow.networks.mlp import MLP
from skflow.transforms.augment import Augment
from skflow.transforms.base import Transform
from skflow.transforms.compose import Compose
from skflow.transforms.elementwise import ActNorm
from skflow.transforms.funnel import Funnel
from skflow.transforms.pooling import MaxPool
from skflow.transforms.rotation import OrthogonalTransform, make_rotation
from skflow.transforms.standardized_decoder import StandardizedDecoder
from skflow.transforms.windows import DecoderFactory, Pair, lay_out, window_pixels

MAX_CONDITION = 1e6  # of an imported matrix: in float32 an inverse by a larger one is only noise
MAX_REGRESSION = 1024  # columns; a decoder's linear regression is quadratic in their number


def gaussian_decoder(
    hidden_layer_sizes: Sequence[int] = (64, 64), generator: torch.Generator | None = None
) -> DecoderFactory:
    """Decoders with a diagonal Gaussian given by a perceptron, on the residuals of a regression."""

    def decoder(n_dropped: int, n_context: int) -> Decoder:
        noise = StandardNormal(n_dropped)
        gaussian = LocationScale(noise, n_context, hidden_layer_sizes, generator=generator)
        if n_dropped + n_context <= MAX_REGRESSION:
            return LinearDecoder(gaussian, n_context)
        return StandardizedDecoder(gaussian)

    return decoder


def _pair(value: int | Pair) -> Pair:
    return (value, value) if isinstance(value, int) else value


def _image_network(
    shape: tuple[int, int, int],
    n_channels_out: int,
    hidden_layer_sizes: Sequence[int],
    generator: torch.Generator | None,
) -> ConvNet:
    """Means and log-scales of further channels; as wide as the widest hidden layer."""
    width = max(hidden_layer_sizes, default=n_channels_out)
    return ConvNet(shape, 2, n_channels_out, width, generator=generator)


def _image_decoder(
    shape: tuple[int, int, int],
    n_dropped: int,
    hidden_layer_sizes: Sequence[int],
    generator: torch.Generator | None,
) -> Decoder:
    """A diagonal Gaussian of further channels given an image, by a convolutional network."""
    n_positions = shape[1] * shape[2]
    network = _image_network(shape, n_dropped, hidden_layer_sizes, generator)
    noise = StandardNormal(n_dropped * n_positions)
    return StandardizedDecoder(LocationScale(noise, math.prod(shape), network=network), n_positions)


def _rotation_by(
    matrix: Tensor, n_positions: int, generator: torch.Generator | None
) -> OrthogonalTransform:
    """``x @ matrix`` at first, in the precision of the matrix."""
    rotation = make_rotation(len(matrix) * n_positions, n_positions, matrix, generator)
    rotation = rotation.to(matrix.dtype)
    rotation.fixed.copy_(matrix)
    return rotation


def _singular_values(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Square U, singular values and square V^T in float64, of a matrix of full rank."""
    u, s, vt = torch.linalg.svd(weight.detach().cpu().double())
    if not s[0] < MAX_CONDITION * s[-1]:
        raise ValueError(
            f"the weight, as a matrix of shape {tuple(weight.shape)}, has singular values from "
            f"{s[-1]:.2g} to {s[0]:.2g}: it is rank-deficient or nearly so (condition number "
            f"above {MAX_CONDITION:.0e}), so that directions are lost and there is no density"
        )
    return u, s, vt


class _MapSize(NamedTuple):
    """Channels before and after a linear map, and the positions at which it is applied."""

    n_in: int
    n_out: int
    n_positions: int


def _linear_steps(
    size: _MapSize,
    weight: Tensor | None,
    bias: Tensor | None,
    decoder: DecoderFactory,
    network: nn.Module | None,
    generator: torch.Generator | None,
) -> list[Transform]:
    """``z = W x + b`` at every position, rows laid out as (channels, positions)."""
    n_in, n_out, n_positions = size
    first: Transform
    last: Transform
    if weight is None:
        first = make_rotation(n_in * n_positions, n_positions, None, generator)
        norm = ActNorm(n_out * n_positions, n_positions)
        last = make_rotation(n_out * n_positions, n_positions, torch.eye(n_out), generator)
    else:
        u, s, vt = _singular_values(weight)
        scale = torch.cat([s, s.new_ones(n_out - len(s))])
        shift = torch.zeros_like(scale)
        if bias is not None:
            shift = -(bias.detach().cpu().double() @ u) / scale
        first = _rotation_by(vt.T, n_positions, generator)
        norm = ActNorm(n_out * n_positions, n_positions, shift=shift, scale=scale)
        last = _rotation_by(u.T, n_positions, generator)
    middle: list[Transform] = [norm]
    if n_out < n_in:
        dropped = decoder((n_in - n_out) * n_positions, n_out * n_positions)
        middle = [Funnel(n_in * n_positions, n_out * n_positions, dropped, norm)]
    elif n_out > n_in:
        added = (n_out - n_in) * n_positions
        middle = [Augment(n_in * n_positions, added, network=network), norm]
    return [first, *middle, last]


def flowified_linear(
    n_in: int,
    n_out: int,
    *,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    decoder: DecoderFactory | None = None,
    hidden_layer_sizes: Sequence[int] = (64, 64),
    generator: torch.Generator | None = None,
) -> Compose:
    r"""``z = W x + b`` as a rotation, a `Funnel` or an `Augment` with an `ActNorm`, a rotation.

    Exact unless ``n_out > n_in``.

    Parameters
    ----------
    n_in, n_out : int
    weight : Tensor of shape (n_out, n_in), optional
        W of full rank; its dtype and device are those of the result. Without it, `initialize`
        takes the first rotation from the principal axes of the data and the scales from their
        spread: reductions then keep the directions of the largest variance.
    bias : Tensor of shape (n_out,), optional
        b of an imported weight.
    decoder : callable, optional
        From (n_dropped, n_context) to the `Decoder` of dropped columns; by default
        `gaussian_decoder`.
    hidden_layer_sizes : sequence of int, default=(64, 64)
        Of the perceptrons that give the default decoder and the noise of a widening.
    generator : torch.Generator, optional
        Source of initial weights.

    References
    ----------
    Máté, Klein, Golling, Fleuret (2022), "Flowification: Everything is a normalizing flow",
    arXiv:2205.15209. There, widening noise is uniform, and the bound never closes.

    Examples
    --------
    >>> import torch
    >>> from skflow.transforms.flowified import flowified_linear
    >>> layer = flowified_linear(3, 2, weight=torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]]))
    >>> z, contribution = layer.eval()(torch.tensor([[1.0, 1.0, 1.0]]))
    >>> z
    tensor([[3.0000, 2.0000]], grad_fn=<...>)
    """
    if decoder is None:
        decoder = gaussian_decoder(hidden_layer_sizes, generator)
    network = None
    if n_out > n_in:
        network = MLP(n_in, 2, n_out - n_in, hidden_layer_sizes, generator=generator)
    if weight is not None and weight.shape != (n_out, n_in):
        raise ValueError(f"expected a weight ({n_out}, {n_in}), got {tuple(weight.shape)}")
    layer = Compose(
        _linear_steps(_MapSize(n_in, n_out, 1), weight, bias, decoder, network, generator)
    )
    return layer if weight is None else layer.to(weight)


def flowified_convolution(
    image_shape: tuple[int, int, int],
    n_out: int,
    kernel_size: int | Pair,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    *,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    decoder: DecoderFactory | None = None,
    hidden_layer_sizes: Sequence[int] = (64, 64),
    generator: torch.Generator | None = None,
) -> Compose:
    """A convolution as the linear map of `flowified_linear` on every window.

    Pixels that no window covers are dropped, pixels of the padding are noise, zero on the mean
    path, and pixels that several windows share become copies (`Tile`). Exact without padding and
    overlaps, and if the layer does not widen: ``n_out`` is at most the size of a window over all
    channels.

    Parameters
    ----------
    image_shape : (int, int, int)
        Channels, height and width of the flat rows.
    n_out : int
        Channels of the result.
    kernel_size, stride, padding : int or (int, int)
        As in `torch.nn.Conv2d`.
    weight : Tensor of shape (n_out, n_channels, kernel height, kernel width), optional
    bias : Tensor of shape (n_out,), optional
    decoder, hidden_layer_sizes, generator
        See `flowified_linear`. What a position drops has by default a Gaussian given by a
        convolutional network.
    """
    kernel_size, stride, padding = _pair(kernel_size), _pair(stride), _pair(padding)
    n_channels = image_shape[0]
    if weight is not None and weight.shape != (n_out, n_channels, *kernel_size):
        raise ValueError(
            f"expected a weight {(n_out, n_channels, *kernel_size)}, got {tuple(weight.shape)}"
        )
    pixels = window_pixels(image_shape, kernel_size, stride, padding)
    height, width = pixels.shape[2:]
    n_in, n_positions = n_channels * pixels.shape[1], height * width
    network = None
    if n_out > n_in:
        network = _image_network((n_in, height, width), n_out - n_in, hidden_layer_sizes, generator)

    def image_decoder(n_dropped: int, n_context: int) -> Decoder:
        shape = n_context // n_positions, height, width
        return _image_decoder(shape, n_dropped // n_positions, hidden_layer_sizes, generator)

    layer = Compose(
        [
            *lay_out(
                math.prod(image_shape),
                pixels.flatten(),
                decoder or gaussian_decoder(hidden_layer_sizes, generator),
            ),
            *_linear_steps(
                _MapSize(n_in, n_out, n_positions),
                None if weight is None else weight.flatten(1),
                bias,
                decoder or image_decoder,
                network,
                generator,
            ),
        ]
    )
    return layer if weight is None else layer.to(weight)


def _cosine_basis(n: int) -> Tensor:
    """Orthonormal rows, the first one constant: the discrete cosine transform."""
    order, place = torch.arange(n, dtype=torch.float64)[:, None], torch.arange(n) + 0.5
    basis = torch.cos(math.pi * order * place / n) * math.sqrt(2 / n)
    basis[0] = 1 / math.sqrt(n)
    return basis


def flowified_average_pool(
    image_shape: tuple[int, int, int],
    kernel_size: int | Pair,
    stride: int | Pair,
    *,
    dtype: torch.dtype = torch.float32,
    decoder: DecoderFactory | None = None,
    hidden_layer_sizes: Sequence[int] = (64, 64),
    generator: torch.Generator | None = None,
) -> Compose:
    """Average pooling: a fixed cosine transform of every window, of which the constant is kept.

    Exact unless windows overlap.

    Parameters
    ----------
    image_shape, kernel_size, stride
        See `flowified_convolution`.
    dtype : torch.dtype
        Of the transform; float32 made into float64 later would not be that exact.
    decoder, hidden_layer_sizes, generator
        See `flowified_convolution`.
    """
    kernel_size, stride = _pair(kernel_size), _pair(stride)
    pixels = window_pixels(image_shape, kernel_size, stride)
    n_channels, size, height, width = pixels.shape
    n_kept = n_channels * height * width

    def image_decoder(n_dropped: int, n_context: int) -> Decoder:
        n_channels_out = n_dropped // (height * width)
        shape = n_channels, height, width
        return _image_decoder(shape, n_channels_out, hidden_layer_sizes, generator)

    basis = torch.kron(*(_cosine_basis(k) for k in kernel_size)).to(dtype)
    rotation = _rotation_by(basis.T, n_kept, generator)
    # The constant's coefficient is the average times the root of the window's size.
    norm = ActNorm(n_kept, n_kept, scale=torch.tensor([1 / math.sqrt(size)], dtype=dtype))
    for fixed in (rotation, norm):
        fixed.requires_grad_(False)
    pool: Transform = norm
    if size > 1:
        dropped = (decoder or image_decoder)((size - 1) * n_kept, n_kept)
        pool = Funnel(size * n_kept, n_kept, dropped, norm)
    layout = lay_out(
        math.prod(image_shape),
        pixels.transpose(0, 1).flatten(),
        decoder or gaussian_decoder(hidden_layer_sizes, generator),
    )
    return Compose([*layout, rotation, pool]).to(dtype)


def flowified_max_pool(
    image_shape: tuple[int, int, int],
    kernel_size: int | Pair,
    *,
    decoder: DecoderFactory | None = None,
    hidden_layer_sizes: Sequence[int] = (64, 64),
    generator: torch.Generator | None = None,
) -> Compose:
    """Max-pooling of windows side by side: `MaxPool`, exact.

    Parameters
    ----------
    image_shape, kernel_size, decoder, hidden_layer_sizes, generator
        See `flowified_convolution`. The decoder is that of pixels that no window covers.
    """
    kernel_size = _pair(kernel_size)
    pixels = window_pixels(image_shape, kernel_size, kernel_size)
    n_channels, size, height, width = pixels.shape
    layout = lay_out(
        math.prod(image_shape),
        pixels.movedim(1, -1).flatten(),
        decoder or gaussian_decoder(hidden_layer_sizes, generator),
    )
    return Compose([*layout, MaxPool(n_channels * height * width, size, height * width)])
