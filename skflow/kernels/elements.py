"""Maps of elements in one pass: every element of x (m, n) has parameters (p, m, n) of its own.

A twin says how values, gradients and inverses are written where they are to be; here that becomes
differentiable functions. m are columns and n rows; x may run along either.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from skflow.kernels.at_once import Tensors, at_once


def have_own_parameters(x: Tensor, parameters: Tensor) -> bool:
    """Whether there are elements, as columns and rows, with parameters of their own."""
    return x.dim() == 2 and parameters.shape[1:] == x.shape and x.numel() > 0


def columnwise_like(x: Tensor) -> Tensor:
    """Memory for a result of the shape (m, n) of ``x``, along the axis that ``x`` runs along."""
    m, n = x.shape
    if x.stride(0) < x.stride(1):
        return x.new_empty(n, m).T
    return x.new_empty(m, n)


def forward_at_once(
    value_into: Callable[..., None],
    gradient_into: Callable[..., Tensor],
    readable: Callable[..., Tensors],
) -> Callable[..., Tensors]:
    """From x, parameters and constants to z and the log-derivative.

    Parameters
    ----------
    value_into : callable
        Takes these, with contiguous parameters, and where to write z and the log-derivative.
    gradient_into : callable
        Takes these, the two gradients of the results and where to write that of x; returns that
        of the parameters.
    readable : callable
        The reference.
    """

    def value(x, parameters, *constants):
        return _value(value_into, x, parameters.contiguous(), *constants), ()

    def gradient(inputs, results, grads):
        x, parameters, *constants = inputs
        grad_x = columnwise_like(x)
        of_parameters = gradient_into(x, parameters.contiguous(), *constants, grads, grad_x)
        return grad_x, of_parameters, *[None] * len(constants)

    return at_once(2, value, gradient, readable)


def inverse_at_once(
    inverse_into: Callable[..., None],
    value_into: Callable[..., None],
    gradient_into: Callable[..., Tensor],
    readable: Callable[..., Tensor],
) -> Callable[..., Tensor]:
    """From z, parameters and constants to x; `inverse_into` takes these and where to write x."""

    def value(z, parameters, *constants):
        x = columnwise_like(z)
        inverse_into(z, parameters.contiguous(), *constants, x)
        return (x,), ()

    def gradient(inputs, results, grads):
        # Of x = f^-1(z; p): dz = f' dx + df/dp dp.
        (_, parameters, *constants), (x,) = inputs, results
        parameters = parameters.contiguous()
        _, log_derivative = _value(value_into, x, parameters, *constants)
        grad_z = grads[0] * torch.exp(-log_derivative)
        upstream = (grad_z, torch.zeros_like(log_derivative))
        minus = gradient_into(x, parameters, *constants, upstream, columnwise_like(x))
        return grad_z, minus.neg_(), *[None] * len(constants)

    function = at_once(1, value, gradient, lambda *inputs: (readable(*inputs),))
    return lambda *inputs: function(*inputs)[0]


def _value(value_into: Callable[..., None], x: Tensor, parameters: Tensor, *constants: Any):
    z, log_derivative = columnwise_like(x), torch.empty_like(parameters[0])
    value_into(x, parameters, *constants, z, log_derivative)
    return z, log_derivative
