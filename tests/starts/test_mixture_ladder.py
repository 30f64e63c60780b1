"""Mixtures step by step: those of weighted rows are scikit-learn's of repeated ones."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_wine
from sklearn.mixture import GaussianMixture as SklearnMixture

from skflow.data.rows import Rows
from skflow.distributions import GaussianMixture
from skflow.starts.bases import FitOptions, fit_mixture
from skflow.starts.mixture_ladder import Clusters, MixtureLadder, _of_labels, maximised

RNG = np.random.default_rng(0)
N, D, K = 200, 3, 4
X = RNG.normal(size=(N, D)) @ RNG.normal(size=(D, D)) + 3 * RNG.integers(3, size=(N, 1))
COUNTS = RNG.integers(1, 5, size=N)
LABELS = RNG.integers(K, size=N)
REGULARISATION = 1e-3


def options(**changes):
    return FitOptions(**{"regularisation": 1e-4, "max_iter": 50, "seed": 0, **changes})


def fitted(max_iter):
    rows = Rows(torch.tensor(X), torch.tensor(COUNTS).double())
    start = _of_labels(rows, torch.tensor(LABELS), K, REGULARISATION)
    return maximised(rows, start, REGULARISATION, max_iter)[0].module()


def ladder_of(rows, n_most, seed=0):
    return MixtureLadder(Clusters(rows, seed), n_most, 1e-4, 50)


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
    assert fit_mixture(mixture, Rows(x, weight), options())
    share = mixture.logits.softmax(0)[mixture.means[:, 0].argsort()]
    torch.testing.assert_close(share, torch.tensor([0.75, 0.25]).double(), atol=1e-6, rtol=0)
    mean = (weight[:, None] * x)[:100].sum(0) / weight[:100].sum()
    lower = mixture.means[mixture.means[:, 0].argmin()]
    torch.testing.assert_close(lower, mean, atol=1e-5, rtol=0)


def test_what_cannot_be_fitted_is_said():
    x = torch.randn(3, 2, generator=torch.Generator().manual_seed(0)).double()
    for weight in (None, torch.tensor([1.0, 2.0, 1.0]).double()):
        assert not fit_mixture(GaussianMixture(5, 2).double(), Rows(x, weight), options())
        same = options(regularisation=0.0)
        assert not fit_mixture(GaussianMixture(1, 2).double(), Rows(0 * x, weight), same)


@pytest.mark.parametrize("n_most", [1, 2, 7, 8])
def test_a_ladder_doubles_and_ends_where_it_is_to(n_most):
    rows = Rows(torch.tensor(X))
    ladder = list(ladder_of(rows, n_most))
    assert [len(step) for step in ladder] == [k for k in (1, 2, 4, 8) if k < n_most] + [n_most]
    scores = [maximised(rows, step, 1e-4, 1)[1] for step in ladder]
    assert scores == sorted(scores)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("seed", range(3))
def test_it_is_no_less_likely_than_scikit_learns(seed):
    X = load_wine().data
    X = (X - X.mean(0)) / X.std(0)
    ladder = ladder_of(Rows(torch.tensor(X)), 8, seed)
    for components in map(ladder.polished, ladder):
        reference = SklearnMixture(
            len(components), reg_covar=1e-4, max_iter=50, random_state=seed
        ).fit(X)
        ours = components.module().log_prob(torch.tensor(X)).mean().item()
        assert ours > reference.score(X) - 1e-3 * 50


def test_single_precision_and_double_agree():
    rows = Rows(torch.tensor(np.tile(X, (20, 1)) + 1e-3 * RNG.normal(size=(20 * N, D))))
    single = list(ladder_of(rows, 4))
    for components, own in zip(single, (1, 2, 4), strict=True):
        assert len(components) == own
    # The same rows in double: few enough that they are not converted.
    start = single[-1]
    double = maximised(rows, start, 1e-4, 1)
    halved = maximised(Rows(rows.x.float()), start, 1e-4, 1)
    assert double[1] == pytest.approx(halved[1], abs=1e-5)
    torch.testing.assert_close(double[0].means, halved[0].means, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(double[0].covariances, halved[0].covariances, atol=1e-4, rtol=1e-4)


def test_the_weights_of_a_ladder_are_repetitions():
    weighted = Rows(torch.tensor(X), torch.tensor(COUNTS).double())
    repeated = Rows(torch.tensor(X.repeat(COUNTS, axis=0)))
    for a, b in zip(*(ladder_of(r, 4) for r in (weighted, repeated)), strict=True):
        torch.testing.assert_close(a.means, b.means, atol=1e-6, rtol=1e-6)
