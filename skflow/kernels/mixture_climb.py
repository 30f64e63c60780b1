"""Expectation maximisation of a mixture of Gaussians: the readable reference."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skflow.kernels.mixture import mixture_moments

LEAST_ROWS = 10 * np.finfo(np.float64).eps  # of a component

Numbers = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""Log-weights (K,), means (K, d), covariances without what regularises them, (K, d, d), and their
triangular factors as `mixture_log_prob` takes them; in double precision."""


@dataclass(frozen=True)
class Climb:
    """How to climb.

    Attributes
    ----------
    regularisation : float
        Added to variances.
    min_gain : float
        Nats per row that an iteration must gain for another one.
    max_iter : int
    """

    regularisation: float
    min_gain: float
    max_iter: int


def numbers_of(
    sizes: Tensor, means: Tensor, covariances: Tensor, regularisation: float
) -> Numbers | None:
    """Those of components with these sizes; None without definite covariances."""
    eye = torch.eye(means.shape[1], dtype=means.dtype)
    root, failed = torch.linalg.cholesky_ex(covariances + regularisation * eye)
    if bool(failed.any()) or not bool(root.isfinite().all()):
        return None
    factor = torch.linalg.solve_triangular(root, eye.expand_as(root), upper=False).mT
    log_diagonal = factor.diagonal(dim1=1, dim2=2).log()
    log_weights = (sizes / sizes.sum()).log()
    return log_weights, means, covariances, log_diagonal, factor.triu(1)


def mixture_climb(
    x: Tensor,
    weight: Tensor | None,
    numbers: Numbers,
    how: Climb,
    last: float,
) -> tuple[Numbers | None, float, bool]:
    """Iterate until the mean log-density gains less than it must.

    Parameters
    ----------
    x : Tensor of shape (n, d)
    weight : Tensor of shape (n,), or None
    numbers : Numbers
        Where to begin.
    how : Climb
    last : float
        Mean log-density of the iteration before.

    Returns
    -------
    numbers : Numbers or None
        None where a covariance was not definite.
    mean : float
        Log-density per row of the mixture before the last iteration.
    ended : bool
        Whether so little was gained.
    """
    n_rows = len(x) if weight is None else float(weight.sum(dtype=torch.float64))
    mean, found = last, numbers
    for _ in range(how.max_iter):
        log_weights, means, _, log_diagonal, upper = (one.to(x.dtype) for one in found)
        log_prob, sizes, firsts, seconds = mixture_moments(
            x, weight, log_weights, means, log_diagonal, upper
        )
        mean = log_prob / n_rows
        sizes = sizes + LEAST_ROWS
        shift = firsts / sizes[:, None]
        covariances = seconds / sizes[:, None, None] - shift[:, :, None] * shift[:, None]
        after = numbers_of(sizes, found[1] + shift, covariances, how.regularisation)
        if after is None:
            return None, mean, True
        found = after
        if abs(mean - last) < how.min_gain:
            return found, mean, True
        last = mean
    return found, mean, False
