"""Repeated rows and weighted rows become the same arrays."""

import numpy as np
import pytest

from skflow.data.repeated_rows import effective_number, in_rows, merged, row_groups

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
COUNTS = RNG.integers(1, 5, size=40)


def shuffled(*arrays):
    order = RNG.permutation(len(arrays[0]))
    return [a[order] for a in arrays]


def test_repeated_and_weighted_rows_merge_to_the_same_arrays():
    (repeated,) = shuffled(X.repeat(COUNTS, axis=0))
    rows, weight = shuffled(X, COUNTS.astype(float))
    one = merged(repeated, None, row_groups(repeated))
    other = merged(rows, weight, row_groups(rows))
    assert np.array_equal(one[0], other[0])
    assert np.array_equal(one[1], other[1])
    assert len(one[0]) == 40
    assert one[1].sum() == COUNTS.sum()
    found = {tuple(row): total for row, total in zip(*one, strict=True)}
    assert found == {tuple(row): count for row, count in zip(X, COUNTS, strict=True)}


def test_zeros_and_missing_cells_are_one_value_each():
    negative_nan = np.copysign(np.nan, -1)
    rows = np.array([[0.0, np.nan], [-0.0, negative_nan], [0.0, 1.0]])
    groups = row_groups(rows)
    assert groups[0] == groups[1] != groups[2]


def test_one_column_has_no_repeated_rows():
    assert np.array_equal(row_groups(np.ones((3, 1))), [0, 1, 2])


def test_the_effective_number_counts_equal_rows_and_forgives_heavy_ones():
    assert effective_number(np.full(7, 1e-300)) == pytest.approx(7)
    assert effective_number(np.array([1.0, 0.0, 1.0])) == pytest.approx(2)
    assert effective_number(1e300 * COUNTS) == pytest.approx(effective_number(COUNTS))
    assert effective_number(np.r_[np.ones(700), 300.0]) == pytest.approx(180.7, abs=0.1)


def test_weights_add_up_to_the_effective_number_whatever_their_unit():
    weight = in_rows(COUNTS.astype(float))
    assert weight.sum() == pytest.approx(effective_number(COUNTS))
    np.testing.assert_allclose(weight / weight[0], COUNTS / COUNTS[0])
    np.testing.assert_allclose(in_rows(1e-310 * COUNTS), weight, rtol=1e-9)
    assert in_rows(np.full(5, 0.3)) is None
    assert in_rows(None) is None
