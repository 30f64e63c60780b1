"""Couplings one after the other, with what their perceptrons compute: one kernel."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from skflow.kernels.perceptron import perceptron


@dataclass(frozen=True)
class Coupled:
    """What a coupling is besides its weights.

    Attributes
    ----------
    n_kept : int
        Columns that stay, and that the perceptron sees with the context.
    family : Family
        What the other columns go through.
    n_weights : int
        Matrices and biases of its perceptron.
    order : Tensor of shape (d,), optional
        Of the columns, before all this.
    """

    n_kept: int
    family: Any
    n_weights: int
    order: Tensor | None = None


@dataclass(frozen=True)
class Stack:
    """Couplings, the first one nearest to the data.

    Attributes
    ----------
    layers : sequence of Coupled
    reach : float
        Perceptrons see numbers clamped to plus and minus this.
    order : Tensor of shape (d,), optional
        Of the columns, after all couplings.
    """

    layers: Sequence[Coupled]
    reach: float
    order: Tensor | None = None


def couplings(
    x: Tensor, context: Tensor | None, stack: Stack, *weights: Tensor
) -> tuple[Tensor, Tensor]:
    """The readable couplings.

    Parameters
    ----------
    x : Tensor of shape (n, d)
    context : Tensor of shape (n, n_context) or None
    stack : Stack
    *weights : Tensor
        Of the perceptrons, those of the first one first.

    Returns
    -------
    z : Tensor of shape (n, d)
    log_derivative : Tensor of shape (n,)
        Sum of that of all columns of all layers.
    """
    return _through("forward", x, context, stack, weights)


def readable(x: Tensor, context: Tensor | None, stack: Stack, *weights: Tensor):
    """As `couplings`, all the way down: what is computed at once may not be made of such."""
    return _through("readable_forward", x, context, stack, weights)


def _through(forward, x, context, stack, weights):
    z, total, remaining = x, x.new_zeros(len(x)), list(weights)
    for layer in stack.layers:
        if layer.order is not None:
            z = z.index_select(1, layer.order)
        own, remaining = remaining[: layer.n_weights], remaining[layer.n_weights :]
        kept, moving = z[:, : layer.n_kept], z[:, layer.n_kept :].T
        seen = kept if context is None else torch.cat([kept, context], 1)
        parameters = perceptron(seen.clamp(-stack.reach, stack.reach), *own)
        n_parameters = len(parameters) // len(moving)  # of no rows, view could not say
        function = getattr(layer.family, forward, layer.family.forward)
        moved, log_derivative = function(moving, parameters.view(n_parameters, *moving.shape))
        z = torch.cat([kept, moved.T], 1)
        total = total + log_derivative.sum(0)
    return z if stack.order is None else z.index_select(1, stack.order), total
