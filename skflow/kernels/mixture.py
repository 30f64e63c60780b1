"""The log-density of a mixture of Gaussians with triangular factors: the readable reference."""

import math

import torch
from torch import Tensor

LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


def triangular_factor(log_diagonal: Tensor, upper: Tensor) -> Tensor:
    """Upper triangular by construction, the diagonal an exponential."""
    return upper.triu(1) + torch.diag_embed(log_diagonal.exp())


def whitened(x: Tensor, means: Tensor, factor: Tensor) -> Tensor:
    """The rows as every component whitens them: shape (n, K, d)."""
    n_components, d = means.shape
    centre = (means[:, None] @ factor)[:, 0]  # (K, d)
    return (x @ factor.movedim(1, 0).reshape(d, -1)).view(-1, n_components, d) - centre


def component_log_prob(
    x: Tensor, log_weights: Tensor, means: Tensor, log_diagonal: Tensor, upper: Tensor
) -> Tensor:
    """Log of every component's weight times its density: shape (n, K)."""
    white = whitened(x, means, triangular_factor(log_diagonal, upper))
    log_prob = log_diagonal.sum(1) - 0.5 * (white * white).sum(2)
    return log_prob + log_weights - x.shape[1] * LOG_SQRT_2PI


def mixture_log_prob(
    x: Tensor, log_weights: Tensor, means: Tensor, log_diagonal: Tensor, upper: Tensor
) -> Tensor:
    """Log-density of the rows of x (n, d), from weights (K,), means and factors."""
    joint = component_log_prob(x, log_weights, means, log_diagonal, upper)
    return torch.logsumexp(joint, 1)
