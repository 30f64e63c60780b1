"""Never worse than the classics, on small tables where flows usually lose."""

import numpy as np
import pytest
from sklearn.callback import ProgressBar
from sklearn.datasets import load_wine, make_circles, make_moons, make_swiss_roll
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity

from skflow import NormalizingFlow
from tests.estimators.configurations import quick_flow

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning"),
]
TABLES = {
    "moons": lambda: make_moons(1500, noise=0.1, random_state=0)[0],
    "circles": lambda: make_circles(1500, noise=0.06, factor=0.5, random_state=0)[0],
    "spiral": lambda: make_swiss_roll(1500, noise=0.3, random_state=0)[0][:, [0, 2]],
    "wine": lambda: np.random.default_rng(0).permutation(load_wine().data),
    "gaussian": lambda: np.random.default_rng(0).multivariate_normal(
        np.zeros(3), [[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1e4]], 600
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_default_is_not_worse_than_the_classics(name):
    X = TABLES[name]()
    cut = 2 * len(X) // 3
    train, test = X[:cut], X[cut:]
    scale = train.std(0)
    flow = NormalizingFlow(random_state=0).fit(train)
    ours = flow.score_samples(test)
    mixture = min(
        (GaussianMixture(k, random_state=0).fit(train / scale) for k in (1, 2, 4, 8, 16)),
        key=lambda m: m.bic(train / scale),
    )
    kernel = GridSearchCV(KernelDensity(), {"bandwidth": np.geomspace(0.03, 1, 15)})
    for peer in (mixture, kernel.fit(train / scale).best_estimator_):
        difference = ours - (peer.score_samples(test / scale) - np.log(scale).sum())
        error = difference.std() / np.sqrt(len(test))
        assert difference.mean() > -max(0.02, error), type(peer).__name__


def test_the_gaussian_start_is_the_gaussian():
    X = np.random.default_rng(0).multivariate_normal([1, 2], [[2, 1], [1, 1]], 4000)
    flow = NormalizingFlow(
        start="whiten", base="normal", n_layers=0, early_stopping=False, max_iter=1, random_state=0
    ).fit(X)
    truth = GaussianMixture(1).fit(X)
    np.testing.assert_allclose(flow.score_samples(X), truth.score_samples(X), atol=0.05)


def test_two_moons_reach_what_spline_flows_reach():
    """1.25 nats standardised is the figure a trained spline flow is held to."""
    X = make_moons(6000, noise=0.05, random_state=0)[0]
    X = X / X.std(0)
    flow = NormalizingFlow(max_iter=40, random_state=0).fit(X[:5000])
    assert -flow.score(X[5000:]) < 1.25


def test_scikit_learns_progress_bar():
    X = TABLES["moons"]()
    flow = quick_flow().set_callbacks(ProgressBar()).fit(X)
    assert flow.n_iter_ == 3
