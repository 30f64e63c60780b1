"""The CUDA twin of the rational-quadratic spline: one pass over every element."""

import torch
from torch import Tensor

from skflow.kernels import rational_quadratic as readable
from skflow.kernels.cuda import launch, place
from skflow.kernels.elements import forward_at_once, inverse_at_once

TILE_BYTES = 4096  # of a program's raw widths: 32 numbers of 4 bytes in every thread of a warp
FEWEST_ROWS = 32  # one for every thread


def value_into(x: Tensor, parameters: Tensor, bound: float, z: Tensor, log: Tensor) -> None:
    """Write z and the log-derivative where they are to be."""
    from skflow.kernels.triton_spline import spline_forward as kernel

    _launch(kernel, x, parameters, bound, (place(z), place(log)))


def gradient_into(
    x: Tensor, parameters: Tensor, bound: float, grads: tuple[Tensor, Tensor], grad_x: Tensor
) -> Tensor:
    """Write the gradient of x where it is to be; return that of the parameters."""
    from skflow.kernels.triton_spline import spline_backward as kernel

    grad_parameters = torch.empty_like(parameters)
    results = place(grad_x), place(grad_parameters)
    _launch(kernel, x, parameters, bound, tuple(map(place, grads)), results)
    return grad_parameters


def inverse_into(z: Tensor, parameters: Tensor, bound: float, x: Tensor) -> None:
    """Write x where it is to be."""
    from skflow.kernels.triton_spline import spline_inverse as kernel

    _launch(kernel, z, parameters, bound, place(x))


def _launch(kernel, given, parameters, bound, *more):
    n_bins = (len(parameters) + 1) // 3
    tile = 1 << (n_bins - 1).bit_length()
    rows = max(FEWEST_ROWS, TILE_BYTES // (tile * given.element_size()))
    how = n_bins, float(bound), tile, rows
    launch(kernel, (place(given), place(parameters), *more), given.shape, rows, how)


spline_forward = forward_at_once(value_into, gradient_into, readable.spline_forward)
spline_inverse = inverse_at_once(inverse_into, value_into, gradient_into, readable.spline_inverse)
