"""Functions computed at once, with the derivatives of what they are composed of."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

Tensors = tuple[Tensor, ...]


def at_once(
    n_outputs: int,
    compute: Callable[..., tuple[Tensors, Tensors]],
    gradient: Callable[..., tuple[Tensor | None, ...]],
    composed: Callable[..., Tensors],
) -> Callable[..., Tensors]:
    """A differentiable function from a fast forward and a fast backward pass.

    Parameters
    ----------
    n_outputs : int
    compute : callable
        From the inputs, tensors and constants, to the outputs and to what `gradient` wants kept.
    gradient : callable
        From the inputs, from outputs and what was kept in one tuple, and from the gradients of
        the outputs to those of the inputs, None for constants. It changes nothing that it is given.
    composed : callable
        The same function in differentiable operations of torch: derivatives of higher order, in
        forward mode and under `torch.func.vmap` are made of it.

    Returns
    -------
    function : callable
        From the inputs to the tuple of outputs.
    """

    def forward(*inputs):
        outputs, kept = compute(*inputs)
        return *outputs, *kept

    # Else torch works the signature out anew at every call.
    forward.__signature__ = inspect.signature(forward)  # type: ignore[attr-defined]

    def setup_context(ctx, inputs, output):
        tensors, ctx.constants = _apart(inputs)
        kept = output[n_outputs:]
        ctx.n_tensors, ctx.n_kept = len(tensors), len(kept)
        ctx.mark_non_differentiable(*kept)
        ctx.set_materialize_grads(False)  # there would be zeros for all that is kept
        ctx.save_for_backward(*tensors, *output)
        ctx.save_for_forward(*tensors)

    def backward(ctx, *grads):
        tensors, results = ctx.saved_tensors[: ctx.n_tensors], ctx.saved_tensors[ctx.n_tensors :]
        grads = tuple(
            torch.zeros_like(output) if grad is None else grad
            for grad, output in zip(grads[:n_outputs], results, strict=False)
        )
        if not torch.is_grad_enabled():
            return gradient(_together(tensors, ctx.constants), results, grads)
        _, pull = torch.func.vjp(_of_tensors(composed, ctx.constants), *tensors)
        return tuple(_together(pull(grads), [None] * len(ctx.constants), ctx.constants))

    def jvp(ctx, *tangents):
        tensors = ctx.saved_tensors
        tangents = [t for t, c in zip(tangents, ctx.constants, strict=True) if c is _TENSOR]
        # Forward mode does not nest. So the transpose of the transpose.
        outputs, pull = torch.func.vjp(_of_tensors(composed, ctx.constants), *tensors)
        _, push = torch.func.vjp(
            lambda *cotangents: pull(cotangents), *map(torch.zeros_like, outputs)
        )
        along = push(tuple(
            torch.zeros_like(one) if tangent is None else tangent
            for one, tangent in zip(tensors, tangents, strict=True)
        ))  # fmt: skip
        return *along, *[None] * ctx.n_kept

    def vmap(info, dims, *inputs):
        tensors, constants = _apart(inputs)
        dims = tuple(d for d, c in zip(dims, constants, strict=True) if c is _TENSOR)
        outputs = torch.func.vmap(_of_tensors(composed, constants), in_dims=dims)(*tensors)
        return outputs, (0,) * n_outputs

    methods = {
        "forward": staticmethod(forward),
        "setup_context": staticmethod(setup_context),
        "backward": staticmethod(backward),
        "jvp": staticmethod(jvp),
        "vmap": staticmethod(vmap),
    }
    function: Any = type("AtOnce", (Function,), methods)

    def called(*inputs):
        return function.apply(*inputs)[:n_outputs]

    return called


_TENSOR = object()  # in a list of constants: here goes a tensor


def _apart(inputs: Sequence[Any]) -> tuple[list[Tensor], list[Any]]:
    tensors = [one for one in inputs if isinstance(one, Tensor)]
    return tensors, [_TENSOR if isinstance(one, Tensor) else one for one in inputs]


def _together(
    tensors: Sequence[Any], constants: Sequence[Any], places: Sequence[Any] | None = None
) -> list[Any]:
    """Undo `_apart`; the tensors go where ``places``, by default the constants, leave room."""
    remaining = iter(tensors)
    places = constants if places is None else places
    return [
        next(remaining) if place is _TENSOR else constant
        for place, constant in zip(places, constants, strict=True)
    ]


def _of_tensors(function, constants):
    return lambda *tensors: function(*_together(tensors, constants))
