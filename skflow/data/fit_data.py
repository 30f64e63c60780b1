"""What a fit knows of its data: rows to fit to, rows to judge by, limits and resolution."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from skflow.data.noise_floor import NoiseFloor, spread
from skflow.data.rows import Rows

MIN_HELD_OUT = 5  # fewer held-out rows cannot tell a better density from a worse one

Bounds = tuple[np.ndarray, np.ndarray] | None


@dataclass(frozen=True)
class FitData:
    """Rows and what was found out about them before anything is fitted.

    Attributes
    ----------
    rows : Rows
        All rows of positive weight.
    train, held_out : Rows
        Rows to fit to and rows to judge by; ``held_out`` is None where there are too few.
    floor : NoiseFloor
        Width of the noise per column, and which rows are repetitions.
    bounds : (lower, upper) arrays, or None
    given : bool
        Whether the held-out rows are the user's own.
    """

    rows: Rows
    train: Rows
    held_out: Rows | None
    floor: NoiseFloor
    bounds: Bounds
    given: bool = False

    @classmethod
    def plain(cls, train: Rows, held_out: Rows | None = None, width=None) -> "FitData":
        """Rows without limits; ``width`` is that of the noise floor, by default 0."""
        n, d = train.x.shape
        width = np.zeros(d) if width is None else width
        return cls(
            train, train, held_out, NoiseFloor(width, ("continuous",) * d, np.arange(n)), None
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows without their repetitions, and columns: what sizes of models go by."""
        return self.floor.n_distinct, self.rows.x.shape[1]

    def all_to_train(self) -> "FitData":
        """Every row to fit to, none to judge by."""
        return replace(self, train=self.rows, held_out=None)

    def spread(self, rows: Rows, generator: torch.Generator) -> Rows:
        """Rows with a draw of the noise floor's noise."""
        return replace(rows, x=spread(rows.x, torch.as_tensor(self.floor.width), generator))

    @property
    def spread_bounds(self) -> Bounds:
        """Bounds of rows with noise: a level on its bound is spread half a step beyond it."""
        if self.bounds is None:
            return None
        half = self.floor.width / 2
        return self.bounds[0] - half, self.bounds[1] + half


def split_rows(
    rows: Rows, fraction: float, rng: np.random.RandomState, groups: np.ndarray | None
) -> tuple[Rows, Rows | None]:
    """Hold out a random share of the rows; none where that would leave too few to judge by.

    ``groups`` numbers the rows so that repetitions share a number: they stay together, else the
    held-out part would hold rows that were fitted. None where every row is its own group.
    """
    n = len(rows) if groups is None else int(groups.max()) + 1
    n_held_out = max(round(fraction * n), MIN_HELD_OUT)
    if n_held_out > n // 4 and n_held_out > fraction * n + 1:
        return rows, None
    if n - n_held_out < 2:
        raise ValueError(
            f"validation_fraction={fraction} leaves {n - n_held_out} of {n} rows to fit; lower it."
        )
    order = rng.permutation(n)
    if groups is None:
        return rows[order[n_held_out:]], rows[order[:n_held_out]]
    held_out = np.isin(groups, order[:n_held_out])
    return rows[np.flatnonzero(~held_out)], rows[np.flatnonzero(held_out)]
