"""In a mixed table some rows are repetitions, and some are equal by chance."""

import numpy as np

from skflow.data.repeated_table_rows import table_groups

RNG = np.random.default_rng(0)
N = 200
POINT = RNG.normal(size=N)
LEVEL = RNG.integers(3, size=N).astype(float)
COUNT = RNG.poisson(4, size=N).astype(float)


def n_groups(values, numeric, weight=None):
    return len(np.unique(table_groups(values, weight, numeric)))


def test_rows_with_a_continuous_value_repeat():
    table = np.column_stack([LEVEL, COUNT, POINT])
    assert n_groups(table.repeat(RNG.integers(1, 4, size=N), axis=0), [1, 2]) == N


def test_discrete_rows_are_equal_by_chance():
    table = np.column_stack([LEVEL, COUNT])
    assert len(np.unique(table, axis=0)) < N / 2
    assert n_groups(table, [1]) == N
    assert n_groups(table, [0, 1]) == N


def test_a_missing_value_tells_nothing():
    table = np.column_stack([LEVEL, COUNT, np.where(np.arange(N) < 50, np.nan, POINT)])
    assert n_groups(table.repeat(2, axis=0), [1, 2]) == 100 + 150


def test_atoms_are_equal_by_chance_and_are_judged_by_weight():
    idle = np.arange(N) < 60  # both are zero for them, as incomes and taxes are
    table = np.column_stack([np.where(idle, 0.0, POINT), np.where(idle, 0.0, 2 + POINT**2)])
    assert n_groups(table, [0, 1]) == N
    once = table[59:]  # a single zero, of the weight of sixty rows
    weight = np.r_[60.0, np.ones(N - 60)]
    both = np.r_[once, once[:1]]
    assert n_groups(both, [0, 1], np.r_[weight, 60.0]) == len(both)
    assert n_groups(both, [0, 1]) == len(once)


def test_an_empty_column_is_no_matter():
    table = np.column_stack([np.full(N, np.nan), POINT])
    assert n_groups(table.repeat(2, axis=0), [0, 1]) == N
