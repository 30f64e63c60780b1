"""Contributions of columns: exact sums, closed forms, and the corrupted column is the one named."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from skflow import NormalizingFlow, SurVAEFlow
from skflow.inspection import likelihood_contributions


class Gaussian(BaseEstimator):
    """The true density, with the interface of a fitted estimator."""

    def __init__(self, covariance):
        self.covariance = covariance
        self.density_ = multivariate_normal(np.arange(len(covariance)), covariance)

    def fit(self, X, y=None):
        return self

    def score_samples(self, X):
        return np.atleast_1d(self.density_.logpdf(X))

    def sample(self, n_samples=1, random_state=None):
        return self.density_.rvs(n_samples, random_state=random_state)

    def conditional(self, X):
        """Log-density of every cell given the others of its row."""
        precision = np.linalg.inv(self.covariance)
        variance = 1 / np.diag(precision)
        square = ((X - self.density_.mean) @ precision) ** 2 * variance
        return -0.5 * (square + np.log(2 * np.pi * variance))


def dependent(n, seed=0):
    """Five columns of different units that say much about each other."""
    z = np.random.default_rng(seed).normal(size=(n, 5))
    a = z[:, 0]
    b = 100 * (a + 0.1 * z[:, 1])
    c = np.sin(a) + 0.1 * z[:, 2]
    d = 0.01 * (z[:, 3] + a)
    return np.column_stack([a, b, c, d, a * z[:, 3] + 0.1 * z[:, 4]])


@pytest.fixture(scope="module")
def flow():
    names = ["a", "b", "c", "d", "e"]
    frame = pd.DataFrame(dependent(2000), columns=names)
    settings = {"start": "whiten", "base": "normal", "early_stopping": False}
    return NormalizingFlow(**settings, max_iter=15, random_state=0).fit(frame)


@pytest.fixture(scope="module")
def rows(flow):
    return pd.DataFrame(dependent(60, seed=1), columns=flow.feature_names_in_)


def centred(values):
    """Without what the columns share."""
    return values - values.mean(1, keepdims=True)


@pytest.mark.parametrize("correlation", [0.5, 0.999])
@pytest.mark.parametrize("unit", [0.1, 1.0])
def test_a_gaussian_has_its_conditional_densities(correlation, unit):
    covariance = np.array([[1, correlation, 0.3], [correlation, 1, 0.3], [0.3, 0.3, 1]])
    scale = np.array([1, unit, 1 / unit])
    density = Gaussian(covariance * np.outer(scale, scale))
    X = density.sample(50, random_state=1)
    X[0, 0] += 8  # alone: far off its conditional density
    X[1] += 8 * scale  # with the others
    X[2, 2] += 1e4 * scale[2]
    found = likelihood_contributions(density, X)
    np.testing.assert_allclose(found.values.sum(1), density.score_samples(X), rtol=1e-10)
    truth = density.conditional(X)
    np.testing.assert_allclose(centred(found.values), centred(truth), rtol=1e-6, atol=0.01)
    typical = density.sample(5000, random_state=2)
    usual = centred(density.conditional(typical)).mean(0)
    np.testing.assert_allclose(found.reference - found.reference.mean(), usual, atol=0.15)
    assert found.deviations[0].argmin() == 0
    assert found.deviations[2].argmin() == 2


def test_a_mixture_of_one_component_too():
    X = dependent(300)
    mixture = GaussianMixture().fit(X)
    density = Gaussian(mixture.covariances_[0])
    found = likelihood_contributions(mixture, X[:20])
    shifted = X[:20] - mixture.means_ + density.density_.mean
    expected = centred(density.conditional(shifted))
    np.testing.assert_allclose(centred(found.values), expected, atol=0.01)
    again = likelihood_contributions(mixture, X[:20])
    np.testing.assert_array_equal(found.deviations, again.deviations)


def test_where_a_density_ends():
    X = np.random.default_rng(0).uniform(size=(500, 2))
    density = KernelDensity(kernel="tophat", bandwidth=0.3).fit(X)
    rows = np.array([[0.5, 0.5], [0.5, 3.0], [3.0, 3.0]])
    found = likelihood_contributions(density, rows, reference=X[:50])
    np.testing.assert_allclose(found.values[0].sum(), found.scores[0], rtol=1e-10)
    np.testing.assert_array_equal(found.values[1], [0, -np.inf])
    np.testing.assert_array_equal(found.values[2], [-np.inf, -np.inf])
    # Nearly uniform within its reach: p(x2 | x1) is about 1 / 1.4.
    step = np.linspace(-1, 2, 3001)
    line = np.exp(density.score_samples(np.column_stack([np.full(3001, 0.5), step])))
    first = np.exp(density.score_samples(np.column_stack([step, np.full(3001, 0.5)])))
    difference = np.log(line.sum() / first.sum())
    assert found.values[0, 0] - found.values[0, 1] == pytest.approx(difference, abs=0.03)


class Box(BaseEstimator):
    """Uniform from 0 to ``high``, and a standard normal beside it."""

    def __init__(self, high=1.0):
        self.high = high

    def fit(self, X=None, y=None):
        self.is_fitted_ = True
        return self

    def score_samples(self, X):
        inside = (X[:, 0] > 0) & (X[:, 0] < self.high)
        normal = -0.5 * (X[:, 1] ** 2 + np.log(2 * np.pi))
        return np.where(inside, -np.log(self.high), -np.inf) + normal


def test_half_of_the_interval_counts_in_which_a_density_ends():
    """An end may lie anywhere in its interval: right on average, over many boxes."""
    rng = np.random.default_rng(0)
    errors = []
    for high in np.linspace(1, 2, 60):
        typical = np.column_stack([rng.uniform(0, high, 30), rng.normal(size=30)])
        density, row = Box(high).fit(), typical[:1]
        (uniform, normal), *_ = likelihood_contributions(density, row, reference=typical).values
        errors.append(uniform - normal + np.log(high) - 0.5 * (row[0, 1] ** 2 + np.log(2 * np.pi)))
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(len(errors))
    assert np.std(errors) < 0.01


def test_contributions_add_up_to_the_score(flow, rows):
    found = likelihood_contributions(flow, rows)
    assert found.values.shape == found.deviations.shape == rows.shape
    np.testing.assert_array_equal(found.scores, flow.score_samples(rows))
    np.testing.assert_allclose(found.values.sum(1), found.scores, atol=1e-10)
    np.testing.assert_array_equal(found.deviations, found.values - found.reference)
    assert list(found.feature_names) == list(rows)


def test_a_row_is_on_its_own_and_the_same_every_time(flow, rows):
    found = likelihood_contributions(flow, rows)
    order = np.random.default_rng(0).permutation(len(rows))[:7]
    some = likelihood_contributions(flow, rows.iloc[order])
    np.testing.assert_array_equal(some.reference, found.reference)
    np.testing.assert_allclose(some.values, found.values[order], rtol=0, atol=1e-8)


def test_the_corrupted_column_deviates_most(flow, rows):
    rng = np.random.default_rng(0)
    columns = rng.integers(5, size=60)
    odd = rows.to_numpy(copy=True)
    odd[np.arange(60), columns] += 3 * rng.choice([-1, 1], 60) * odd.std(0)[columns]
    found = likelihood_contributions(flow, pd.DataFrame(odd, columns=rows.columns))
    assert np.mean(found.deviations.argmin(1) == columns) > 0.9


def test_units_do_not_matter():
    X, scale = dependent(300), np.array([1, 1e3, 1e-3, 1, 7])
    mixtures = GaussianMixture().fit(X), GaussianMixture(reg_covar=0).fit(X * scale)
    mixtures[1].means_ = mixtures[0].means_ * scale
    mixtures[1].precisions_cholesky_ = mixtures[0].precisions_cholesky_ / scale[:, None]
    plain = likelihood_contributions(mixtures[0], X[:9], reference=X[100:200])
    scaled = likelihood_contributions(mixtures[1], X[:9] * scale, reference=X[100:200] * scale)
    np.testing.assert_allclose(scaled.deviations, plain.deviations, atol=1e-6)


def test_factorised_densities_give_their_own_columns():
    rng = np.random.default_rng(0)
    size = rng.normal(size=400)
    table = pd.DataFrame(
        {
            "size": np.where(rng.uniform(size=400) < 0.1, np.nan, size),
            "kind": np.where(size + 0.3 * rng.normal(size=400) > 0, "large", "small"),
        }
    )
    flow = SurVAEFlow(max_iter=2, random_state=0).fit(table)
    found = likelihood_contributions(flow, table)
    np.testing.assert_array_equal(found.values, flow.score_columns(table))
    np.testing.assert_allclose(found.values.sum(1), flow.score_samples(table), atol=1e-10)
    given = likelihood_contributions(flow, table.head(), reference=table)
    np.testing.assert_allclose(given.reference, flow.score_columns(table).mean(0))
    assert list(given.feature_names) == ["size", "kind"]


def test_errors_say_what_is_wrong(flow, rows):
    with pytest.raises(NotFittedError):
        likelihood_contributions(NormalizingFlow(), rows)
    density = GaussianMixture().fit(rows.to_numpy())
    assert list(likelihood_contributions(density, rows.to_numpy()[:1]).feature_names)[-1] == "x4"
    with pytest.raises(ValueError, match="4 features"):
        likelihood_contributions(density, rows.to_numpy()[:, :4])
    with pytest.raises(ValueError, match="4 features"):
        likelihood_contributions(density, rows.to_numpy(), reference=rows.to_numpy()[:, :4])
    with pytest.raises(ValueError, match="n_grid=1"):
        likelihood_contributions(density, rows.to_numpy(), n_grid=1)
