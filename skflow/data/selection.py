"""Columns that a user names: by their names, by their positions, or by a mask."""

from collections.abc import Sequence

import numpy as np


def positions(selection, names: Sequence, what: str) -> list[int]:
    """Positions of columns given as names, positions or a boolean mask; a name comes first."""
    if selection is None:
        return []
    given = np.asarray(selection, dtype=object)
    if given.ndim == 1 and len(given) and all(isinstance(g, bool | np.bool_) for g in given):
        if len(given) != len(names):
            raise ValueError(f"{what} is a mask of {len(given)} for {len(names)} columns.")
        return np.flatnonzero(given.astype(bool)).tolist()
    found = []
    for one in np.atleast_1d(given).tolist():
        if one in names:
            found.append(names.index(one))
        elif isinstance(one, int | np.integer) and 0 <= one < len(names):
            found.append(int(one))
        else:
            raise ValueError(
                f"{what} names column {one!r}; give a name of the table's columns or a position "
                f"from 0 to {len(names) - 1}."
            )
    return found


def column_bounds(bounds, names: Sequence) -> dict[int, tuple[float, float]]:
    """Pairs per column from a list of pairs or {column: pair}."""
    if bounds is None:
        return {}
    if not isinstance(bounds, dict):
        if len(bounds) != len(names):
            raise ValueError(
                f"bounds has {len(bounds)} pairs for {len(names)} columns; give one for "
                "each, or a dict of those that are bounded."
            )
        bounds = {names[i]: pair for i, pair in enumerate(bounds)}
    found = {}
    for column, pair in bounds.items():
        (i,) = positions([column], names, "bounds")
        if pair is None:
            continue
        if not (isinstance(pair, tuple | list | np.ndarray) and len(pair) == 2):
            raise ValueError(f"bounds of column {column!r}: {pair!r} is no pair (lower, upper).")
        low = -np.inf if pair[0] is None else float(pair[0])
        high = np.inf if pair[1] is None else float(pair[1])
        if not low < high:
            raise ValueError(f"bounds of column {column!r}: {low:g} is not below {high:g}.")
        found[i] = (low, high)
    return found


def in_words(names: Sequence, most: int = 5) -> str:
    """The first few names of columns: 'a', 'b' and 7 more."""
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
