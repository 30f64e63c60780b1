"""The compiled twin of couplings: one call for all layers, in each direction."""

import threading
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor
from torch.autograd import forward_ad

from skflow.kernels.at_once import at_once
from skflow.kernels.coupling import Stack, readable
from skflow.kernels.native import compiled, takes_tensors

SHARES = 4  # of the rows, at most: each has its own gradient of all weights
ROWS_OF_SHARE = 192

_threads = threading.local()


@contextmanager
def on_threads(n: int) -> Iterator[None]:
    """Work on ``n`` threads in calls from this one; on one otherwise."""
    former = getattr(_threads, "n", 1)
    _threads.n = n
    try:
        yield
    finally:
        _threads.n = former


@cache
def has_products() -> bool:
    """Whether SciPy's matrix products can be called as this was built to call them."""
    if compiled is None:
        return False
    try:
        from scipy.linalg.cython_blas import __pyx_capi__ as blas

        return compiled.use_products(blas["sgemm"], blas["dgemm"])
    except (ImportError, KeyError):
        return False


def takes(x: Tensor, context: Tensor | None, stack: Stack, *weights: Tensor) -> bool:
    """Whether all families are compiled, and all is where and as compiled code reads it."""
    given = weights if context is None else (context, *weights)
    return (
        all(_is_compiled(layer.family) for layer in stack.layers)
        and x.numel() > 0
        and takes_tensors(x, *given)
        and _fits(x, context, stack, weights)
        and has_products()
    )


def _is_compiled(family) -> bool:
    """Not by inheritance: who overrides a family's mathematics has other mathematics."""
    return vars(type(family)).get("compiled") is not None


def _fits(x, context, stack, weights) -> bool:
    """Whether all shapes go together: compiled code checks none."""
    if x.dim() != 2 or (context is not None and (context.dim() != 2 or len(context) != len(x))):
        return False
    d, n_context = x.shape[1], 0 if context is None else context.shape[1]
    remaining = iter(weights)
    for layer in stack.layers:
        width = layer.n_kept + n_context
        for _ in range(layer.n_weights // 2):
            weight, bias = next(remaining), next(remaining)
            if weight.dim() != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
                return False
            width = len(weight)
        if not 0 <= layer.n_kept < d or width != layer.family.n_parameters * (d - layer.n_kept):
            return False
    return all(_is_order(order, d) for order in (stack.order, *(c.order for c in stack.layers)))


def _is_order(order: Tensor | None, d: int) -> bool:
    return order is None or (
        order.shape == (d,)
        and order.dtype == torch.int64
        and order.device.type == "cpu"
        and order.is_contiguous()
    )


def _plan(x: Tensor, context: Tensor | None, stack: Stack, weights) -> tuple[array, array]:
    """The couplings as numbers: see stack.h."""
    n_context = 0 if context is None else context.shape[1]
    plan = array("q", [x.shape[1], n_context, _address(stack.order), len(stack.layers)])
    bounds, weights = array("d"), iter(weights)
    for layer in stack.layers:
        n_bins, bound = layer.family.compiled
        plan.extend([_address(layer.order), layer.n_kept, n_bins, layer.n_weights // 2])
        bounds.append(bound)
        for _ in range(layer.n_weights // 2):
            weight, bias = next(weights), next(weights)
            plan.extend([weight.data_ptr(), bias.data_ptr(), *weight.shape])
    return plan, bounds


def _address(values: Tensor | None) -> int:
    return 0 if values is None else values.data_ptr()


def _n_shares(n: int) -> int:
    return max(1, min(SHARES, n // ROWS_OF_SHARE))


def _forward(x, context, stack, weights, kept):
    z, total = torch.empty_like(x), x.new_empty(len(x))
    plan, bounds = _plan(x, context, stack, weights)
    compiled.couplings_forward(
        x.dtype == torch.float64, plan.buffer_info()[0], bounds.buffer_info()[0], stack.reach,
        x.data_ptr(), _address(context), _address(kept), z.data_ptr(), total.data_ptr(),
        len(x), _n_shares(len(x)), getattr(_threads, "n", 1),
    )  # fmt: skip
    return z, total


def _contiguous(tensors):
    return [None if t is None else t.contiguous() for t in tensors]


def _value(x, context, stack, *weights):
    x, context, *weights = _contiguous((x, context, *weights))
    n_context = 0 if context is None else context.shape[1]
    biases = sum(len(bias) for bias in weights[1::2])
    n_numbers = biases + sum(x.shape[1] + layer.n_kept + n_context for layer in stack.layers)
    kept = x.new_empty(len(x) * n_numbers)
    return _forward(x, context, stack, weights, kept), (kept,)


def _gradient(inputs, results, grads):
    (x, context, stack, *weights), (_, _, kept), (grad_z, grad_total) = inputs, results, grads
    context, *weights = _contiguous((context, *weights))
    n, sizes = len(x), [w.numel() for w in weights]
    n_shares = _n_shares(n)
    grad_x, grad_weights = x.new_empty(x.shape), x.new_empty(n_shares, sum(sizes))
    grad_context = None if context is None else context.new_empty(context.shape)
    plan, bounds = _plan(x, context, stack, weights)
    compiled.couplings_backward(
        x.dtype == torch.float64, plan.buffer_info()[0], bounds.buffer_info()[0], stack.reach,
        _address(context), kept.data_ptr(), grad_z.data_ptr(), *grad_z.stride(),
        grad_total.data_ptr(), *grad_total.stride(), grad_x.data_ptr(), _address(grad_context),
        grad_weights.data_ptr(), n, n_shares, getattr(_threads, "n", 1),
    )  # fmt: skip
    own = [g.view(w.shape) for g, w in zip(grad_weights[0].split(sizes), weights, strict=True)]
    return grad_x, grad_context, None, *own


_at_once = at_once(2, _value, _gradient, readable)


def couplings_at_once(
    x: Tensor, context: Tensor | None, stack: Stack, *weights: Tensor
) -> tuple[Tensor, Tensor]:
    """As `couplings`; where nothing is derived, nothing is kept either."""
    given = [x, *weights] if context is None else [x, context, *weights]
    if (
        torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
        or (torch.is_grad_enabled() and any(t.requires_grad for t in given))
    ):
        return _at_once(x, context, stack, *weights)
    x, context, *weights = _contiguous((x, context, *weights))
    return _forward(x, context, stack, weights, None)
