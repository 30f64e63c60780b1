"""Columns that repeat values: how much noise keeps their density bounded.

A value that occurs many times has no density; a flow fitted to it grows a spike without limit. So
a column that sits on a lattice (rounded, integer) is spread over one step of it, one with atoms
over its own resolution.
"""

from dataclasses import dataclass

import numpy as np

REPEATED_SHARE = 0.05  # of the rows: with fewer repeats a column counts as continuous
MIN_ATOM_WIDTH = 1e-6  # of an atom, in spreads of its column
CONSTANT_WIDTH = 1e-3  # of a constant, in shares of its magnitude
ROUNDING = 1e-4  # tolerated deviation of a gap from a multiple of the step


@dataclass(frozen=True)
class NoiseFloor:
    """Width of the uniform noise per column (0: none), and what was found."""

    width: np.ndarray
    kinds: tuple[str, ...]  # "continuous", "lattice", "atoms" or "constant"
    n_distinct: int  # rows without their repetitions


def distinct_rows(X: np.ndarray) -> np.ndarray:
    """Rows without their repetitions, so that a weight of 2 and a row given twice agree."""
    if X.shape[1] == 1:  # here every tie is a repeated row, and ties are what we look for
        return X
    packed = np.ascontiguousarray(X + 0.0).view(np.dtype((np.void, X.dtype.itemsize * X.shape[1])))
    return X[np.sort(np.unique(packed.ravel(), return_index=True)[1])]


def _column(values: np.ndarray) -> tuple[float, str]:
    unique = np.unique(values)
    if len(unique) == 1:
        return CONSTANT_WIDTH * (abs(unique[0]) or 1.0), "constant"
    if len(unique) > (1 - REPEATED_SHARE) * len(values):
        return 0.0, "continuous"
    gaps = np.diff(unique)
    step = gaps.min()
    multiples = gaps / step
    rounding = ROUNDING + 4 * np.finfo(float).eps * np.abs(unique).max() / step
    if (np.abs(multiples - multiples.round()) < rounding * multiples).all():
        return float(step), "lattice"
    quartiles = np.quantile(unique, [0.25, 0.75])
    spread = min(values.std(), (quartiles[1] - quartiles[0]) / 1.35)
    # An atom gets the column's own resolution: the typical gap between its distinct values.
    return float(max(np.median(gaps), MIN_ATOM_WIDTH * spread)), "atoms"


def find_noise_floor(X: np.ndarray) -> NoiseFloor:
    """Look for lattices, atoms and constants in the columns of ``X`` (n, d)."""
    rows = distinct_rows(X)
    found = [_column(column) for column in rows.T]
    widths, kinds = zip(*found, strict=True)
    return NoiseFloor(np.array(widths), kinds, len(rows))
