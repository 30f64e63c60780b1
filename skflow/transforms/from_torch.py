"""Layers of `torch.nn` as transforms of flat rows, or the reason why one has no such form."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from skflow.transforms.base import Transform
from skflow.transforms.batch_norm import BatchNorm
from skflow.transforms.elementwise import LeakyReLU, PReLU
from skflow.transforms.flowified import (
    flowified_average_pool,
    flowified_convolution,
    flowified_linear,
    flowified_max_pool,
)

# A converter takes a layer, a batch of its input (for shape and dtype) and options of the builders.
# Where it has to refuse, the message says what is wrong and the caller adds where.


def _image_shape(x: Tensor) -> tuple[int, int, int]:
    if x.dim() != 4:
        raise ValueError(
            f"its input must be (channels, height, width), but is {tuple(x.shape[1:])}"
        )
    return tuple(x.shape[1:])  # type: ignore[return-value]


def _n_positions(x: Tensor) -> int:
    """Columns of one channel."""
    return math.prod(x.shape[2:])


def _linear(layer: nn.Linear, x: Tensor, options: dict) -> list[Transform]:
    if x.dim() != 2:
        raise ValueError(
            f"its input of shape {tuple(x.shape[1:])} has more than one dimension; put "
            "nn.Flatten() before it"
        )
    n_out, n_in = layer.weight.shape
    return [flowified_linear(n_in, n_out, weight=layer.weight, bias=layer.bias, **options)]


def _conv2d(layer: nn.Conv2d, x: Tensor, options: dict) -> list[Transform]:
    if layer.groups != 1:
        raise ValueError(f"groups={layer.groups} is not supported; use groups=1")
    if layer.dilation != (1, 1):
        raise ValueError(f"dilation={layer.dilation} is not supported; use dilation=1")
    if layer.padding_mode != "zeros":
        raise ValueError(f"padding_mode={layer.padding_mode!r} is not supported; use 'zeros'")
    padding = (0, 0) if layer.padding == "valid" else layer.padding
    if padding == "same":
        if any(k % 2 == 0 for k in layer.kernel_size):
            raise ValueError("padding='same' is supported for odd kernels only")
        padding = tuple(k // 2 for k in layer.kernel_size)
    convolution = flowified_convolution(
        _image_shape(x),
        layer.out_channels,
        layer.kernel_size,
        layer.stride,
        padding,
        weight=layer.weight,
        bias=layer.bias,
        **options,
    )
    return [convolution]


def _pooling(layer: nn.Module) -> None:
    """Refuse what both kinds of pooling refuse."""
    if layer.padding not in (0, (0, 0)):
        raise ValueError(f"padding={layer.padding} is not supported; use padding=0")
    if layer.ceil_mode:
        raise ValueError("ceil_mode=True is not supported; use ceil_mode=False")


def _avg_pool2d(layer: nn.AvgPool2d, x: Tensor, options: dict) -> list[Transform]:
    _pooling(layer)
    if layer.divisor_override is not None:
        raise ValueError("divisor_override is not supported; leave it out")
    size, stride = layer.kernel_size, layer.stride
    return [flowified_average_pool(_image_shape(x), size, stride, dtype=x.dtype, **options)]


def _max_pool2d(layer: nn.MaxPool2d, x: Tensor, options: dict) -> list[Transform]:
    _pooling(layer)
    size, stride, dilation = (
        (value, value) if isinstance(value, int) else tuple(value)
        for value in (layer.kernel_size, layer.stride, layer.dilation)
    )
    if size != stride or dilation != (1, 1) or layer.return_indices:
        raise ValueError(
            "windows must lie side by side: use a stride equal to the kernel size, dilation=1 and "
            "return_indices=False"
        )
    return [flowified_max_pool(_image_shape(x), size, **options)]


def _batch_norm(layer: nn.BatchNorm2d, x: Tensor, options: dict) -> list[Transform]:
    mean, variance = layer.running_mean, layer.running_var
    if mean is None:
        raise ValueError(
            "without running statistics its rows depend on one another; use "
            "track_running_stats=True"
        )
    weight = torch.ones_like(mean) if layer.weight is None else layer.weight
    bias = torch.zeros_like(mean) if layer.bias is None else layer.bias
    n_features, n_positions = x[0].numel(), _n_positions(x)
    return [BatchNorm(n_features, n_positions, mean, variance, layer.eps, weight, bias)]


def _leaky_relu(layer: nn.LeakyReLU, x: Tensor, options: dict) -> list[Transform]:
    return [LeakyReLU(layer.negative_slope)]


def _prelu(layer: nn.PReLU, x: Tensor, options: dict) -> list[Transform]:
    n_features = x[0].numel()
    n_positions = n_features if layer.num_parameters == 1 else _n_positions(x)
    return [PReLU(n_features, n_positions, layer.weight)]


def _flatten(layer: nn.Flatten, x: Tensor, options: dict) -> list[Transform]:
    if layer.start_dim % x.dim() == 0:
        raise ValueError("it mixes rows; use start_dim=1")
    return []  # rows are flat already


def _unflatten(layer: nn.Unflatten, x: Tensor, options: dict) -> list[Transform]:
    if not isinstance(layer.dim, int) or layer.dim % x.dim() == 0:
        raise ValueError("it must unflatten a dimension of each row; use dim=1")
    return []


def _nothing(layer: nn.Module, x: Tensor, options: dict) -> list[Transform]:
    return []


DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)

CONVERTERS: dict[type[nn.Module], Callable[..., list[Transform]]] = {
    nn.Linear: _linear,
    nn.Conv2d: _conv2d,
    nn.LeakyReLU: _leaky_relu,
    nn.PReLU: _prelu,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.AvgPool2d: _avg_pool2d,
    nn.MaxPool2d: _max_pool2d,
    nn.Flatten: _flatten,
    nn.Unflatten: _unflatten,
    nn.Identity: _nothing,
    **dict.fromkeys(DROPOUTS, _nothing),
}

SUPPORTED = ", ".join(["Sequential", *(kind.__name__ for kind in CONVERTERS)])

REFUSALS: list[tuple[tuple[type[nn.Module], ...], str]] = [
    (
        (nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Hardsigmoid, nn.Threshold),
        "it is constant on an interval, whose whole probability becomes an atom: its output has "
        "no density. Use nn.LeakyReLU or nn.PReLU in its place",
    ),
    (
        (nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish),
        "it is not monotone, so not invertible. Use nn.LeakyReLU or nn.PReLU in its place",
    ),
    (
        (nn.ELU, nn.SELU, nn.CELU, nn.Softplus, nn.Tanh, nn.Sigmoid, nn.LogSigmoid, nn.Softsign),
        "it does not reach the whole line: the latent density outside its range would leak away. "
        "Use nn.LeakyReLU or nn.PReLU in its place",
    ),
    (
        (
            *(nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.InstanceNorm1d, nn.InstanceNorm2d),
            *(nn.Softmax, nn.Softmin, nn.LogSoftmax, nn.Softmax2d),
        ),
        "it loses dimensions: its output lies on a surface and has no density. Use nn.BatchNorm1d "
        "or nn.BatchNorm2d to normalise; drop a softmax",
    ),
    (
        (
            *(nn.MultiheadAttention, nn.Transformer, nn.TransformerEncoder, nn.TransformerDecoder),
            *(nn.TransformerEncoderLayer, nn.TransformerDecoderLayer),
        ),
        "attention has no inverse. Use skflow.transforms.Coupling in a flow of your own, with the "
        "attention as the network inside",
    ),
    (
        (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
        "its windows depend on the size of the image. Use nn.AvgPool2d or nn.MaxPool2d with the "
        "kernel size that it amounts to",
    ),
]


def is_exactly(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Whether the module is of this kind and runs that kind's own forward pass."""
    return isinstance(module, kind) and type(module).forward is kind.forward


def from_torch(layer: nn.Module, x: Tensor, options: dict) -> list[Transform]:
    """Transforms of flat rows that do what the layer does in evaluation mode.

    Parameters
    ----------
    layer : Module
        No container.
    x : Tensor
        A batch of its input; only shape, dtype and device count.
    options : dict
        Arguments of the builders in `skflow.transforms.flowified`.

    Raises
    ------
    ValueError
        If the layer has no density or no inverse; the message says why and what to use.
    """
    if isinstance(layer, nn.modules.lazy.LazyModuleMixin):
        raise ValueError("it has no weights yet. Run the module on data first")
    for kind, converter in CONVERTERS.items():
        if is_exactly(layer, kind):
            return converter(layer, x, options)
    for kinds, reason in REFUSALS:
        if any(is_exactly(layer, kind) for kind in kinds):
            raise ValueError(reason)
    if type(layer).__module__.startswith("torch."):
        raise ValueError(f"it is not supported. Supported are {SUPPORTED}")
    raise ValueError(
        "a module with a forward pass of its own, such as a residual block, has no known inverse. "
        "Use nn.Sequential of supported layers, or skflow.transforms.Coupling in a flow of your "
        "own in place of a residual sum"
    )
