"""One value for many draws."""

import math

import numpy as np
import pytest
import torch

from skflow.data.column_plan import ColumnPlan
from skflow.transforms.tables.encoding import TableEncoding
from skflow.transforms.tables.typical_values import typical_values

X = np.random.default_rng(0).uniform(-3.0, 5.0, size=(200, 1))


def encoding(values=X, **plan):
    plans = [ColumnPlan(**{"kind": "continuous", **plan}) for _ in values.T]
    encoding = TableEncoding(plans).double()
    encoding.initialize(torch.tensor(values))
    return encoding


@pytest.mark.parametrize("n_knots", [0, 16])
def test_a_span_is_that_of_the_values(n_knots):
    ((low, high),) = encoding(n_knots=n_knots).spans
    assert low == pytest.approx(X.min())
    assert high == pytest.approx(X.max())


def test_spans_of_all_kinds():
    whole = X.round()
    edges = tuple(np.arange(-3.5, 6.0))
    lattice = {"kind": "lattice", "step": 1.0, "edges": edges}
    assert encoding(whole, **lattice).spans == [(-3.5, 5.5)]
    assert encoding(whole, kind="levels", levels=tuple(np.unique(whole))).spans == [(-3.0, 5.0)]
    assert encoding(kind="continuous", atoms=(-9.0,)).spans[0] == pytest.approx((-9.0, X.max()))
    symmetric = encoding(symmetric=True).spans[0]
    assert symmetric == pytest.approx((-np.abs(X).max(), np.abs(X).max()))
    codes = np.zeros((10, 1))
    assert encoding(codes, kind="categorical", n_levels=2).spans == [(-math.inf, math.inf)]


def test_one_draw_from_far_away_is_not_the_mean():
    drawn = np.array([[[1.0]], [[2.0]], [[1e12]]])
    holes = np.array([[np.nan]])
    mean = typical_values(drawn, holes, encoding(), "mean")
    assert mean[0, 0] == pytest.approx((1 + 2 + X.max()) / 3)
    assert typical_values(drawn, holes, encoding(), "median")[0, 0] == 2.0
