"""The compiled twin of the rational-quadratic spline: one pass over every element."""

import torch
from torch import Tensor

from skflow.kernels import rational_quadratic as readable
from skflow.kernels.elements import forward_at_once, inverse_at_once
from skflow.kernels.native import compiled, place


def value_into(x: Tensor, parameters: Tensor, bound: float, z: Tensor, log: Tensor) -> None:
    """Write z and the log-derivative where they are to be; ``log`` is contiguous."""
    m, n = x.shape
    compiled.spline_forward(
        x.dtype == torch.float64, *place(x), parameters.data_ptr(), *place(z), log.data_ptr(),
        m, n, (len(parameters) + 1) // 3, bound,
    )  # fmt: skip


def gradient_into(
    x: Tensor, parameters: Tensor, bound: float, grads: tuple[Tensor, Tensor], grad_x: Tensor
) -> Tensor:
    """Write the gradient of x where it is to be; return that of the parameters."""
    (m, n), grad_parameters = x.shape, torch.empty_like(parameters)
    compiled.spline_backward(
        x.dtype == torch.float64, *place(x), parameters.data_ptr(), *place(grads[0]),
        *place(grads[1]), *place(grad_x), grad_parameters.data_ptr(),
        m, n, (len(parameters) + 1) // 3, bound,
    )  # fmt: skip
    return grad_parameters


def inverse_into(z: Tensor, parameters: Tensor, bound: float, x: Tensor) -> None:
    """Write x where it is to be."""
    m, n = z.shape
    compiled.spline_inverse(
        z.dtype == torch.float64, *place(z), parameters.data_ptr(), *place(x),
        m, n, (len(parameters) + 1) // 3, bound,
    )  # fmt: skip


spline_forward = forward_at_once(value_into, gradient_into, readable.spline_forward)
spline_inverse = inverse_at_once(inverse_into, value_into, gradient_into, readable.spline_inverse)
