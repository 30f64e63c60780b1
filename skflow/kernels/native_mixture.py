"""The compiled twins for mixtures: no array of every row for every component."""

from typing import Any

import torch
from torch import Tensor

from skflow.kernels import mixture as readable
from skflow.kernels.at_once import at_once
from skflow.kernels.mixture_climb import Climb, Numbers
from skflow.kernels.native import compiled, takes_tensors

MOST_FEATURES = 32  # beyond, large matrix products are faster
MOST_TO_CLIMB = 256


def takes(x: Tensor, *weights: Tensor) -> bool:
    """Whether the components are of few columns, and all of it is in reach."""
    return x.numel() > 0 and x.shape[1] <= MOST_FEATURES and takes_tensors(x, *weights)


def mixture_log_prob(x: Tensor, *weights: Tensor) -> Tensor:
    """As `mixture.mixture_log_prob`."""
    return _log_prob(x, *weights)[0]


def _addresses(*tensors):
    return [one.data_ptr() for one in tensors]


def _value(*inputs):
    x, *weights = [one.contiguous() for one in inputs]
    log_prob = x.new_empty(len(x))
    compiled.mixture_forward(
        x.dtype == torch.float64, *_addresses(x, *weights, log_prob), *x.shape, len(weights[0])
    )
    return (log_prob,), ()


def _gradient(inputs, results, grads):
    x, *weights = [one.contiguous() for one in inputs]
    (log_prob,), (grad,) = results, grads
    grad_x, grads_of_weights = torch.empty_like(x), [torch.zeros_like(w) for w in weights]
    compiled.mixture_backward(
        x.dtype == torch.float64, *_addresses(x, *weights, log_prob, grad), grad.stride(0),
        *_addresses(grad_x, *grads_of_weights), *x.shape, len(weights[0]),
    )  # fmt: skip
    return grad_x, *grads_of_weights


_log_prob = at_once(1, _value, _gradient, lambda *inputs: (readable.mixture_log_prob(*inputs),))


def takes_climb(x: Tensor, weight: Tensor | None, *how: Any) -> bool:
    """Whether the components are of few columns, and all of it is in reach."""
    few = x.shape[1] <= MOST_TO_CLIMB
    return few and x.numel() > 0 and takes_tensors(*([x] if weight is None else [x, weight]))


def mixture_climb(
    x: Tensor,
    weight: Tensor | None,
    numbers: Numbers,
    how: Climb,
    last: float,
) -> tuple[Numbers | None, float, bool]:
    """As `mixture_climb.mixture_climb`."""
    x, weight = x.contiguous(), None if weight is None else weight.contiguous()
    n, d = x.shape
    n_rows = len(x) if weight is None else float(weight.sum(dtype=torch.float64))
    log_weights, means, covariances, log_diagonal, upper = (
        one.clone(memory_format=torch.contiguous_format) for one in numbers
    )
    mean = torch.full((1,), last, dtype=torch.float64)
    status = compiled.mixture_climb(
        x.dtype == torch.float64, x.data_ptr(), 0 if weight is None else weight.data_ptr(),
        n, d, len(means), n_rows, how.regularisation, how.min_gain, how.max_iter,
        last,
        log_weights.data_ptr(), means.data_ptr(), covariances.data_ptr(),
        log_diagonal.data_ptr(), upper.data_ptr(), mean.data_ptr(),
    )  # fmt: skip
    found = None if status < 0 else (log_weights, means, covariances, log_diagonal, upper)
    return found, float(mean), status != 0
