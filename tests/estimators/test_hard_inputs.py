"""Ugly tables: a fit works or says why not, and never ends in NaN."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import DataConversionWarning

from tests.estimators.configurations import quick_flow

RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=(200, 3))


def with_column(column):
    return np.column_stack([NORMAL, column])


def outlier():
    X = NORMAL.copy()
    X[7, 1] = 1e9
    return X


CONTINUOUS = {
    "two rows": NORMAL[:2],
    "nineteen rows": NORMAL[:19],
    "twenty rows": NORMAL[:20],
    "one feature": NORMAL[:, :1],
    "duplicated column": with_column(NORMAL[:, 0]),
    "1e12 scaled": NORMAL * 1e12 + 1e14,
    "1e-12 scaled": NORMAL * 1e-12,
    "Cauchy tails": RNG.standard_cauchy(size=(300, 3)),
    "one outlier at 1e9": outlier(),
    "2,000 features x 50 rows": RNG.normal(size=(50, 2000)),
    "nullable floats": pd.DataFrame(NORMAL).astype("Float64"),
    "float32": NORMAL.astype(np.float32),
}
REPEATING = {
    "constant column": with_column(np.full(200, 7.0)),
    "constant zero": with_column(np.zeros(200)),
    "all rows equal": np.full((30, 3), 2.5),
    "integers": RNG.integers(0, 10, size=(200, 3)),
    "float16": NORMAL.astype(np.float16).round(1),
    "zero inflated": with_column(np.where(RNG.uniform(size=200) < 0.5, 0.0, RNG.normal(size=200))),
    "nullable integers": pd.DataFrame(RNG.integers(0, 5, size=(100, 2))).astype("Int64"),
}


def fit_and_look(X):
    flow = quick_flow().fit(X)
    scores = flow.score_samples(X)
    assert np.isfinite(scores).all()
    assert np.isfinite(np.asarray(flow.sample(20, random_state=0), dtype=float)).all()
    assert np.isfinite(flow.transform(X)).all()
    assert all(value.isfinite().all() for value in flow.flow_.state_dict().values())
    return flow, scores


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous(name):
    fit_and_look(CONTINUOUS[name])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", REPEATING)
def test_repeated_values_warn_once_and_bound_the_density(name):
    with pytest.warns(DataConversionWarning, match="noise_floor_") as caught:
        flow, scores = fit_and_look(REPEATING[name])
    assert len([w for w in caught if w.category is DataConversionWarning]) == 1
    width = flow.noise_floor_[flow.noise_floor_ > 0]
    assert len(width)
    scores += np.log(width).sum()
    # At most the peak of a normal in place of a cell of width 1, and of a standard normal.
    n_free = flow.n_features_in_ - len(width)
    peaks = len(width) * np.log(12 / (2 * np.pi)) / 2 - n_free * np.log(2 * np.pi) / 2
    assert scores.max() < peaks + 0.3
    if name in NEGATIVE_ENTROPY:
        # The standard error is 0.09 at most; a start fitted to 200 rows flatters them a little.
        assert scores.mean() == pytest.approx(NEGATIVE_ENTROPY[name], abs=0.4)


NORMAL_COLUMNS = -1.5 * np.log(2 * np.pi * np.e)
NEGATIVE_ENTROPY = {  # of the true density, repeating columns in units of their noise floor
    "constant column": NORMAL_COLUMNS,
    "constant zero": NORMAL_COLUMNS,
    "integers": -3 * np.log(10),
    "float16": NORMAL_COLUMNS + 3 * np.log(0.1),
    "nullable integers": -2 * np.log(5),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_lattice_gets_its_step():
    with pytest.warns(DataConversionWarning):
        flow = quick_flow().fit(with_column(0.25 * RNG.integers(0, 40, 200)))
    np.testing.assert_allclose(flow.noise_floor_, [0, 0, 0, 0.25])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_max_time_stops_and_keeps_the_best():
    X = RNG.normal(size=(2000, 4)) ** 3
    flow = quick_flow(max_iter=100_000, max_time=0.5, start="standard", base="normal").fit(X)
    assert flow.n_iter_ < 100_000
    assert flow.history_["seconds"][-1] < 5
    assert flow.best_score_ >= flow.start_score_
