"""A coupling with its perceptron at once: one step of autograd in place of some thirty."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from skflow.kernels.at_once import at_once
from skflow.kernels.native import compiled, takes_tensors
from skflow.kernels.perceptron import perceptron


@dataclass(frozen=True)
class Coupled:
    """What a coupling is besides its weights.

    Attributes
    ----------
    n_kept : int
        Columns that stay, and that the perceptron sees with the context.
    reach : float
        It sees them clamped to plus and minus this.
    family : Family
        What the other columns go through.
    """

    n_kept: int
    reach: float
    family: Any


def composed(
    x: Tensor, context: Tensor | None, how: Coupled, *weights: Tensor
) -> tuple[Tensor, Tensor]:
    """The readable coupling.

    Parameters
    ----------
    x : Tensor of shape (n, d)
    context : Tensor of shape (n, n_context) or None
    how : Coupled
    *weights : Tensor
        Of the `perceptron`.

    Returns
    -------
    z : Tensor of shape (n, d)
    log_derivative : Tensor of shape (d - n_kept, n)
    """
    return _composed_with(how.family.forward, x, context, how, weights)


def _readable(x, context, how, *weights):
    """All the way down: what is computed at once may not itself be made of such."""
    return _composed_with(how.family.readable_forward, x, context, how, weights)


def _composed_with(forward, x, context, how, weights):
    kept, moving = x[:, : how.n_kept], x[:, how.n_kept :].T
    seen = kept if context is None else torch.cat([kept, context], 1)
    parameters = perceptron(seen.clamp(-how.reach, how.reach), *weights)
    n_parameters = len(parameters) // len(moving)  # of no rows, view could not say
    moved, log_derivative = forward(moving, parameters.view(n_parameters, *moving.shape))
    return torch.cat([kept, moved.T], 1), log_derivative


def takes(x: Tensor, context: Tensor | None, how: Coupled, *weights: Tensor) -> bool:
    """Whether the family computes in place, and all is where compiled code reaches it."""
    given = weights if context is None else (context, *weights)
    return hasattr(how.family, "value_into") and x.numel() > 0 and takes_tensors(x, *given)


def _value(x, context, how, *weights):
    (n, d), k, is_double = x.shape, how.n_kept, x.dtype == torch.float64
    z, seen = x.new_empty(n, d), x.new_empty(weights[0].shape[1], n)
    x = x.contiguous()
    compiled.rows_to_columns(
        is_double, x.data_ptr(), d, z.data_ptr(), d, seen.data_ptr(), k, n, how.reach
    )
    if context is not None:
        context = context.contiguous()
        compiled.rows_to_columns(
            is_double, context.data_ptr(), len(seen) - k, 0, 0, seen[k:].data_ptr(),
            len(seen) - k, n, how.reach,
        )  # fmt: skip
    layer, layers = seen, [seen]
    for i in range(0, len(weights), 2):
        layer = torch.addmm(weights[i + 1][:, None], weights[i], layer)
        layers.append(layer.relu_() if i < len(weights) - 2 else layer)
    log_derivative = x.new_empty(d - k, n)
    parameters = layer.view(-1, d - k, n)
    how.family.value_into(x.T[k:], parameters, z.T[k:], log_derivative)
    return (z, log_derivative), layers


def _gradient(inputs, results, grads):
    (x, context, how, *weights), (grad_z, grad_log) = inputs, grads
    (n, d), k, is_double = x.shape, how.n_kept, x.dtype == torch.float64
    _, _, *layers, parameters = results
    x, grad_x = x.contiguous(), x.new_empty(n, d)
    grad = how.family.gradient_into(
        x.T[k:], parameters.view(-1, d - k, n), (grad_z.T[k:], grad_log), grad_x.T[k:]
    ).view(parameters.shape)
    grads_of_weights: list[Tensor] = []
    for i in reversed(range(len(layers))):
        grads_of_weights[:0] = [grad @ layers[i].T, grad.sum(1)]
        grad = weights[2 * i].T @ grad
        if i:  # back through a ReLU, in the memory at hand
            torch.ops.aten.threshold_backward.grad_input(grad, layers[i], 0, grad_input=grad)
    compiled.columns_to_rows(
        is_double, grad.data_ptr(), x.data_ptr(), d, grad_z.data_ptr(), *grad_z.stride(),
        grad_x.data_ptr(), d, k, n, how.reach,
    )  # fmt: skip
    grad_context = None
    if context is not None:
        context, grad_context = context.contiguous(), context.new_empty(context.shape)
        compiled.columns_to_rows(
            is_double, grad[k:].data_ptr(), context.data_ptr(), len(grad) - k, 0, 0, 0,
            grad_context.data_ptr(), len(grad) - k, len(grad) - k, n, how.reach,
        )  # fmt: skip
    return grad_x, grad_context, None, *grads_of_weights


coupling_at_once = at_once(2, _value, _gradient, _readable)
