"""A numeric column of a table as variables, and back."""

import math

import torch
from torch import Tensor, nn

from skflow.data.column_plan import ColumnPlan
from skflow.transforms.noise import Draw
from skflow.transforms.tables.column_scores import FAR, CircularScores, EdgeScores, SmoothScores
from skflow.transforms.tables.lattice_scores import prior_counts, smooth_scores, spread_evenly
from skflow.transforms.tables.variable import Variable, three, unseen_share

ROUNDING = 1e-7  # relative difference below which a value is the level: single precision


class NumericColumn(nn.Module):
    """A numeric column: an atom or not, then a cell or a point in normal scores, then the sign."""

    log_unseen: Tensor
    levels: Tensor
    atoms: Tensor

    def __init__(self, plan: ColumnPlan, column: int):
        super().__init__()
        self.plan = plan
        like = {"dtype": torch.float64}
        self.register_buffer("levels", torch.tensor(plan.levels, **like), persistent=False)
        self.register_buffer("atoms", torch.tensor(plan.atoms, **like), persistent=False)
        self.register_buffer("log_unseen", torch.tensor([0.5, 0.5], **like).log())
        low, high = (math.isinf(limit) for limit in plan.bounds)
        if plan.kind == "levels":
            self.scores = EdgeScores(len(plan.levels) + 1, open_low=False, open_high=False)
        elif plan.period:
            self.scores = CircularScores(len(plan.edges), plan.period)
        elif plan.edges:
            self.scores = EdgeScores(len(plan.edges), open_low=low, open_high=high)
        else:
            self.scores = smooth_scores(plan)
        variables = []
        if plan.atoms:
            variables.append(Variable(column, "spike", "code", 1 + len(plan.atoms)))
        if plan.kind != "levels" or len(plan.levels) > 1:
            kind = "point" if plan.kind == "continuous" or plan.fine else "cell"
            variables.append(Variable(column, "value", kind, circular=plan.period > 0))
        if plan.symmetric:
            variables.append(Variable(column, "sign", "code", 2))
        self.variables = variables

    def _spike(self, x: Tensor) -> Tensor:
        """0, or the number of the atom that x is, counted from 1."""
        if self.plan.step:
            hit = self._cell(x)[:, None] == self._cell(self.atoms)
        else:
            reach = (ROUNDING * self.atoms.abs()).clamp_max(self.plan.tolerance)
            hit = (x[:, None] - self.atoms).abs() <= reach
        numbers = torch.arange(1, len(self.atoms) + 1, dtype=x.dtype, device=x.device)
        return (hit * numbers).sum(1)

    def _cell(self, x: Tensor) -> Tensor:
        """Nearest point of the lattice, counted from its origin."""
        return ((x - self.plan.origin) / self.plan.step).round()

    @torch.no_grad()
    def initialize(self, x: Tensor, weight: Tensor) -> None:
        """Read the scores off the finite values ``x``."""
        plan = self.plan
        if plan.symmetric:
            x = x.abs()
        if plan.atoms:
            other = self._spike(x) == 0
            x, weight = x[other], weight[other]
        if plan.kind == "levels":
            level = self._level(x)
            counts = torch.zeros(len(plan.levels), dtype=torch.float64)
            counts.index_add_(0, level.long(), weight)
            edges = torch.arange(len(plan.levels) + 1, dtype=torch.float64)
            self.scores.initialize(level + 0.5, edges, torch.zeros(len(edges) - 1) > 0, weight)
            unseen = unseen_share(counts)
            self.log_unseen.copy_(torch.tensor([1 - unseen, unseen], dtype=torch.float64).log())
        elif plan.period:
            self.scores.initialize(x, torch.tensor(plan.edges, dtype=x.dtype), weight)
        elif plan.edges:
            edges = torch.tensor(plan.edges, dtype=x.dtype)
            middle = (edges[1:] + edges[:-1]) / 2
            single = edges.diff() < 1.5 * plan.step
            with_prior = plan.prior_rows and len(x)
            prior = prior_counts(x, plan, edges, weight) if with_prior else None
            self.scores.initialize(x, edges, (self._spike(middle) > 0) & single, weight, prior)
        elif len(x):
            self.scores.initialize(*spread_evenly(x, plan.step, weight))

    @property
    def span(self) -> tuple[float, float]:
        """Ends of the values that the column was fitted to; infinite where it has none."""
        plan = self.plan
        if plan.kind == "levels":
            return plan.levels[0], plan.levels[-1]
        if plan.period or math.isinf(float(getattr(self.scores, "low", 0.0))):
            return -math.inf, math.inf
        low, high = self.scores.span()
        if plan.symmetric:
            low = -high
        ends = [low, high, *plan.atoms]
        return min(ends), max(ends)

    def _level(self, x: Tensor) -> Tensor:
        """Number of the nearest level."""
        middle = (self.levels[1:] + self.levels[:-1]) / 2
        return torch.searchsorted(middle.contiguous(), x.contiguous()).to(x)

    def _value(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The three numbers of finite values, and their contribution."""
        plan = self.plan
        if plan.kind == "levels":
            level = self._level(x)
            nearest = self.levels[level.long()]
            known = (x - nearest).abs() <= (ROUNDING * nearest.abs()).clamp_max(plan.tolerance)
            lower, upper = self.scores(level), self.scores(level + 1)
            ends = torch.stack([_middle(lower, upper), lower, upper], 1)
            return (
                torch.where(known[:, None], ends, torch.nan),
                torch.where(known, self.log_unseen[0], self.log_unseen[1]),
            )
        if plan.kind == "continuous":
            u, volume = self.scores(x)
            return three(u), volume
        if plan.fine:
            u, volume = self.scores(plan.origin + plan.step * self._cell(x))
            return three(u), volume
        return self._cell_scores(self._cell(x)), x.new_full(x.shape, -math.log(plan.step))

    def _cell_scores(self, cell: Tensor) -> Tensor:
        x = self.plan.origin + self.plan.step * cell
        half = self.plan.step / 2
        if self.plan.period:
            middle, lower, upper = (self.scores(x + s)[0] for s in (0.0, -half, half))
            lower = torch.where(lower > middle, lower - 2 * math.pi, lower)
            upper = torch.where(upper < middle, upper + 2 * math.pi, upper)
            return torch.stack([middle, lower, upper], 1)
        low, high = self.plan.limits
        ends = (x - half).clamp_min(low - half), (x + half).clamp_max(high + half)
        if isinstance(self.scores, SmoothScores):
            lower, upper = (self.scores(end)[0] for end in ends)
        else:
            lower, upper = (self.scores(end) for end in ends)
        # The first and the last cell hold all that is left.
        lower = torch.where(x <= low + half / 2, -FAR, lower)
        upper = torch.where(x >= high - half / 2, FAR, upper)
        return torch.stack([_middle(lower, upper), lower, upper], 1)

    def encode(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        plan = self.plan
        here = ~x.isnan()
        filled = torch.where(here, x, self._typical().to(x))
        size = filled.abs() if plan.symmetric else filled
        spike = self._spike(size) if plan.atoms else torch.zeros_like(x)
        value, contribution = self._value(size)
        low, high = plan.limits
        if plan.kind == "lattice":
            nearest = plan.origin + plan.step * self._cell(size)
            outside = (nearest < low - plan.step / 4) | (nearest > high + plan.step / 4)
            of_atom = -math.log(plan.step)  # the width of its cell, like every other level
        else:
            outside = (size < low) | (size > high)
            of_atom = 0.0
        regular = here & (spike == 0)
        contribution = torch.where(spike > 0, of_atom, contribution)
        contribution = torch.where(here, contribution, 0.0)
        contribution = torch.where(here & outside, -torch.inf, contribution)
        found = {
            "spike": three(torch.where(here, spike, torch.nan)),
            "value": torch.where(regular[:, None], value, torch.nan),
            "sign": three(torch.where(here & (x != 0), (x > 0).to(x), torch.nan)),
        }
        return [found[v.role] for v in self.variables], contribution

    def _typical(self) -> Tensor:
        """Any value that is allowed: stands for missing ones during the arithmetic."""
        plan = self.plan
        if plan.kind == "levels":
            return self.levels[0]
        if isinstance(self.scores, SmoothScores):
            return self.scores.inverse(self.scores.low.new_zeros(1))[0]
        return self.scores.edges[0] + plan.step / 2

    def snap(self, u: Tensor) -> Tensor:
        """The three numbers of the cell that holds the scores ``u``."""
        if self.plan.kind == "continuous":
            return three(u)
        if self.plan.kind == "levels":
            level = self._level_of(u)
            lower, upper = self.scores(level), self.scores(level + 1)
            return torch.stack([_middle(lower, upper), lower, upper], 1)
        cell = self._cell(self.scores.inverse(u).clamp(*self.plan.limits))
        if self.plan.fine:
            return three(self.scores(self.plan.origin + self.plan.step * cell)[0])
        return self._cell_scores(cell)

    def _level_of(self, u: Tensor) -> Tensor:
        return self.scores.inverse(u).floor().clamp(0, len(self.levels) - 1)

    def decode(self, variables: list[Tensor], n: int, draw: Draw) -> Tensor:
        found = {v.role: values for v, values in zip(self.variables, variables, strict=True)}
        x = self._size(found, n)
        if self.plan.symmetric:
            x = torch.where(found["sign"][:, 0] == 0, -x, x)
        return x

    def is_zero(self, variables: list[Tensor], n: int) -> Tensor:
        """Rows whose value is 0: it has no sign."""
        found = {v.role: values for v, values in zip(self.variables, variables, strict=True)}
        return self._size(found, n) == 0

    def _size(self, found: dict[str, Tensor], n: int) -> Tensor:
        """The value, or its size in a symmetric column."""
        plan = self.plan
        if "value" not in found:
            return self.levels.new_full((n,), plan.levels[0])
        u = found["value"][:, 0]
        u = torch.where(u.isnan(), 0.0, u)
        if plan.kind == "levels":
            x = self.levels[self._level_of(u).long()]
        elif plan.kind == "lattice":
            x = plan.origin + plan.step * self._cell(self.scores.inverse(u))
            if plan.per_unit:  # to the last bit
                x = (x * plan.per_unit).round() / plan.per_unit
        else:
            x = self.scores.inverse(u)
        x = x.clamp(*plan.limits)
        if plan.atoms:
            spike = found["spike"][:, 0].nan_to_num(0.0).long()
            x = torch.where(spike > 0, self.atoms[(spike - 1).clamp_min(0)], x)
        return x


def _middle(lower: Tensor, upper: Tensor) -> Tensor:
    """Score in the middle of a cell's probability, for a standard normal."""
    # In the tail where both are positive the levels would be rounded to one: mirror them.
    flip = lower + upper > 0
    low, high = torch.where(flip, -upper, lower), torch.where(flip, -lower, upper)
    middle = torch.special.ndtri((torch.special.ndtr(low) + torch.special.ndtr(high)) / 2)
    # Beyond some thirty-seven deviations the levels underflow; there the nearer end will do.
    middle = torch.where(middle.isfinite(), middle, high)
    return torch.where(flip, -middle, middle)


def modelled_values(
    x: Tensor, plan: ColumnPlan, weight: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """Of a numeric column's values those that its scores are read off; and their weights."""
    used = ~x.isnan()
    x = x.abs() if plan.symmetric else x
    if plan.atoms:
        used &= NumericColumn(plan, 0)._spike(x) == 0
    return x[used], None if weight is None else weight[used]
