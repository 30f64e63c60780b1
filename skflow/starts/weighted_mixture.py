"""Expectation maximisation of a Gaussian mixture on weighted rows: scikit-learn's takes no weights.

The same steps, so that a row of weight two is what scikit-learn makes of that row given twice.
"""

import warnings

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from skflow.data.rows import Rows
from skflow.distributions import GaussianMixture

MIN_GAIN = 1e-3  # nats per iteration, below which the iteration ends
ROWS_AT_ONCE = 4_096
LEAST_ROWS = 10 * np.finfo(np.float64).eps  # of a component


def fit_weighted_mixture(
    mixture: GaussianMixture, rows: Rows, seed: int, *, regularisation: float, max_iter: int
) -> bool:
    """Fit ``mixture`` in place, from the clusters of k-means; False where it cannot be fitted.

    Parameters
    ----------
    mixture : GaussianMixture
    rows : Rows
        With weights.
    seed : int
    regularisation : float
        Added to the variances.
    max_iter : int
    """
    n_components = len(mixture.logits)
    kmeans = KMeans(n_components, n_init=1, random_state=seed)
    with warnings.catch_warnings():  # fewer separate rows than components
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            labels = kmeans.fit_predict(rows.x.numpy(), sample_weight=rows.weight_array())
        except ValueError:
            return False
    first = torch.nn.functional.one_hot(torch.as_tensor(labels).long(), n_components).to(rows.x)
    return iterate(mixture, rows, first, regularisation=regularisation, max_iter=max_iter)


@torch.no_grad()
def iterate(
    mixture: GaussianMixture,
    rows: Rows,
    responsibility: Tensor,
    *,
    regularisation: float,
    max_iter: int,
) -> bool:
    """Expectation maximisation in place from first responsibilities (n, K); False if it fails."""
    if rows.weight is None:
        raise ValueError("rows have no weights; scikit-learn's mixture fits those")
    x, weight, last = rows.x, rows.weight, -torch.inf
    if not _maximise(mixture, x, responsibility * weight[:, None], regularisation):
        return False
    for _ in range(max_iter):
        joint = torch.cat([mixture.component_log_prob(part) for part in x.split(ROWS_AT_ONCE)])
        total = joint.logsumexp(1)
        score = float((total * weight).sum() / weight.sum())
        responsibility = (joint - total[:, None]).exp()
        if not _maximise(mixture, x, responsibility * weight[:, None], regularisation):
            return False
        if abs(score - last) < MIN_GAIN:
            break
        last = score
    return True


def _maximise(mixture: GaussianMixture, x: Tensor, share: Tensor, regularisation: float) -> bool:
    """Set what weighted responsibilities (n, K) say; False without a definite covariance."""
    size = share.sum(0) + LEAST_ROWS
    means = share.T @ x / size[:, None]
    eye = torch.eye(x.shape[1], dtype=x.dtype)
    covariances = []
    for own, mean, total in zip(share.T, means, size, strict=True):
        centred = x - mean
        covariances.append((own[:, None] * centred).T @ centred / total)
    root, failed = torch.linalg.cholesky_ex(torch.stack(covariances) + regularisation * eye)
    if bool(failed.any()) or not bool(root.isfinite().all()):
        return False
    mixture.logits.copy_((size / size.sum()).clamp_min(1e-30).log())
    mixture.means.copy_(means)
    mixture.set_factor(torch.linalg.solve_triangular(root, eye.expand_as(root), upper=False).mT)
    return True
