"""What is known of one column of a mixed table, in plain values."""

import math
from dataclasses import dataclass

TOLERANCE = 1e-6  # of a bound, in steps: it may be a level up to rounding


@dataclass(frozen=True)
class ColumnPlan:
    """Plain values from which a column's variables are built.

    Attributes
    ----------
    kind : {"categorical", "continuous", "lattice", "levels"}
    n_levels : int
        Of a categorical column; codes are 0 .. n_levels - 1, -1 an unknown level, NaN a missing
        one.
    step, origin, levels, atoms, per_unit, tolerance
        See `skflow.data.column_kinds.NumericKind`.
    missing : bool
        Whether cells may be missing: then there is a variable for it.
    symmetric : bool
        Whether the absolute value and the sign are modelled in place of the value.
    period : float
        Of a periodic column, else 0.
    bounds : (float, float)
    n_knots : int
        Of the marginal spline of a column of points or of many cells; 0 standardises.
    prior_rows : float
        Rows' worth of the spline in the counts between edges; 0 counts half a row each.
    edges : tuple of float
        Between which the values of a circle, or of a lattice of few levels or with atoms, are
        counted; none where there is a spline.
    fine : bool
        Whether the cells of a lattice are so narrow that they count as points: their mass is the
        density times the step, and single precision could not tell their ends apart.
    """

    kind: str
    n_levels: int = 0
    step: float = 0.0
    origin: float = 0.0
    levels: tuple[float, ...] = ()
    atoms: tuple[float, ...] = ()
    missing: bool = False
    symmetric: bool = False
    period: float = 0.0
    bounds: tuple[float, float] = (-math.inf, math.inf)
    n_knots: int = 0
    prior_rows: float = 0.0
    edges: tuple[float, ...] = ()
    fine: bool = False
    per_unit: int = 0
    tolerance: float = math.inf

    @property
    def limits(self) -> tuple[float, float]:
        """The bounds, or of a lattice the first and the last level within them."""
        if self.kind != "lattice":
            return self.bounds
        low, high = ((bound - self.origin) / self.step for bound in self.bounds)
        first = math.ceil(low - TOLERANCE) if math.isfinite(low) else low
        last = math.floor(high + TOLERANCE) if math.isfinite(high) else high
        low, high = self.origin + self.step * first, self.origin + self.step * last
        if self.per_unit:
            low, high = (
                round(end * self.per_unit) / self.per_unit if math.isfinite(end) else end
                for end in (low, high)
            )
        return low, high
