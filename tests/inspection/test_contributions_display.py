"""The bars of a row: order, number, sums and errors."""

import sys

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from skflow.inspection import LikelihoodContributionsDisplay, likelihood_contributions

NAMES = np.array(["a", "b", "c", "d"], dtype=object)
DEVIATIONS = np.array([0.5, -3.0, 1.0, -0.25])


@pytest.fixture
def pyplot():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("Agg")
    yield pyplot
    pyplot.close("all")


def labels(display):
    return [text.get_text() for text in display.ax_.get_yticklabels()]


def test_bars_are_in_order_of_magnitude(pyplot):
    display = LikelihoodContributionsDisplay(DEVIATIONS, NAMES, score=-7.0).plot()
    assert labels(display) == ["b", "c", "a", "d"]
    assert [bar.get_width() for bar in display.bars_] == [-3.0, 1.0, 0.5, -0.25]
    assert display.ax_.yaxis_inverted()  # the first bar is on top
    assert "nats" in display.ax_.get_xlabel()
    assert display.ax_.get_title() == "log-density -7"
    assert display.figure_ is display.ax_.figure


def test_small_ones_are_summed(pyplot):
    _, ax = pyplot.subplots()
    display = LikelihoodContributionsDisplay(DEVIATIONS, NAMES).plot(ax, n_features=2, color="C0")
    assert display.ax_ is ax
    assert labels(display) == ["b", "3 other columns"]
    assert [bar.get_width() for bar in display.bars_] == [-3.0, 1.25]
    with pytest.raises(ValueError, match="n_features=0"):
        display.plot(n_features=0)


def test_from_an_estimator(pyplot):
    X = np.random.default_rng(0).normal(size=(200, 3))
    X[4, 1] = 9
    density = GaussianMixture().fit(X)
    display = LikelihoodContributionsDisplay.from_estimator(density, X, row=4, n_features=2)
    assert labels(display) == ["x1", "2 other columns"]
    found = likelihood_contributions(density, X)
    np.testing.assert_allclose(display.deviations, found.deviations[4], atol=1e-8)
    np.testing.assert_array_equal(found.display(4).deviations, found.deviations[4])


def test_a_row_of_density_zero_is_refused_by_column(pyplot):
    display = LikelihoodContributionsDisplay(np.array([0, -np.inf]), NAMES[:2])
    with pytest.raises(ValueError, match=r"because of \['b'\]"):
        display.plot()


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"scikit-flow\[plot\]"):
        LikelihoodContributionsDisplay(DEVIATIONS, NAMES).plot()
