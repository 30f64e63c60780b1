"""Where a prior of few dimensions starts: factor analysis of what reaches it."""

import warnings

import numpy as np
import torch
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import ConvergenceWarning

from skflow.data.rows import Rows
from skflow.flow import Flow
from skflow.kernels.moments import rows_of_moments
from skflow.training.one_thread import one_thread
from skflow.transforms import Compose, Factors


@one_thread()
@torch.no_grad()
def initialize_factors(flow: Flow, rows: Rows, generator: torch.Generator) -> None:
    """Fit the factors at the end of a flow's layers, if there are some, to encoded rows."""
    *before, prior = flow.learned.steps if isinstance(flow.learned, Compose) else [flow.learned]
    if not isinstance(prior, Factors):
        return
    h = flow.fixed(rows.x)[0]
    for step in before:
        h = step(h)[0]
    fit_factors(prior, Rows(h, rows.weight), generator)


def fit_factors(prior: Factors, h: Rows, generator: torch.Generator) -> None:
    """Set loading, mean and noise of the prior by factor analysis of rows ``h``."""
    rng = np.random.RandomState(int(torch.randint(2**31 - 1, (), generator=generator)))
    k = prior.decoder.loading.shape[1]
    x = rows_of_moments(h.x, h.weight).numpy()
    tol = 1e-2 * len(x) / h.n_effective  # scikit-learn's, of the log-likelihood of all rows
    fitted = FactorAnalysis(k, tol=tol, random_state=rng.randint(2**31 - 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # training goes on from there
        fitted.fit(x)
    found = fitted.components_[np.abs(fitted.components_).max(1) > 0]
    prior.decoder.set_factors(
        torch.as_tensor(found.T),
        torch.as_tensor(fitted.mean_),
        torch.as_tensor(fitted.noise_variance_),
    )
