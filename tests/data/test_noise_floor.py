"""Which columns repeat their values, and how wide their noise is."""

import numpy as np
import pytest

from skflow.data.noise_floor import column_resolution, find_noise_floor

RNG = np.random.default_rng(0)
SMOOTH = RNG.normal(size=500)


@pytest.mark.parametrize(
    ("column", "kind", "width"),
    [
        (SMOOTH, "continuous", 0),
        (SMOOTH.astype(np.float32), "continuous", 0),
        (RNG.integers(0, 30, 500), "lattice", 1),
        (0.1 * RNG.integers(-20, 20, 500), "lattice", 0.1),
        (SMOOTH.round(1) + 1e6, "lattice", 0.1),
        (1e-9 * RNG.integers(0, 8, 500), "lattice", 1e-9),
    ],
)
def test_kind_and_width(column, kind, width):
    floor = find_noise_floor(np.column_stack([column, SMOOTH]).astype(float))
    assert floor.kinds == (kind, "continuous")
    np.testing.assert_allclose(floor.width, [width, 0], rtol=1e-4)


def test_atoms_get_the_resolution_of_their_column():
    column = np.where(RNG.uniform(size=500) < 0.3, 0.0, SMOOTH)
    floor = find_noise_floor(np.column_stack([column, SMOOTH]))
    assert floor.kinds[0] == "atoms"
    assert floor.width[0] == pytest.approx(np.median(np.diff(np.unique(column))))


@pytest.mark.parametrize("value", [0.0, 7.0, -1e9])
def test_a_constant_gets_a_positive_width(value):
    floor = find_noise_floor(np.column_stack([np.full(50, value), SMOOTH[:50]]))
    assert floor.kinds[0] == "constant"
    assert floor.width[0] > 0


def test_repeated_rows_are_no_lattice():
    X = RNG.normal(size=(50, 3))
    repeated = np.repeat(X, 4, axis=0)
    floor = find_noise_floor(repeated)
    assert floor.kinds == ("continuous",) * 3
    assert floor.n_distinct == 50
    assert not floor.tells_apart
    assert floor.n_rows(None) == floor.n_rows(np.full(200, 3.0)) == 50
    assert find_noise_floor(np.rint(4 * X)).tells_apart


def test_values_that_differ_by_rounding_are_one():
    column = np.where(SMOOTH < 0, 0.3, 0.1 + 0.2) + RNG.integers(0, 3, 500)
    floor = find_noise_floor(np.column_stack([column, SMOOTH]))
    np.testing.assert_allclose(floor.width, [1, 0])


def test_a_constant_beside_one_lattice_gets_its_step():
    columns = [np.full(500, 3.0), RNG.integers(0, 9, 500), 2 * RNG.integers(0, 9, 500)]
    np.testing.assert_allclose(find_noise_floor(np.column_stack(columns)).width, [1, 1, 2])
    for other in (SMOOTH, 0.3 * RNG.integers(0, 9, 500)):  # no table of levels
        assert find_noise_floor(np.column_stack([*columns, other])).width[0] < 0.1
    beside = np.column_stack([np.full(500, 0.3), 1000 * RNG.integers(0, 9, 500)])
    assert find_noise_floor(beside).width[0] < 0.1


EPOCH = {"s": 1_700_000_000, "ms": 1_700_000_000_000, "us": 1_700_000_000_000_000}


@pytest.mark.parametrize("unit", EPOCH)
@pytest.mark.parametrize("steps", [1, 3, 1000])
def test_timestamps_with_repeats_are_a_lattice(unit, steps):
    offsets = np.r_[0, steps, steps * RNG.integers(0, 60, 498)]
    assert column_resolution(EPOCH[unit] + offsets.astype(float)) == (steps, "lattice")


def test_sparse_timestamps_have_the_smallest_gap_as_their_step():
    offsets = np.repeat(np.r_[0, 1, np.cumsum(RNG.integers(2, 9, 200))], 3)
    assert column_resolution(1.7e15 + offsets)[0] == 1.0


@pytest.mark.parametrize("step", [1_000, 1_000_000, 10**9])
def test_nanoseconds_are_spread_over_their_step(step):
    """Floating-point numbers of this size are 256 apart."""
    values = (1.7e18 + step * RNG.integers(0, 60, 500)).astype(float)
    width, kind = column_resolution(values)
    assert width == pytest.approx(step, abs=256)
    assert kind == ("lattice" if step > 1_000 else "atoms")
    fine = 1.7e18 + 256.0 * RNG.integers(0, 60, 500)
    assert column_resolution(fine) == (256.0, "lattice")


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6, -1e9, 1e12])
def test_the_kind_of_a_column_is_that_of_its_spread(offset):
    """Moved by a large number, a column is what it was."""
    eighths = RNG.integers(0, 30, 500) / 8
    assert column_resolution(eighths + offset) == (0.125, "lattice")
    atoms = np.where(RNG.uniform(size=500) < 0.3, 0.0, np.rint(SMOOTH * 2**10) / 2**10)
    repeated = np.r_[atoms, atoms]
    assert column_resolution(repeated + offset) == column_resolution(repeated)
    smooth = np.rint(SMOOTH * 2**12) / 2**12 + np.arange(500) / 2**4
    assert column_resolution(smooth + offset) == (0.0, "continuous")


@pytest.mark.parametrize("offset", [0.0, 10.0, 1e3, 1e4])
def test_single_precision_is_rounding(offset):
    values = (offset + 0.1 * RNG.integers(0, 30, 500)).astype(np.float32)
    width, kind = column_resolution(values.astype(float))
    assert kind == "lattice"
    assert width == pytest.approx(0.1, abs=2 * float(np.spacing(np.float32(offset + 3))))


def test_the_step_is_the_smallest_gap_not_the_usual_one():
    """{0, 1, 3, 5, 7, ...}: most gaps are 2."""
    values = RNG.permutation(np.repeat([0.0, *range(1, 60, 2)], 9))
    assert column_resolution(values) == (1.0, "lattice")
    floor = find_noise_floor(np.column_stack([values, RNG.permutation(values)]))
    assert floor.width.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("origin", [0.5, -2.25, 1e12 + 0.5])
def test_the_common_lattice_of_a_table_begins_anywhere(origin):
    """A constant on the lattice k + origin that all other columns share gets its step."""
    columns = [np.full(500, origin + 3), origin + RNG.integers(0, 9, (2, 500))]
    X = np.column_stack([columns[0], *columns[1]])
    np.testing.assert_array_equal(find_noise_floor(X).width, [1, 1, 1])
    X[:, 0] += 0.25
    assert find_noise_floor(X).width[0] != 1
    X[:, 1] += 0.25
    assert find_noise_floor(X).width[0] != 1
