"""Which rows of a mixed table are repetitions of one row, and which are equal by chance.

Two people of the same sex and age are two people. Two rows that share a value of a continuous
column are one row given twice: such a value does not come again.
"""

from collections.abc import Sequence

import numpy as np

from skflow.data.column_kinds import numeric_kind
from skflow.data.repeated_rows import merged, row_groups


def table_groups(
    values: np.ndarray, weight: np.ndarray | None, numeric: Sequence[int]
) -> np.ndarray:
    """Number the rows (n, d); repetitions share a number, rows equal by chance do not.

    ``numeric`` are the columns that may be continuous. What they are is judged on distinct rows,
    and what is an atom, whose rows are equal by chance, by weight: alike for a row of weight two
    and a row given twice.
    """
    groups = row_groups(values)
    distinct, total = merged(values, weight, groups)
    unlike = np.zeros(len(distinct), dtype=bool)  # rows that cannot come again
    for column in numeric:
        own = distinct[:, column]
        known = ~np.isnan(own)
        if not known.any():
            continue
        found = numeric_kind(own[known], total[known])
        if found.kind == "continuous":
            unlike |= known & ~np.isin(own, found.atoms)
    alone = ~unlike[groups]
    groups = groups.copy()
    groups[alone] = len(distinct) + np.arange(alone.sum())
    return np.unique(groups, return_inverse=True)[1]
