"""One value for many draws of a cell: their mean, their median or the most frequent of them."""

from collections.abc import Sequence

import numpy as np

from skflow.data.column_plan import ColumnPlan


def typical_values(
    drawn: np.ndarray, values: np.ndarray, plans: Sequence[ColumnPlan], strategy: str
) -> np.ndarray:
    """Rows ``values`` (n, d) with typical values of their missing cells, drawn (draws, n, d).

    Numbers by ``strategy``, "mean" or "median"; levels by their median; categories by frequency.
    """
    typical = values.copy()
    for i, plan in enumerate(plans):
        rows = np.flatnonzero(np.isnan(values[:, i]))
        own = drawn[:, rows, i]
        if plan.kind == "categorical":
            typical[rows, i] = _most_frequent(own)
        elif plan.kind == "levels" or strategy == "median":
            # The lower of two middle draws: a value that was drawn.
            typical[rows, i] = np.quantile(own, 0.5, axis=0, method="lower")
        else:
            typical[rows, i] = own.mean(0)
    return typical


def _most_frequent(codes: np.ndarray) -> np.ndarray:
    """Most frequent code of every column of (draws, n)."""
    n_levels = int(codes.max(initial=0)) + 1
    return (codes[..., None] == np.arange(n_levels)).sum(0).argmax(1)
