"""What a fit knows of its data: rows to fit to, rows to judge by, limits and resolution."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from skflow.data.noise_floor import NoiseFloor, spread
from skflow.data.repeated_rows import in_rows, merged
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
        """Effective number of rows, repetitions taken together, and columns: what sizes go by."""
        return self.floor.n_rows(self.rows.weight_array()), self.rows.x.shape[1]

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


def merge_repetitions(rows: Rows, floor: NoiseFloor) -> tuple[Rows, NoiseFloor]:
    """Rows without repetitions that nothing tells apart, their weights in rows; their floor."""
    x, weight = rows.x.numpy(), rows.weight_array()
    repeats = floor.n_distinct < len(rows)
    if not floor.tells_apart and (repeats or weight is not None):
        x, weight = merged(x, weight, floor.groups)
        floor = replace(floor, groups=np.arange(len(x)))
    weight = in_rows(weight)
    return Rows(torch.tensor(x), None if weight is None else torch.tensor(weight)), floor


def split_rows(rows: Rows, fraction: float, rng: np.random.RandomState) -> tuple[Rows, Rows | None]:
    """Hold out a random share of the rows; none where that would leave too few to judge by.

    Of weighted rows it is a share of the weight. A row that weighs more than the whole held-out
    part is fitted in any case: the held-out score would be its own.
    """
    n = rows.n_effective
    n_held_out = max(round(fraction * n), MIN_HELD_OUT)
    if n_held_out > n // 4 and n_held_out > fraction * n + 1:
        return rows, None
    if n - n_held_out < 2:
        raise ValueError(
            f"validation_fraction={fraction} leaves {n - n_held_out} of {n} rows to fit; lower it."
        )
    order = rng.permutation(len(rows))
    weight = rows.weight_array()
    if weight is not None:
        heavy = weight[order] > n_held_out
        order = np.concatenate([order[~heavy], order[heavy]])
        weight = weight[order]
        # The number of rows whose weight comes closest to the wanted one.
        n_held_out = max(int((weight.cumsum() - weight / 2 <= n_held_out).sum()), MIN_HELD_OUT)
    return rows[order[n_held_out:]], rows[order[:n_held_out]]
