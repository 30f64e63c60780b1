"""The one table of kinds of columns of mixed tables: plans and values."""

import math

import numpy as np

from skflow.data.column_plan import ColumnPlan


def chain(seed=0, n=400):
    """Standard normal numbers that go together, (n, 3)."""
    r = np.random.RandomState(seed)
    a = r.randn(n)
    return np.stack([a, 0.8 * a + 0.6 * r.randn(n), -0.5 * a + 0.9 * r.randn(n)], 1), r


# Name -> plan, and a column of values from normal numbers and a random state.
COLUMNS = {
    "categorical": (
        ColumnPlan("categorical", n_levels=3),
        lambda a, r: np.digitize(a, [-0.5, 0.7]).astype(float),
    ),
    "integers": (ColumnPlan("lattice", step=1.0), lambda a, r: np.rint(2 * a)),
    "smooth_integers": (
        ColumnPlan("lattice", step=1.0, n_knots=6),
        lambda a, r: np.rint(10 * a),
    ),
    "fine": (
        ColumnPlan("lattice", step=1.0, n_knots=6, fine=True, bounds=(0.0, math.inf)),
        lambda a, r: np.rint(1e6 * np.exp(a)),
    ),
    "fine_atoms": (
        ColumnPlan("lattice", step=0.5, fine=True, atoms=(0.0,)),
        lambda a, r: np.where(r.rand(len(a)) < 0.4, 0.0, 0.5 * np.rint(1e6 * a)),
    ),
    "rounded": (
        ColumnPlan("lattice", step=0.25, origin=0.1),
        lambda a, r: 0.1 + 0.25 * np.rint(8 * a),
    ),
    "lattice_atoms": (
        ColumnPlan("lattice", step=0.5, atoms=(0.0, 2.5)),
        lambda a, r: np.where(r.rand(len(a)) < 0.3, 2.5 * (a > 0), 0.5 * np.rint(3 * a)),
    ),
    "bounded_integers": (
        ColumnPlan("lattice", step=1.0, bounds=(0.0, 7.0)),
        lambda a, r: np.rint(2 + a).clip(0, 4),
    ),
    "smooth_bounded": (
        ColumnPlan("lattice", step=1.0, n_knots=5, bounds=(0.0, math.inf)),
        lambda a, r: np.rint(np.exp(a)),
    ),
    "heaped": (
        ColumnPlan("lattice", step=1.0, n_knots=5, prior_rows=20.0, bounds=(-60.0, 80.0)),
        lambda a, r: np.where(r.rand(len(a)) < 0.3, 5 * np.rint(3 * a), np.rint(15 * a)),
    ),
    "constant": (ColumnPlan("levels", levels=(4.0,)), lambda a, r: np.full(len(a), 4.0)),
    "levels": (
        ColumnPlan("levels", levels=(-1.0, 0.2, 0.3, 7.0)),
        lambda a, r: np.array([-1.0, 0.2, 0.3, 7.0])[np.digitize(a, [-1, 0, 1])],
    ),
    "continuous": (ColumnPlan("continuous", n_knots=8), lambda a, r: np.exp(a / 2) + a),
    "standardised": (ColumnPlan("continuous"), lambda a, r: 3 + 5 * a),
    "atoms": (
        ColumnPlan("continuous", atoms=(0.0, 1.5), n_knots=6),
        lambda a, r: np.where(r.rand(len(a)) < 0.4, 1.5 * (a > 0), a),
    ),
    "positive": (
        ColumnPlan("continuous", bounds=(0.0, math.inf), n_knots=6),
        lambda a, r: np.exp(a),
    ),
    "interval": (
        ColumnPlan("continuous", bounds=(-2.0, 3.0)),
        lambda a, r: 5 / (1 + np.exp(-a)) - 2,
    ),
    "symmetric": (
        ColumnPlan("continuous", symmetric=True, bounds=(0.0, math.inf)),
        lambda a, r: np.where(r.rand(len(a)) < 0.5, 1, -1) * (2 + 0.7 * a),
    ),
    "symmetric_zero": (
        ColumnPlan("continuous", symmetric=True, bounds=(0.0, math.inf), atoms=(0.0,)),
        lambda a, r: np.where(r.rand(len(a)) < 0.3, 0.0, 3 * a),
    ),
    "symmetric_integers": (
        ColumnPlan("lattice", step=1.0, symmetric=True, bounds=(0.0, math.inf)),
        lambda a, r: np.rint(1.5 * a),
    ),
    "angle": (ColumnPlan("continuous", period=2.0), lambda a, r: 0.6 * a),
    "hours": (
        ColumnPlan("lattice", step=1.0, period=7.0),
        lambda a, r: np.rint(2 * a),
    ),
}
MISSING = {"categorical", "lattice_atoms", "levels", "continuous", "atoms", "hours", "positive"}


def plan_of(name, missing=False):
    plan = COLUMNS[name][0]
    fields = {k: getattr(plan, k) for k in plan.__dataclass_fields__}
    return ColumnPlan(**fields | {"missing": missing})
