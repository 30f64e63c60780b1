"""The compiled twin of the rational-quadratic spline: one pass over every element.

First derivatives are compiled too. Those of higher order and in forward mode are of the readable
spline, and under `torch.func.vmap` the batch becomes more columns.
"""

import inspect

import torch
from torch import Tensor
from torch.autograd import Function

from skflow.kernels import rational_quadratic as readable
from skflow.kernels.native import columnwise_like, compiled, takes_tensors


def takes(x: Tensor, parameters: Tensor, bound: float) -> bool:
    """Whether every element has a spline of its own, and all of it is in reach."""
    return (
        x.dim() == 2
        and parameters.shape[1:] == x.shape
        and x.numel() > 0
        and takes_tensors(x, parameters)
    )


def spline_forward(x: Tensor, parameters: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """As `rational_quadratic.spline_forward`, for x (m, n) and parameters (3 K - 1, m, n)."""
    return _Forward.apply(x, parameters, bound)


def spline_inverse(z: Tensor, parameters: Tensor, bound: float) -> Tensor:
    """As `rational_quadratic.spline_inverse`."""
    return _Inverse.apply(z, parameters, bound)


def _bound_at_once(forward):
    """Keep the signature, which torch would otherwise work out anew at every call."""
    forward.__signature__ = inspect.signature(forward)
    return staticmethod(forward)


def _n_bins(parameters):
    return (len(parameters) + 1) // 3


def _is_double(x):
    return x.dtype == torch.float64


def _by_columns(x):
    """Where the elements are: address, stride of columns, stride of rows."""
    return x.data_ptr(), *x.stride()


def _readable_gradient(x, parameters, grad_z, grad_log, bound):
    """What `_Backward` computes, by automatic differentiation."""
    _, pull = torch.func.vjp(lambda *both: readable.spline_forward(*both, bound), x, parameters)
    return pull((grad_z, grad_log))


def _along(function, inputs, tangents):
    """The derivative of ``function`` along ``tangents``: its transpose's transpose."""
    outputs, pull = torch.func.vjp(function, *inputs)
    start = tuple(map(torch.zeros_like, outputs))
    _, push = torch.func.vjp(lambda *cotangents: pull(cotangents), *start)
    return push(tuple(tangents))


def _as_columns(batch_size, dims, *tensors):
    """The batch of ``vmap`` in front of the columns, which are the last axis but one."""

    def fold(tensor, dim):
        if dim is None:
            tensor = tensor.expand(batch_size, *tensor.shape)
        else:
            tensor = tensor.movedim(dim, 0)
        return tensor.movedim(0, -3).flatten(-3, -2)

    return [fold(*pair) for pair in zip(tensors, dims, strict=False)]


def _batched(batch_size, folded):
    """Undo `_as_columns`: the batch leads."""
    return folded.unflatten(-2, (batch_size, -1)).movedim(-3, 0)


class _Forward(Function):
    @_bound_at_once
    def forward(x, parameters, bound):
        parameters = parameters.contiguous()
        z, log_derivative = columnwise_like(x), torch.empty_like(parameters[0])
        compiled.spline_forward(
            _is_double(x), *_by_columns(x), parameters.data_ptr(), *_by_columns(z),
            log_derivative.data_ptr(), *x.shape, _n_bins(parameters), bound,
        )  # fmt: skip
        return z, log_derivative

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, parameters, ctx.bound = inputs
        ctx.save_for_backward(x, parameters)
        ctx.save_for_forward(x, parameters)

    @staticmethod
    def backward(ctx, grad_z, grad_log):
        return *_Backward.apply(*ctx.saved_tensors, grad_z, grad_log, ctx.bound), None

    @staticmethod
    def jvp(ctx, *tangents):
        return _along(
            lambda *both: readable.spline_forward(*both, ctx.bound), ctx.saved_tensors, tangents[:2]
        )

    @staticmethod
    def vmap(info, dims, x, parameters, bound):
        folded = _as_columns(info.batch_size, dims, x, parameters)
        results = _Forward.apply(*folded, bound)
        return tuple(_batched(info.batch_size, result) for result in results), (0, 0)


class _Backward(Function):
    @_bound_at_once
    def forward(x, parameters, grad_z, grad_log, bound):
        parameters = parameters.contiguous()
        grad_x, grad_parameters = columnwise_like(x), torch.empty_like(parameters)
        compiled.spline_backward(
            _is_double(x), *_by_columns(x), parameters.data_ptr(), *_by_columns(grad_z),
            *_by_columns(grad_log), *_by_columns(grad_x), grad_parameters.data_ptr(),
            *x.shape, _n_bins(parameters), bound,
        )  # fmt: skip
        return grad_x, grad_parameters

    @staticmethod
    def setup_context(ctx, inputs, output):
        *tensors, ctx.bound = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx, *grads):
        _, pull = torch.func.vjp(
            lambda *tensors: _readable_gradient(*tensors, ctx.bound), *ctx.saved_tensors
        )
        return *pull(grads), None

    @staticmethod
    def jvp(ctx, *tangents):
        return _along(
            lambda *tensors: _readable_gradient(*tensors, ctx.bound),
            ctx.saved_tensors,
            tangents[:4],
        )

    @staticmethod
    def vmap(info, dims, *inputs):
        *tensors, bound = inputs
        folded = _as_columns(info.batch_size, dims, *tensors)
        results = _Backward.apply(*folded, bound)
        return tuple(_batched(info.batch_size, result) for result in results), (0, 0)


class _Inverse(Function):
    @_bound_at_once
    def forward(z, parameters, bound):
        parameters = parameters.contiguous()
        x = columnwise_like(z)
        compiled.spline_inverse(
            _is_double(z), *_by_columns(z), parameters.data_ptr(), *_by_columns(x),
            *z.shape, _n_bins(parameters), bound,
        )  # fmt: skip
        return x

    @staticmethod
    def setup_context(ctx, inputs, output):
        z, parameters, ctx.bound = inputs
        ctx.save_for_backward(z, parameters, output)
        ctx.save_for_forward(z, parameters)

    @staticmethod
    def backward(ctx, grad_x):
        # Of x = f^-1(z; p): dz = f' dx + df/dp dp.
        _, parameters, x = ctx.saved_tensors
        _, log_derivative = spline_forward(x, parameters, ctx.bound)
        grad_z = grad_x * torch.exp(-log_derivative)
        nothing = torch.zeros_like(log_derivative)
        _, of_parameters = _Backward.apply(x, parameters, -grad_z, nothing, ctx.bound)
        return grad_z, of_parameters, None

    @staticmethod
    def jvp(ctx, *tangents):
        z, parameters = ctx.saved_tensors[:2]
        return _along(
            lambda *both: (readable.spline_inverse(*both, ctx.bound),),
            (z, parameters),
            tangents[:2],
        )[0]

    @staticmethod
    def vmap(info, dims, z, parameters, bound):
        folded = _as_columns(info.batch_size, dims, z, parameters)
        return _batched(info.batch_size, _Inverse.apply(*folded, bound)), 0
