"""Where a column's density ends, and which columns repeat their values: checked by name."""

from collections.abc import Sequence

import numpy as np
from sklearn.exceptions import DataConversionWarning

from skflow.data.selection import column_bounds, in_words
from skflow.data.warn import warn


def check_bounds(bounds, names: Sequence) -> tuple[np.ndarray, np.ndarray] | None:
    """Lower and upper bound per column from pairs or from {column: pair}, None without any."""
    if bounds is None:
        return None
    lower, upper = np.full(len(names), -np.inf), np.full(len(names), np.inf)
    for i, (low, high) in column_bounds(bounds, names).items():
        lower[i], upper[i] = low, high
    return lower, upper


def check_within(
    bounds: tuple[np.ndarray, np.ndarray] | None, X: np.ndarray, name: str, names: Sequence
) -> None:
    """Raise if rows to learn from lie where the density is zero."""
    if bounds is None:
        return
    lower, upper = bounds
    outside = np.flatnonzero(((lower > X) | (upper < X)).any(0)).tolist()
    if outside:
        raise ValueError(
            f"columns {in_words([names[i] for i in outside])} of {name} hold values outside their "
            "bounds; widen the bounds or drop those rows."
        )


def warn_of_repeats(kinds: Sequence[str], names: Sequence) -> None:
    """Say once which columns repeat their values."""
    found = [name for name, kind in zip(names, kinds, strict=True) if kind != "continuous"]
    if found:
        warn(
            f"columns {in_words(found)} repeat values, which have no density: they are spread by "
            "noise of the width in noise_floor_. SurVAEFlow models them exactly.",
            DataConversionWarning,
        )
