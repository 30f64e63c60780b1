"""Which columns repeat their values, and how wide their noise is."""

import numpy as np
import pytest

from skflow.data.noise_floor import find_noise_floor

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
    assert len(np.unique(floor.inseparable)) == 50
    assert find_noise_floor(X).inseparable is None


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
