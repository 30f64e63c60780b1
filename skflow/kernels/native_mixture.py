"""The compiled twin of a mixture's log-density: no array of every row for every component."""

import torch
from torch import Tensor

from skflow.kernels import mixture as readable
from skflow.kernels.at_once import at_once
from skflow.kernels.native import compiled, takes_tensors

MOST_FEATURES = 32  # beyond, large matrix products are faster


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


def takes_moments(x: Tensor, weight: Tensor | None, *components: Tensor) -> bool:
    """Whether compiled code reaches all of it."""
    given = components if weight is None else (weight, *components)
    return x.numel() > 0 and takes_tensors(x, *given)


def mixture_moments(
    x: Tensor, weight: Tensor | None, *components: Tensor
) -> tuple[float, Tensor, Tensor, Tensor]:
    """As `mixture.mixture_moments`."""
    x, (n, d), n_components = x.contiguous(), x.shape, len(components[0])
    total = torch.zeros(1, dtype=torch.float64)
    sizes, firsts, seconds = (
        torch.zeros(n_components, *shape, dtype=torch.float64) for shape in ((), (d,), (d, d))
    )
    weight = None if weight is None else weight.contiguous()
    kept = [one.contiguous() for one in components]  # alive for as long as they are read
    log_weights, means, log_diagonal, upper = _addresses(*kept)
    compiled.mixture_moments(
        x.dtype == torch.float64, x.data_ptr(), 0 if weight is None else weight.data_ptr(),
        log_weights, means, log_diagonal, upper,
        total.data_ptr(), sizes.data_ptr(), firsts.data_ptr(), seconds.data_ptr(), n, d,
        n_components,
    )  # fmt: skip
    return float(total), sizes, firsts, seconds + seconds.triu(1).mT
