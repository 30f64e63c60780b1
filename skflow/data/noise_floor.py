"""Columns that repeat values: how much noise keeps their density bounded.

A value that occurs many times has no density; a flow fitted to it grows a spike without limit. So
a column that sits on a lattice (rounded, integer) is spread over one step of it, one with atoms
over its own resolution.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skflow.data.repeated_rows import effective_number, row_groups

REPEATED_SHARE = 0.05  # of the rows: with fewer repeats a column counts as continuous
MIN_ATOM_WIDTH = 1e-6  # of an atom, in spreads of its column
CONSTANT_WIDTH = 1e-3  # of a constant, in shares of its magnitude
ROUNDING = 1e-3  # tolerated deviation of a gap from a multiple of the step, in steps
SAME_VALUE = 1e-12  # values closer than this share of their range differ by rounding only
SAME_SPACINGS = 4  # or values so many floating-point numbers apart


@dataclass(frozen=True)
class NoiseFloor:
    """Width of the uniform noise per column (0: none), and what was found."""

    width: np.ndarray
    kinds: tuple[str, ...]  # "continuous", "lattice", "atoms" or "constant"
    groups: np.ndarray  # (n,): a number per row that its repetitions share

    @property
    def n_distinct(self) -> int:
        """Rows without their repetitions."""
        return int(self.groups.max()) + 1

    @property
    def tells_apart(self) -> bool:
        """Whether noise makes the repetitions of a row different rows."""
        return bool((self.width > 0).any())

    def n_rows(self, weight: np.ndarray | None) -> int:
        """Effective number of rows, repetitions taken together."""
        return round(effective_number(np.bincount(self.groups, weights=weight)))


def spacing(unique: np.ndarray) -> float:
    """Distance of neighbouring floating-point numbers at the largest of ``unique`` values.

    Of single precision, where all values are.
    """
    largest = np.abs(unique).max()
    with np.errstate(over="ignore"):
        single = (unique.astype(np.float32) == unique).all()
    return float(np.spacing(np.float32(largest) if single else largest))


def same_value(unique: np.ndarray) -> float:
    """How far apart values may be and still differ by rounding only: 0.3 and 0.1 + 0.2 do.

    By their range, not their size: timestamps are large numbers that differ by little. By their
    size only as far as floating-point numbers reach, and where the values use all of it.
    """
    rounding = SAME_SPACINGS * spacing(unique)
    if (unique % rounding == 0).all() or np.median(np.diff(unique)) <= rounding:
        rounding = 0.0  # the last digits are in use, or their steps are all there is
    return max(rounding, SAME_VALUE * float(unique[-1] - unique[0]))


def column_resolution(values: np.ndarray) -> tuple[float, str]:
    """Width of the noise that a column needs, and what kind of column it is."""
    unique = np.unique(values)
    if len(unique) == 1:
        return CONSTANT_WIDTH * (abs(unique[0]) or 1.0), "constant"
    if len(unique) > (1 - REPEATED_SHARE) * len(values):
        return 0.0, "continuous"
    gaps = np.diff(unique)
    gaps = gaps[gaps > same_value(unique)]
    if len(gaps) == 0:
        return CONSTANT_WIDTH * np.abs(unique).max(), "constant"
    step = gaps.min()
    multiples = gaps / step
    tolerated = np.maximum(ROUNDING * multiples, 2 * spacing(unique) / step).clip(max=0.1)
    if (np.abs(multiples - multiples.round()) < tolerated).all():
        return float(step), "lattice"
    quartiles = np.quantile(unique, [0.25, 0.75])
    spread = min(values.std(), (quartiles[1] - quartiles[0]) / 1.35)
    # An atom gets the column's own resolution: the typical gap between its distinct values.
    return float(max(np.median(gaps), MIN_ATOM_WIDTH * spread)), "atoms"


def common_step(rows: np.ndarray, steps: np.ndarray, kinds: tuple[str, ...]) -> float:
    """The finest of ``steps`` if all values of ``rows`` lie on its lattice; else 0."""
    if len(steps) == 0 or not {"constant", "lattice"}.issuperset(kinds):
        return 0.0
    multiples = (rows - rows[0, 0]) / steps.min()
    return float(steps.min()) if (np.abs(multiples - multiples.round()) < ROUNDING).all() else 0.0


def find_noise_floor(X: np.ndarray) -> NoiseFloor:
    """Look for lattices, atoms and constants in the columns of ``X`` (n, d)."""
    groups = row_groups(X)
    # Without repetitions, so that a weight of 2 and a row given twice agree.
    rows = X[np.sort(np.unique(groups, return_index=True)[1])]
    found = [column_resolution(column) for column in rows.T]
    widths, kinds = np.array([width for width, _ in found]), tuple(kind for _, kind in found)
    constant = np.array([kind == "constant" for kind in kinds])
    step = common_step(rows[:, ~constant], widths[~constant], kinds)
    if step:  # where all the others are levels, so is a pixel that is always black
        on_lattice = np.abs((rows[0] - rows[0, ~constant][0]) / step % 1 - 0.5) > 0.5 - ROUNDING
        widths[constant & on_lattice] = step
    return NoiseFloor(widths, kinds, groups)


def spread(x: Tensor, width: Tensor, generator: torch.Generator) -> Tensor:
    """Add uniform noise of ``width`` per column, centred: the noise floor."""
    if not bool((width > 0).any()):
        return x
    noise = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    return x + width * (noise - 0.5)
