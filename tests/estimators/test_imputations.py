"""Imputed values against conditional distributions that are known."""

import numpy as np
import pandas as pd
import pytest

from skflow import SurVAEFlow

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
N_DRAWS = 64  # that a mean, a median and a most frequent category are taken over
SLOPE, DEVIATION = 2.0, 0.5  # of a column given another one


def table(x, seed):
    """A number, one given it, a category given its sign, levels given its size."""
    n, rng = len(x), np.random.default_rng(seed)
    likely = rng.uniform(size=n) < 0.85
    level = np.digitize(x + 0.2 * rng.normal(size=n), [-1, 0, 1])
    return pd.DataFrame(
        {
            "x": x,
            "y": 1 + SLOPE * x + DEVIATION * rng.normal(size=n),
            "sign": np.where((x > 0) == likely, "plus", "minus"),
            "level": pd.Categorical.from_codes(level, ["a", "b", "c", "d"], ordered=True),
        }
    )


@pytest.fixture(scope="module")
def flow():
    X = table(np.random.default_rng(0).normal(size=3_000), seed=1)
    return SurVAEFlow(max_iter=25, hidden_layer_sizes=(32, 32), random_state=0).fit(X)


@pytest.fixture(scope="module")
def rows():
    """Rows well within the data, none near a change of sign or of level."""
    x = np.repeat([-1.5, -0.5, 0.5, 1.5], 50) + np.tile(np.linspace(-0.1, 0.1, 50), 4)
    return table(x, seed=2)


def without(rows, *columns):
    return rows.assign(**{c: rows[c].where(np.zeros(len(rows), bool)) for c in columns})


@pytest.mark.parametrize("strategy", ["sample", "mean", "median"])
def test_numbers_follow_their_conditional_distribution(flow, rows, strategy):
    holed = without(rows, "y", "sign", "level")
    filled = flow.impute(holed, strategy=strategy, random_state=0)["y"]
    error = filled - (1 + SLOPE * rows["x"])
    # Of one draw, of the mean of 64, of their median.
    factor = {"sample": 1, "mean": 1 / 8, "median": np.sqrt(np.pi / 2) / 8}[strategy]
    deviation = DEVIATION * factor
    # The fitted conditional mean is off by a few hundredths itself.
    assert abs(error.mean()) < 4 * deviation / np.sqrt(len(rows)) + 0.06
    assert 0.8 * deviation < error.std() < 1.25 * deviation + 0.06


@pytest.mark.parametrize("strategy", ["mean", "median"])
def test_typical_values_are_those_of_the_draws(flow, rows, strategy):
    holed = without(rows[:60], "y", "sign", "level")
    drawn = np.array([one["y"] for one in flow.impute(holed, 200, random_state=1)])
    typical = flow.impute(holed, strategy=strategy, random_state=0)["y"]
    expected = getattr(np, strategy)(drawn, axis=0)
    factor = np.sqrt(np.pi / 2) if strategy == "median" else 1
    error = factor * drawn.std(0) * np.hypot(1 / np.sqrt(N_DRAWS), 1 / np.sqrt(200))
    scaled = (typical - expected) / error
    assert abs(scaled.mean()) < 4 / np.sqrt(60) + 0.2  # the lower of two middle draws
    assert 0.7 < scaled.std() < 1.3


@pytest.mark.parametrize("strategy", ["mean", "median"])
def test_categories_are_the_most_frequent_ones(flow, rows, strategy):
    holed = without(rows, "y", "sign", "level")
    filled = flow.impute(holed, strategy=strategy, random_state=0)["sign"]
    clear = rows["x"].abs() > 1
    expected = np.where(rows["x"] > 0, "plus", "minus")
    assert (filled[clear] == expected[clear]).all()
    assert (filled == expected).mean() > 0.95
    drawn = np.array([one["sign"] for one in flow.impute(holed, 50, random_state=0)])
    share = (drawn == expected)[:, clear].mean()
    assert share == pytest.approx(0.85, abs=0.05)


@pytest.mark.parametrize("strategy", ["mean", "median"])
def test_levels_are_the_median_ones(flow, rows, strategy):
    holed = without(rows, "y", "sign", "level")
    filled = flow.impute(holed, strategy=strategy, random_state=0)["level"]
    # At -1.5, -0.5, 0.5 and 1.5 the level in the middle is all but certain.
    assert (filled.cat.codes == np.digitize(rows["x"], [-1, 0, 1])).mean() > 0.98
    assert list(filled.cat.categories) == ["a", "b", "c", "d"]
