"""Where rows of a transform live, and how example rows are made."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from skflow.transforms.tables.variable import three
from tests.contract.integration import grid
from tests.contract.table import generator

EXTREMES = (1e6, -1e6, 1e3, -30.0, 0.0)


@dataclass(frozen=True)
class Domain:
    """Rows that a transform is for.

    Attributes
    ----------
    project : callable
        From any rows of real numbers to rows of the domain.
    limits : tuple of (float, float), or None
        Of a grid that holds all mass of a density in one and in two dimensions; None where there
        is no density on the line.
    edges : (float, float)
        Beyond which there is no density.
    up_to_the_diagonal : bool
        Whether the density ends where two columns are equal.
    """

    project: Callable[[Tensor], Tensor]
    limits: tuple[tuple[float, float], tuple[float, float]] | None = None
    edges: tuple[float, float] = (-torch.inf, torch.inf)
    up_to_the_diagonal: bool = False

    def example(self, n: int, d: int, seed: int = 0) -> Tensor:
        """Correlated rows."""
        mix = torch.eye(d, dtype=torch.float64) + 0.4
        x = torch.randn(n, d, generator=generator(seed), dtype=torch.float64) @ mix
        return self.project(x)

    def grid(self, d: int, points: int) -> tuple[Tensor, float]:
        """Rows of a regular grid within the limits, and the volume of a cell."""
        low, high = self.limits[d - 1]
        rows, volume = grid([low] * d, [high] * d, points)
        if self.up_to_the_diagonal:  # which then goes between the points
            rows[:, 1:] += 0.5 * (high - low) / points
        return rows, volume

    def extreme(self, d: int, dtype: torch.dtype) -> Tensor:
        """All combinations of extreme values, over and over, in ``d`` columns."""
        values = torch.tensor(EXTREMES, dtype=dtype)
        x = torch.cartesian_prod(values, values, values).repeat(1, -(-d // 3))[:, :d]
        return self.project(x)


def _sides(low, high):
    return (low, high), (low, high)


def _ends(x):
    """Variables of a table, all of them points: their three numbers agree."""
    return torch.stack([three(column) for column in x[:, ::3].T], 1).flatten(1)


LINE = Domain(lambda x: x, ((-40.0, 40.0), (-20.0, 20.0)))
POSITIVE = Domain(torch.abs, _sides(0.0, 25.0), (0.0, torch.inf))
LONG_POSITIVE = Domain(torch.abs, _sides(0.0, 60.0), (0.0, torch.inf))
BELOW_FOUR = Domain(lambda x: 4 - x.abs(), _sides(-25.0, 4.0), (-torch.inf, 4.0))
INTERVAL = Domain(torch.abs, _sides(-4.0, 5.0), (-4.0, 5.0))
ASCENDING = Domain(
    lambda x: x.sort(1).values, ((-40.0, 40.0), (-20.0, 20.0)), up_to_the_diagonal=True
)
AMOUNTS = Domain(lambda x: x.clamp_min(0))
HALVES = Domain(lambda x: 0.5 * (2 * x).round())
CODES = Domain(lambda x: x.round().clamp(0, 2))
ENDS = Domain(_ends)
