"""The mixture of weighted rows is scikit-learn's of repeated ones."""

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture as SklearnMixture

from skflow.data.rows import Rows
from skflow.distributions import GaussianMixture
from skflow.starts.weighted_mixture import fit_weighted_mixture, iterate

RNG = np.random.default_rng(0)
N, D, K = 200, 3, 4
X = RNG.normal(size=(N, D)) @ RNG.normal(size=(D, D)) + 3 * RNG.integers(3, size=(N, 1))
COUNTS = RNG.integers(1, 5, size=N)
LABELS = RNG.integers(K, size=N)
REGULARISATION = 1e-3


def fitted(max_iter):
    mixture = GaussianMixture(K, D).double()
    first = torch.nn.functional.one_hot(torch.tensor(LABELS), K).double()
    assert iterate(
        mixture, Rows(torch.tensor(X), torch.tensor(COUNTS).double()), first,
        regularisation=REGULARISATION, max_iter=max_iter,
    )  # fmt: skip
    return mixture


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("max_iter", [1, 5, 200])
def test_iterations_are_those_of_scikit_learn_on_repeated_rows(max_iter):
    rows, labels = X.repeat(COUNTS, axis=0), LABELS.repeat(COUNTS)
    clusters = [rows[labels == k] for k in range(K)]
    eye = REGULARISATION * np.eye(D)
    reference = SklearnMixture(
        K,
        reg_covar=REGULARISATION,
        max_iter=max_iter,
        weights_init=np.bincount(labels) / len(labels),
        means_init=np.array([c.mean(0) for c in clusters]),
        precisions_init=np.array([np.linalg.inv(np.cov(c.T, ddof=0) + eye) for c in clusters]),
    ).fit(rows)
    expected = GaussianMixture(K, D).double()
    expected.copy_fitted(reference)
    found = fitted(max_iter)
    for name, value in found.state_dict().items():
        torch.testing.assert_close(value, expected.state_dict()[name], atol=1e-8, rtol=1e-8)
    assert max_iter < 200 or reference.converged_  # it stops by itself, at the same iteration


def test_weights_decide_what_is_found():
    centres = np.repeat([[0.0, 0.0], [9.0, 0.0]], 100, axis=0)
    x = torch.tensor(centres + RNG.normal(size=(200, 2)))
    weight = torch.where(x[:, 0] < 4.5, 3.0, 1.0).double()
    mixture = GaussianMixture(2, 2).double()
    assert fit_weighted_mixture(mixture, Rows(x, weight), 0, regularisation=1e-4, max_iter=50)
    share = mixture.logits.softmax(0)[mixture.means[:, 0].argsort()]
    torch.testing.assert_close(share, torch.tensor([0.75, 0.25]).double(), atol=1e-6, rtol=0)
    mean = (weight[:, None] * x)[:100].sum(0) / weight[:100].sum()
    lower = mixture.means[mixture.means[:, 0].argmin()]
    torch.testing.assert_close(lower, mean, atol=1e-5, rtol=0)


def test_what_cannot_be_fitted_is_said():
    x, weight = (
        torch.randn(3, 2, generator=torch.Generator().manual_seed(0)).double(),
        torch.ones(3),
    )
    mixture = GaussianMixture(5, 2).double()
    options = {"regularisation": 1e-4, "max_iter": 5}
    assert not fit_weighted_mixture(mixture, Rows(x, weight.double()), 0, **options)
    one = GaussianMixture(1, 2).double()
    assert not fit_weighted_mixture(
        one, Rows(0 * x, weight.double()), 0, regularisation=0.0, max_iter=5
    )
