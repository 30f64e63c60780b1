"""Lattices of rounded numbers: the step and the values that are meant, to the last bit.

A value rounded to 0.1 is a whole number divided by 10, which no multiple of a floating-point step
is. So a lattice is looked for among the fractions: decimal ones, binary ones, and those of one over
the step, such as 1/255.
"""

import numpy as np

from skflow.data.noise_floor import ROUNDING, spacing

MAX_DECIMALS, MAX_BINARY = 12, 40
LARGEST = 2.0**53  # whole numbers up to here are exact


def exact_grid(distinct: np.ndarray, step: float) -> tuple[float, float, int]:
    """Step, origin and denominator of the lattice that ``distinct`` values are on.

    Parameters
    ----------
    distinct : ndarray
        In order.
    step : float
        As measured.

    Returns
    -------
    step, origin : float
    per_unit : int
        Every value of the lattice is a whole number divided by it; 0 where there is no such
        fraction, and step and origin are as measured.
    """
    tolerance = min(2 * spacing(distinct), ROUNDING * step)
    decimal = [10**k for k in range(MAX_DECIMALS + 1)]
    binary = [2**k for k in range(1, MAX_BINARY + 1)]
    for per_unit in (*decimal, *binary, max(round(1 / step), 1)):
        whole = np.rint(distinct * per_unit)
        if np.abs(whole).max() >= LARGEST:
            continue
        if (np.abs(whole / per_unit - distinct) > tolerance).any():
            continue
        found = int(np.gcd.reduce(np.diff(whole).astype(np.int64))) / per_unit
        if abs(found / step - 1) < ROUNDING:
            return found, float(whole[0]) / per_unit, per_unit
    return step, float(distinct[0]), 0


def on_grid(values: np.ndarray, per_unit: int) -> np.ndarray:
    """Values near those of a lattice as the fractions that are meant."""
    return np.rint(values * per_unit) / per_unit if per_unit else values
