"""What kind of values a numeric column holds."""

import numpy as np
import pytest

from skflow.data.column_kinds import MIN_ATOM_LEVELS, numeric_kind
from skflow.data.grids import on_grid

RNG = np.random.default_rng(0)
A = RNG.standard_normal(1_000)


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
    values = RNG.permutation(10**6)[:500].astype(float)
    assert numeric_kind(values).kind == "lattice"


def test_rounding_errors_make_no_new_levels():
    values = np.rint(10 * A) * 0.1
    noisy = values + np.where(RNG.random(1000) < 0.5, 0, 1e-16)
    assert numeric_kind(noisy).step == pytest.approx(0.1, rel=1e-6)


def test_few_irregular_values_are_levels():
    kind = numeric_kind(RNG.choice([0.1, 0.37, 2.0, 9.1], 300))
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
    values = np.where(RNG.random(1000) < 0.3, 0.0, np.where(RNG.random(1000) < 0.2, 1.5, A))
    kind = numeric_kind(values)
    assert (kind.kind, kind.atoms) == ("continuous", (0.0, 1.5))


def test_atoms_of_a_lattice_stand_out_from_their_neighbours():
    values = np.where(RNG.random(1000) < 0.3, 0.0, np.rint(20 * A))
    kind = numeric_kind(values)
    assert (kind.kind, kind.atoms) == ("lattice", (0.0,))
    # A peak of its own is none: every level has its cell.
    assert numeric_kind(np.rint(4 * A)).atoms == ()


def test_few_levels_of_a_lattice_need_no_atoms():
    values = np.where(RNG.random(1000) < 0.8, 0.0, RNG.integers(0, MIN_ATOM_LEVELS, 1000))
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


@pytest.mark.parametrize(
    ("distinct", "step"), [([0, 4, 10], 2), ([6, 10, 15], 1), ([0, 6, 10, 15], 1), ([3, 9, 24], 3)]
)
def test_the_step_divides_all_gaps_and_may_be_none_of_them(distinct, step):
    kind = numeric_kind(np.repeat(distinct, 50).astype(float))
    assert (kind.kind, kind.step, kind.origin) == ("lattice", step, distinct[0])


@pytest.mark.parametrize("offset", [0.0, -3.0, 1e6, 2.0**40])
def test_lattices_between_the_whole_numbers(offset):
    values = offset + RNG.integers(0, 9, 400) + 0.5
    kind = numeric_kind(values)
    assert (kind.kind, kind.step) == ("lattice", 1.0)
    assert (kind.origin - offset) % 1 == 0.5
    np.testing.assert_array_equal(kind.origin + np.rint(values - kind.origin), values)


@pytest.mark.parametrize(
    ("step", "per_unit"),
    [
        (0.1, 10),
        (0.05, 100),
        (1e-6, 10**6),
        (0.25, 100),
        (2.0**-20, None),
        (1 / 3, 3),
        (1 / 255, 255),
    ],
)
@pytest.mark.parametrize("offset", [0, 7, -1000, 10**6])
def test_the_values_of_a_lattice_are_fractions_to_the_last_bit(step, per_unit, offset):
    share = round(1 / step)  # the values are whole numbers divided by it
    whole = share * offset + np.r_[0, 1, RNG.integers(0, 200, 1_000)]
    values = whole / share
    kind = numeric_kind(values)
    assert kind.kind == "lattice"
    assert kind.step == step
    if per_unit is not None:
        assert kind.per_unit == per_unit
    near = values + 1e-3 * step * RNG.uniform(-1, 1, len(values))
    np.testing.assert_array_equal(on_grid(near, kind.per_unit), values)


@pytest.mark.parametrize("offset", [0.0, 50.0, 1000.0])
def test_rounded_numbers_in_single_precision(offset):
    values = (offset + RNG.integers(0, 90, 1_000) / 10).astype(np.float32)
    kind = numeric_kind(values.astype(float))
    assert (kind.kind, kind.step, kind.per_unit) == ("lattice", 0.1, 10)
    drawn = on_grid(values.astype(float), kind.per_unit)
    np.testing.assert_array_equal(drawn.astype(np.float32), values)


def test_a_lattice_of_no_fraction_stays_as_measured():
    kind = numeric_kind(np.sqrt(2) * RNG.integers(0, 9, 500))
    assert (kind.kind, kind.per_unit) == ("lattice", 0)
    assert kind.step == pytest.approx(np.sqrt(2), rel=1e-12)
    values = 0.3 + np.sqrt(2) * np.tile(np.arange(9), 50)
    kind = numeric_kind(values)
    assert (kind.kind, kind.per_unit) == ("lattice", 0)
    on_lattice = kind.origin + kind.step * np.rint((values - kind.origin) / kind.step)
    np.testing.assert_allclose(on_lattice, values, rtol=1e-12)


def test_atoms_of_a_lattice_are_on_it():
    values = np.where(RNG.random(1000) < 0.3, 0.1 + 0.2, np.rint(20 * A) / 10)
    assert numeric_kind(values).atoms == (0.3,)


@pytest.mark.parametrize("scale", [1.0, 1e3, 1e6])
def test_timestamps_are_lattices_of_their_unit(scale):
    """In milliseconds, microseconds and nanoseconds, of which only every 256th is a float."""
    values = 1.7e12 * scale + RNG.integers(0, 500, 4_000) * max(1.0, scale / 1000)
    kind = numeric_kind(values)
    assert kind.kind == "lattice"
    assert kind.step == (256 if scale == 1e6 else 1)
    assert ((values - kind.origin) % kind.step == 0).all()


@pytest.mark.parametrize("offset", [0.5, 1e6, 1e9])
def test_what_is_near_an_atom_is_not_the_atom(offset):
    """The tolerance is a share of the spread, however large the numbers are."""
    values = np.where(RNG.random(1000) < 0.3, 0.0, A) + offset
    kind = numeric_kind(values)
    assert (kind.kind, kind.atoms) == ("continuous", (offset,))
    assert 0 < kind.tolerance < 1e-5
    levels = numeric_kind(offset + RNG.choice([0.125, 0.375, 2.0, 9.25], 300), ordinal=True)
    assert 0 < levels.tolerance < 1e-3
