"""One value for many draws of a cell: their mean, their median or the most frequent of them."""

import numpy as np

from skflow.transforms.tables.encoding import TableEncoding


def typical_values(
    drawn: np.ndarray, values: np.ndarray, encoding: TableEncoding, strategy: str
) -> np.ndarray:
    """Rows ``values`` (n, d) with typical values of their missing cells, drawn (draws, n, d).

    Numbers by ``strategy``, "mean" or "median"; levels by their median; categories by frequency.
    To a mean a draw beyond all values that were fitted counts as the last of them: tails are so
    heavy that they have no mean, and one draw among a thousand would be all of it.
    """
    typical = values.copy()
    for i, (plan, (low, high)) in enumerate(zip(encoding.plans, encoding.spans, strict=True)):
        rows = np.flatnonzero(np.isnan(values[:, i]))
        own = drawn[:, rows, i]
        if plan.kind == "categorical":
            typical[rows, i] = _most_frequent(own)
        elif plan.kind == "levels" or strategy == "median":
            # The lower of two middle draws: a value that was drawn.
            typical[rows, i] = np.quantile(own, 0.5, axis=0, method="lower")
        else:
            typical[rows, i] = own.clip(low, high).mean(0)
    return typical


def _most_frequent(codes: np.ndarray) -> np.ndarray:
    """Most frequent code of every column of (draws, n)."""
    n_levels = int(codes.max(initial=0)) + 1
    return (codes[..., None] == np.arange(n_levels)).sum(0).argmax(1)
