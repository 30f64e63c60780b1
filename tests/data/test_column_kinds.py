"""What kind of values a numeric column holds."""

import numpy as np
import pytest

from skflow.data.column_kinds import MIN_ATOM_LEVELS, numeric_kind

R = np.random.RandomState(0)
A = R.randn(1_000)


def test_points_have_a_density():
    kind = numeric_kind(A)
    assert (kind.kind, kind.atoms, kind.step) == ("continuous", (), 0.0)


@pytest.mark.parametrize("unit", [1e-12, 1e-3, 1.0, 1e12])
def test_points_of_any_unit(unit):
    assert numeric_kind(unit * A).kind == "continuous"


@pytest.mark.parametrize(("step", "shift"), [(1, 0), (5, 3), (2, -7), (1, 10**12), (10**6, 0)])
def test_whole_numbers_are_on_the_coarsest_lattice(step, shift):
    values = shift + step * np.rint(5 * A)
    kind = numeric_kind(values)
    assert (kind.kind, kind.step) == ("lattice", float(step))
    assert ((values - kind.origin) % step == 0).all()


@pytest.mark.parametrize("step", [0.1, 0.25, 1e-3, 1e-9, 2.5e7 + 0.5])
def test_rounded_numbers_are_on_a_lattice(step):
    kind = numeric_kind(step * np.rint(A / 0.05))
    assert kind.kind == "lattice"
    assert kind.step == pytest.approx(step, rel=1e-6)


def test_all_whole_numbers_apart_are_a_lattice_too():
    values = R.permutation(10**6)[:500].astype(float)
    assert numeric_kind(values).kind == "lattice"


def test_rounding_errors_make_no_new_levels():
    values = np.rint(10 * A) * 0.1
    noisy = values + np.where(R.rand(1000) < 0.5, 0, 1e-16)
    assert numeric_kind(noisy).step == pytest.approx(0.1, rel=1e-6)


def test_few_irregular_values_are_levels():
    kind = numeric_kind(R.choice([0.1, 0.37, 2.0, 9.1], 300))
    assert (kind.kind, kind.levels) == ("levels", (0.1, 0.37, 2.0, 9.1))


def test_ordinal_columns_are_levels_whatever_they_hold():
    assert numeric_kind(np.array([3.0, 1.0, 2.0, 1.0]), ordinal=True).levels == (1.0, 2.0, 3.0)
    assert len(numeric_kind(A[:50], ordinal=True).levels) == 50


@pytest.mark.parametrize("value", [0.0, -3.0, 0.37, 1e12, 1e-12])
@pytest.mark.parametrize("n", [1, 2, 50])
def test_a_constant_is_one_level(value, n):
    kind = numeric_kind(np.full(n, value))
    assert (kind.kind, kind.levels) == ("levels", (value,))


def test_frequent_values_of_a_density_are_atoms():
    values = np.where(R.rand(1000) < 0.3, 0.0, np.where(R.rand(1000) < 0.2, 1.5, A))
    kind = numeric_kind(values)
    assert (kind.kind, kind.atoms) == ("continuous", (0.0, 1.5))


def test_atoms_of_a_lattice_stand_out_from_their_neighbours():
    values = np.where(R.rand(1000) < 0.3, 0.0, np.rint(20 * A))
    kind = numeric_kind(values)
    assert (kind.kind, kind.atoms) == ("lattice", (0.0,))
    # A peak of its own is none: every level has its cell.
    assert numeric_kind(np.rint(4 * A)).atoms == ()


def test_few_levels_of_a_lattice_need_no_atoms():
    values = np.where(R.rand(1000) < 0.8, 0.0, R.randint(0, MIN_ATOM_LEVELS, 1000))
    assert numeric_kind(values).atoms == ()


def test_an_atom_at_the_end_of_a_lattice():
    values = np.rint(np.clip(50 + 40 * A, 0, 100))
    assert set(numeric_kind(values).atoms) >= {0.0, 100.0}


@pytest.mark.parametrize("n", [2, 3, 5, 20])
def test_few_rows(n):
    for values in (A[:n], np.rint(3 * A[:n]), np.r_[A[: n - 1], A[0]]):
        assert numeric_kind(values).kind in ("continuous", "lattice", "levels")


def test_numbers_too_large_to_be_counted():
    assert numeric_kind(np.rint(A * 1e18)).kind == "continuous"
    assert numeric_kind(np.array([-(2.0**52), 2.0**52, 7.0])).kind == "lattice"
