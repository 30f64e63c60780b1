"""The columns of a mixed table as model variables: codes, cells and points, absent where missing.

A column becomes up to four variables: whether the cell is *present*, which atom it is (*spike*),
its *value* and its *sign*. A variable is three numbers per row: what a network is to see, and the
lower and upper end of its cell in scores; the three are equal for a code or a point, NaN where
absent.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from skflow.distributions.categorical import Categorical
from skflow.transforms.noise import Draw
from skflow.transforms.scores import FAR, CircularScores, EdgeScores, SmoothScores

MAX_CODES = 255  # levels of a category with a code of their own; the rarest share one
MAX_EDGES, MIN_EDGES, ROWS_PER_EDGE = 256, 32, 8
GOLDEN = (math.sqrt(5) - 1) / 2
ROUNDING = 1e-7  # relative difference below which a value is the level: single precision
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
    step, origin, levels, atoms
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

    @property
    def limits(self) -> tuple[float, float]:
        """The bounds, or of a lattice the first and the last level within them."""
        if self.kind != "lattice":
            return self.bounds
        low, high = ((bound - self.origin) / self.step for bound in self.bounds)
        first = math.ceil(low - TOLERANCE) if math.isfinite(low) else low
        last = math.floor(high + TOLERANCE) if math.isfinite(high) else high
        return self.origin + self.step * first, self.origin + self.step * last


@dataclass(frozen=True)
class Variable:
    """One variable of the model.

    ``kind`` is "code" (one of ``n_levels``), "cell" (an interval of scores) or "point".
    """

    column: int
    role: str  # "present", "spike", "value" or "sign"
    kind: str
    n_levels: int = 0
    circular: bool = False


def three(value: Tensor) -> Tensor:
    """The three numbers of a code or a point: (n, 3)."""
    return value[:, None].expand(-1, 3)


def _unseen_share(counts: Tensor) -> float:
    """Probability of a level that never occurred, after Good and Turing, at least a half count."""
    singletons = float((counts == 1).sum())
    return (singletons + 1) / (float(counts.sum()) + singletons + 2)


class CategoryColumn(nn.Module):
    """A categorical column: frequent levels have a code each, the rarest share the last one."""

    code: Tensor
    log_share: Tensor
    log_unseen: Tensor

    def __init__(self, plan: ColumnPlan, column: int):
        super().__init__()
        n_codes = min(plan.n_levels, MAX_CODES + 1)
        self.variables = [Variable(column, "value", "code", n_codes)] if n_codes > 1 else []
        self.n_codes = n_codes
        levels = torch.arange(plan.n_levels)
        self.register_buffer("code", levels.clamp_max(n_codes - 1))
        self.register_buffer("log_share", torch.zeros(plan.n_levels, dtype=torch.float64))
        self.register_buffer("log_unseen", torch.tensor([0.5, 0.5], dtype=torch.float64).log())

    @torch.no_grad()
    def initialize(self, x: Tensor, weight: Tensor) -> None:
        """Count the levels."""
        n_levels = len(self.code)
        counts = torch.zeros(n_levels, dtype=torch.float64)
        counts.index_add_(0, x.long(), weight)
        if n_levels > self.n_codes:
            order = counts.argsort(descending=True, stable=True)
            self.code[order] = torch.arange(n_levels).clamp_max(self.n_codes - 1)
            rare = order[self.n_codes - 1 :]
            share = counts[rare] + 0.5
            self.log_share[rare] = (share / share.sum()).log()
        unseen = _unseen_share(counts)
        self.log_unseen.copy_(torch.tensor([1 - unseen, unseen], dtype=torch.float64).log())

    def encode(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        known = x >= 0
        level = torch.where(known, x, 0.0).long()
        log_known = self.log_unseen[0] + self.log_share[level]
        contribution = torch.where(known, log_known, self.log_unseen[1])
        contribution = torch.where(x.isnan(), 0.0, contribution)
        value = torch.where(known, self.code[level].to(x), torch.nan)
        return [three(value)] * len(self.variables), contribution

    def decode(self, variables: list[Tensor], n: int, draw: Draw) -> Tensor:
        if not variables:
            return self.log_share.new_zeros(n)
        own = self.code.argsort(stable=True)
        code = variables[0][:, 0]
        level = own[torch.where(code.isnan(), 0.0, code).long()]
        if len(self.code) > self.n_codes:
            rare = own[self.n_codes - 1 :]
            drawn = draw(Categorical(len(rare)), self.log_share[rare].expand(n, -1))[:, 0].long()
            level = torch.where(code == self.n_codes - 1, rare[drawn], level)
        return level.to(self.log_share)


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
            hit = (x[:, None] - self.atoms).abs() <= ROUNDING * self.atoms.abs()
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
            unseen = _unseen_share(counts)
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
            self.scores.initialize(spread_evenly(x, plan.step), weight)

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
            known = (x - nearest).abs() <= ROUNDING * nearest.abs()
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


def spread_evenly(x: Tensor, step: float) -> Tensor:
    """Levels of a lattice spread over their cells: evenly by rank, not at random."""
    rank = torch.empty_like(x)
    rank[x.argsort(stable=True)] = torch.arange(len(x), dtype=x.dtype)
    return x + step * ((rank * GOLDEN).remainder(1.0) - 0.5)


def smooth_scores(plan: ColumnPlan) -> SmoothScores:
    """The spline of a plan; a level on its bound has a cell that reaches half a step beyond."""
    half = plan.step / 2
    low, high = plan.limits
    return SmoothScores(plan.n_knots, (low - half, high + half)).double()


def prior_counts(x: Tensor, plan: ColumnPlan, edges: Tensor, weight: Tensor | None) -> Tensor:
    """What the spline expects below, between and above edges, worth ``plan.prior_rows`` rows."""
    scores = smooth_scores(plan)
    scores.initialize(spread_evenly(x, plan.step), weight)
    level = torch.special.ndtr(scores(edges)[0])
    level = torch.cat([level.new_zeros(1), level, level.new_ones(1)])
    return plan.prior_rows * level.diff().clamp_min(1e-12)


def all_edges(values: Tensor, step: float) -> Tensor:
    """Edges of the cells around distinct lattice values."""
    cells = torch.cat([values - step / 2, values + step / 2]).sort().values
    return cells[torch.cat([torch.tensor([True]), cells.diff() > step / 4])]


def modelled_values(x: Tensor, plan: ColumnPlan) -> Tensor:
    """Of a numeric column's values those, or the sizes of those, that its scores are read off."""
    x = x[~x.isnan()]
    x = x.abs() if plan.symmetric else x
    return x[NumericColumn(plan, 0)._spike(x) == 0] if plan.atoms else x


def lattice_edges(x: Tensor, plan: ColumnPlan) -> Tensor:
    """Edges between which the values of a lattice column are counted.

    All cells that hold data where those are few for the number of rows, else edges at quantiles;
    the cells of atoms in any case.
    """
    lattice = plan.origin + plan.step * ((x - plan.origin) / plan.step).round()
    edges = all_edges(lattice.unique(), plan.step)
    most = max(MIN_EDGES, min(MAX_EDGES, len(x) // ROWS_PER_EDGE))
    if len(edges) > 2 * most:
        levels = torch.linspace(0, 1, most, dtype=x.dtype)
        ordered = lattice.sort().values
        picked = ordered[(levels * (len(x) - 1)).round().long()].unique()
        ends = torch.stack([edges[0], edges[-1]])
        edges = torch.cat([ends, picked + plan.step / 2])
    extra = [edges]
    if plan.atoms:
        extra.append(all_edges(torch.tensor(plan.atoms, dtype=x.dtype), plan.step))
    return up_to_bounds(torch.cat(extra), plan)


def up_to_bounds(edges: Tensor, plan: ColumnPlan) -> Tensor:
    """Edges of a lattice in order, each once, and those at its bounds."""
    low, high = plan.limits
    ends = [end for end in (low - plan.step / 2, high + plan.step / 2) if math.isfinite(end)]
    merged = torch.cat([edges, edges.new_tensor(ends)]).sort().values
    return merged[torch.cat([torch.tensor([True]), merged.diff() > plan.step / 4])]


def circle_edges(x: Tensor, plan: ColumnPlan) -> Tensor:
    """Edges at quantiles of one period, on the boundaries of cells for a lattice."""
    step = plan.step
    start = plan.origin - step / 2 if step else float(x.min())
    position = (x - start).remainder(plan.period)
    most = max(8, min(MAX_EDGES, len(x) // ROWS_PER_EDGE))
    if step:
        n_cells = round(plan.period / step)
        inner = step * torch.arange(1, n_cells, dtype=x.dtype)
        if n_cells > most:
            inner = inner[:: -(-n_cells // most)]
    else:
        levels = torch.linspace(0, 1, min(most, 32) + 1, dtype=x.dtype)[1:-1]
        inner = position.quantile(levels).unique()
        inner = inner[(inner > 0) & (inner < plan.period)]
    ends = torch.tensor([0.0, plan.period], dtype=x.dtype)
    return start + torch.cat([ends[:1], inner, ends[1:]])
