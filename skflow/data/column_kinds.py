"""What kind of values a numeric column holds: points of a line, cells of a lattice, or levels.

A value that occurs many times has no density. So repeated values get probabilities: all of them
where the column is a lattice or has few levels, the frequent ones (atoms) where it is a mixture of
both.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from skflow.data.grids import exact_grid, on_grid
from skflow.data.noise_floor import column_resolution

ATOM_SHARE = 0.05  # of the rows: a value more frequent than this has its own probability
FEW_LEVELS = 64  # irregular values: so many, or fewer, are levels
MIN_ATOM_LEVELS = 20  # a lattice with fewer levels needs no atoms: each has its cell
ATOM_REACH = 1e-6  # of the column's deviation: what is nearer to an atom is the atom
LEVEL_REACH = 1e-3  # of the smallest gap between levels: what is nearer to one is the level
PROMINENCE = 4.0  # an atom of a lattice is so many times as frequent as the levels beside it


@dataclass(frozen=True)
class NumericKind:
    """How the values of a numeric column are modelled.

    Attributes
    ----------
    kind : {"continuous", "lattice", "levels"}
        Points with a density; cells of width ``step`` around multiples of it from ``origin``;
        or nothing but the known ``levels``, in order.
    step, origin : float
        Of a lattice, else 0.
    levels : tuple of float
        Of kind "levels".
    atoms : tuple of float
        Values with a probability of their own.
    per_unit : int
        Of a lattice whose values are whole numbers divided by it, such as 10, else 0.
    tolerance : float
        How far from an atom between points, or from a level, a value still counts as it.
    """

    kind: str
    step: float = 0.0
    origin: float = 0.0
    levels: tuple[float, ...] = ()
    atoms: tuple[float, ...] = ()
    per_unit: int = 0
    tolerance: float = math.inf


def lattice_of(distinct: np.ndarray) -> tuple[float, float]:
    """Largest step of whole numbers that has all ``distinct`` on its lattice, and an origin."""
    gaps = np.diff(distinct)
    step = int(np.gcd.reduce(gaps.astype(np.int64))) if len(gaps) else 1
    return float(max(step, 1)), float(distinct[0])


def prominent(
    atoms: tuple[float, ...], distinct: np.ndarray, counts: np.ndarray
) -> tuple[float, ...]:
    """Those of ``atoms`` that stand out from the levels on both sides of them."""
    found = []
    for atom in atoms:
        i = int(np.searchsorted(distinct, atom))
        beside = np.r_[counts[max(i - 2, 0) : i], counts[i + 1 : i + 3]]
        if counts[i] > PROMINENCE * beside.mean():
            found.append(atom)
    return tuple(found)


def numeric_kind(
    values: np.ndarray, weight: np.ndarray | None = None, *, ordinal: bool = False
) -> NumericKind:
    """Look at the finite ``values`` of a column; ``ordinal`` makes every value a level."""
    distinct, number = np.unique(values, return_inverse=True)
    counts = np.bincount(number, weights=weight)
    levels = NumericKind("levels", levels=tuple(distinct.tolist()))
    if len(distinct) > 1:
        levels = replace(levels, tolerance=LEVEL_REACH * float(np.diff(distinct).min()))
    if ordinal or len(distinct) <= 1:
        return levels
    frequent = distinct[counts > ATOM_SHARE * counts.sum()]
    atoms = tuple(frequent.tolist()) if len(distinct) > MIN_ATOM_LEVELS else ()
    whole = (distinct == np.rint(distinct)).all()
    largest = np.abs(distinct).max()
    if whole and largest < 2**53:
        step, origin = lattice_of(distinct)
        return NumericKind("lattice", step, origin, atoms=prominent(atoms, distinct, counts))
    step, found = column_resolution(values)
    if whole and largest < 2**62 and found in ("lattice", "atoms"):
        # Nanoseconds: whole numbers between which others have no floating-point number.
        step, origin = lattice_of(distinct)
        return NumericKind("lattice", step, origin, atoms=prominent(atoms, distinct, counts))
    if found == "lattice":
        step, origin, per_unit = exact_grid(distinct, step)
        atoms = prominent(atoms, distinct, counts)
        atoms = tuple(np.unique(on_grid(np.array(atoms), per_unit)).tolist())
        return NumericKind("lattice", step, origin, atoms=atoms, per_unit=per_unit)
    if found == "atoms" and len(distinct) <= FEW_LEVELS:
        return levels
    return NumericKind("continuous", atoms=atoms, tolerance=ATOM_REACH * float(values.std()))
