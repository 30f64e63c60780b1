"""The compiled twin of the rational-quadratic spline: one pass over every element."""

import torch
from torch import Tensor

from skflow.kernels import rational_quadratic as readable
from skflow.kernels.at_once import at_once
from skflow.kernels.native import columnwise_like, compiled, place, takes_elements


def takes(x: Tensor, parameters: Tensor, bound: float) -> bool:
    """Whether every element has a spline of its own, and all of it is in reach."""
    return takes_elements(x, parameters)


def spline_forward(x: Tensor, parameters: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """As `rational_quadratic.spline_forward`, for x (m, n) and parameters (3 K - 1, m, n)."""
    return _forward(x, parameters, bound)


def spline_inverse(z: Tensor, parameters: Tensor, bound: float) -> Tensor:
    """As `rational_quadratic.spline_inverse`."""
    return _inverse(z, parameters, bound)[0]


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


def _value(x, parameters, bound):
    parameters = parameters.contiguous()
    z, log_derivative = columnwise_like(x), torch.empty_like(parameters[0])
    value_into(x, parameters, bound, z, log_derivative)
    return (z, log_derivative), ()


def _gradient(inputs, results, grads):
    x, parameters, bound = inputs
    grad_x = columnwise_like(x)
    return grad_x, gradient_into(x, parameters.contiguous(), bound, grads, grad_x), None


def _inverse_value(z, parameters, bound):
    parameters = parameters.contiguous()
    x = columnwise_like(z)
    compiled.spline_inverse(
        z.dtype == torch.float64, *place(z), parameters.data_ptr(), *place(x),
        *z.shape, (len(parameters) + 1) // 3, bound,
    )  # fmt: skip
    return (x,), ()


def _inverse_gradient(inputs, results, grads):
    # Of x = f^-1(z; p): dz = f' dx + df/dp dp.
    (_, parameters, bound), (x,) = inputs, results
    parameters = parameters.contiguous()
    (_, log_derivative), _ = _value(x, parameters, bound)
    grad_z = grads[0] * torch.exp(-log_derivative)
    of_log = torch.zeros_like(log_derivative)
    minus = gradient_into(x, parameters, bound, (grad_z, of_log), columnwise_like(x))
    return grad_z, minus.neg_(), None


_forward = at_once(2, _value, _gradient, readable.spline_forward)
_inverse = at_once(
    1, _inverse_value, _inverse_gradient, lambda *inputs: (readable.spline_inverse(*inputs),)
)
