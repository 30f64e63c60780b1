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


ROWS_AT_ONCE = 4_096


def mixture_moments(
    x: Tensor, weight: Tensor | None, *components: Tensor
) -> tuple[float, Tensor, Tensor, Tensor]:
    """What a step of expectation maximisation sums over rows, in double precision.

    Parameters
    ----------
    x : Tensor of shape (n, d)
    weight : Tensor of shape (n,), or None
    *components : Tensor
        As for `mixture_log_prob`.

    Returns
    -------
    log_prob : float
    sizes : Tensor of shape (K,)
        Rows that fall to every component, in shares.
    firsts, seconds : Tensor of shape (K, d) and (K, d, d)
        Sums of x - mean and of its products, about the present means.
    """
    means = components[1]
    n_components, d = means.shape
    double = {"dtype": torch.float64, "device": x.device}
    sizes, firsts = torch.zeros(n_components, **double), torch.zeros(n_components, d, **double)
    seconds, total = torch.zeros(n_components, d, d, **double), 0.0
    weights = (
        [None] * (len(x) // ROWS_AT_ONCE + 1) if weight is None else weight.split(ROWS_AT_ONCE)
    )
    for part, of_part in zip(x.split(ROWS_AT_ONCE), weights, strict=False):
        joint = component_log_prob(part, *components)
        log_prob = joint.logsumexp(1)
        share = (joint - log_prob[:, None]).exp()
        if of_part is not None:
            log_prob, share = log_prob * of_part, share * of_part[:, None]
        total += float(log_prob.sum())
        sizes += share.sum(0)
        for k in range(n_components):
            centred = part - means[k]
            pulled = share[:, k, None] * centred
            firsts[k] += pulled.sum(0)
            seconds[k] += centred.T @ pulled
    return total, sizes, firsts, seconds
