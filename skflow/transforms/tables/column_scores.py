"""Monotone maps of one column to normal scores, read off the data: where tables begin.

Each has ``forward(x) -> (u, log du/dx)`` and ``inverse(u)`` for a vector of values. Beyond the data
the scores grow as a logarithm only: a value a thousand spreads away is unlikely, not impossible.
"""

import math

import torch
from torch import Tensor, nn

from skflow.kernels.moments import weighted_moments
from skflow.transforms.bounds import Bound
from skflow.transforms.marginal import MarginalSpline
from skflow.transforms.standardize import Standardize

PSEUDO_COUNT = 0.5  # of every interval between edges, and of each tail
FAR = 1e4  # stands for infinity among scores
MAX_REACH = 30.0  # of the logarithmic tails on the way back


def _compress(u: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Scores beyond [low, high] grow logarithmically; also the log-derivative."""
    beyond = torch.where(u > high, u - high, torch.where(u < low, low - u, 0.0))
    grown = torch.log1p(beyond)
    return torch.where(u > high, high + grown, torch.where(u < low, low - grown, u)), -grown


def _expand(t: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Undo `_compress`."""
    beyond = torch.where(t > high, t - high, torch.where(t < low, low - t, 0.0))
    grown = torch.expm1(beyond.clamp_max(MAX_REACH))
    return torch.where(t > high, high + grown, torch.where(t < low, low - grown, t))


class SmoothScores(nn.Module):
    """Scores of a column: by its standard deviation, or by a spline through quantiles.

    Parameters
    ----------
    n_knots : int
        Of the spline; 0 standardises.
    bounds : (float, float)
        Where the density ends, infinite for nowhere.
    """

    low: Tensor
    high: Tensor

    def __init__(self, n_knots: int, bounds: tuple[float, float] = (-math.inf, math.inf)):
        super().__init__()
        bounded = math.isfinite(bounds[0]) or math.isfinite(bounds[1])
        limits = (torch.tensor([limit], dtype=torch.float64) for limit in bounds)
        self.bound = Bound(*limits) if bounded else None
        self.scores = MarginalSpline(1, n_knots) if n_knots else Standardize(1)
        self.register_buffer("low", torch.tensor(-math.inf, dtype=torch.float64))
        self.register_buffer("high", torch.tensor(math.inf, dtype=torch.float64))

    @torch.no_grad()
    def initialize(self, x: Tensor, weight: Tensor | None = None) -> None:
        """Read the scores off finite values ``x`` (n,)."""
        column = x[:, None]
        if self.bound is not None:
            column = self.bound.initialize(column, weight)
        u = self.scores.initialize(column, weight)
        self.low.copy_(u.min())
        self.high.copy_(u.max())

    def span(self) -> tuple[float, float]:
        """Where the values lay that the scores were read off."""
        ends = self.inverse(torch.stack([self.low, self.high]))
        return float(ends[0]), float(ends[1])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        column, total = x[:, None], torch.zeros_like(x)
        if self.bound is not None:
            column, total = self.bound(column)
        u, volume = self.scores(column)
        u, last = _compress(u[:, 0], self.low, self.high)
        return u, total + volume + last

    def inverse(self, u: Tensor) -> Tensor:
        """Values of scores."""
        column = self.scores.inverse(_expand(u, self.low, self.high)[:, None])
        return (column if self.bound is None else self.bound.inverse(column))[:, 0]


class EdgeScores(nn.Module):
    """Scores at the edges of cells, by the cumulated frequencies of what lies between edges.

    Between two edges the frequency grows evenly.

    Parameters
    ----------
    n_edges : int
    open_low, open_high : bool
        Whether cells go on beyond the first and the last edge.
    """

    edges: Tensor
    cumulated: Tensor
    slope: Tensor

    def __init__(self, n_edges: int, *, open_low: bool = True, open_high: bool = True):
        super().__init__()
        self.open_low, self.open_high = open_low, open_high
        self.register_buffer("edges", torch.arange(n_edges, dtype=torch.float64))
        self.register_buffer("cumulated", torch.linspace(0.01, 0.99, n_edges, dtype=torch.float64))
        self.register_buffer("slope", torch.ones((), dtype=torch.float64))

    @torch.no_grad()
    def initialize(
        self,
        x: Tensor,
        edges: Tensor,
        forbidden: Tensor,
        weight: Tensor | None = None,
        prior: Tensor | None = None,
    ) -> None:
        """Count the values ``x`` (n,) between ``edges`` (m,).

        ``prior`` (m + 1,) are counts to begin with, of what lies below, between and above the
        edges; half a count each by default. Intervals ``forbidden`` (m - 1,) stay empty.
        """
        weight = torch.ones_like(x) if weight is None else weight
        place = torch.searchsorted(edges, x, right=True).clamp(1, len(edges) - 1) - 1
        counts = torch.zeros(len(edges) - 1, dtype=torch.float64).index_add_(0, place, weight)
        if prior is None:
            prior = counts.new_full((len(edges) + 1,), PSEUDO_COUNT)
        counts = torch.where(forbidden, 0.0, counts + prior[1:-1])
        low, high = prior[0] * self.open_low, prior[-1] * self.open_high
        start = low[None]
        cumulated = torch.cat([start, low + counts.cumsum(0)]) / (low + counts.sum() + high)
        self.edges.copy_(edges)
        self.cumulated.copy_(cumulated)
        spread = weighted_moments(x[:, None], weight)[1][0] if len(x) else edges[-1] - edges[0]
        self.slope.copy_(1 / spread)

    def span(self) -> tuple[float, float]:
        """Where the values lay that were counted."""
        return float(self.edges[0]), float(self.edges[-1])

    def forward(self, x: Tensor) -> Tensor:
        """Scores of any values."""
        first, last = self.edges[0], self.edges[-1]
        inside = x.clamp(first, last)
        right = torch.searchsorted(self.edges, inside).clamp(1, len(self.edges) - 1)
        left = right - 1
        share = (inside - self.edges[left]) / (self.edges[right] - self.edges[left])
        level = torch.lerp(self.cumulated[left], self.cumulated[right], share)
        u = torch.special.ndtri(level.clamp(0, 1)).clamp(-FAR, FAR)
        ends = torch.special.ndtri(self.cumulated[[0, -1]]).clamp(-FAR, FAR)
        above = torch.log1p(self.slope * (x - last).clamp_min(0))
        below = torch.log1p(self.slope * (first - x).clamp_min(0))
        if self.open_high:
            u = torch.where(x > last, ends[1] + above, u)
        if self.open_low:
            u = torch.where(x < first, ends[0] - below, u)
        return u

    def inverse(self, u: Tensor) -> Tensor:
        """A value with these scores."""
        level = torch.special.ndtr(u)
        right = torch.searchsorted(self.cumulated, level).clamp(1, len(self.edges) - 1)
        left = right - 1
        width = self.cumulated[right] - self.cumulated[left]
        share = (level - self.cumulated[left]) / torch.where(width > 0, width, 1.0)
        x = torch.lerp(self.edges[left], self.edges[right], share.clamp(0, 1))
        ends = torch.special.ndtri(self.cumulated[[0, -1]]).clamp(-FAR, FAR)
        above = torch.expm1((u - ends[1]).clamp(0, MAX_REACH)) / self.slope
        below = torch.expm1((ends[0] - u).clamp(0, MAX_REACH)) / self.slope
        if self.open_high:
            x = torch.where(u > ends[1], self.edges[-1] + above, x)
        if self.open_low:
            x = torch.where(u < ends[0], self.edges[0] - below, x)
        return x


class CircularScores(nn.Module):
    """Angles of a periodic column, evenly spread: 2 pi times its cumulated frequency.

    Parameters
    ----------
    n_edges : int
    period : float
    """

    edges: Tensor
    cumulated: Tensor

    def __init__(self, n_edges: int, period: float):
        super().__init__()
        self.period = period
        line = torch.linspace(0, 1, n_edges, dtype=torch.float64)
        self.register_buffer("edges", period * line)
        self.register_buffer("cumulated", line.clone())

    @torch.no_grad()
    def initialize(self, x: Tensor, edges: Tensor, weight: Tensor | None = None) -> None:
        """Count the values between ``edges``, which span one period."""
        weight = torch.ones_like(x) if weight is None else weight
        position = edges[0] + (x - edges[0]).remainder(self.period)
        place = torch.searchsorted(edges, position, right=True).clamp(1, len(edges) - 1) - 1
        counts = torch.full((len(edges) - 1,), PSEUDO_COUNT, dtype=torch.float64)
        counts.index_add_(0, place, weight)
        self.edges.copy_(edges)
        self.cumulated[1:] = counts.cumsum(0) / counts.sum()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Angles in [0, 2 pi), and the log of their derivative."""
        position = self.edges[0] + (x - self.edges[0]).remainder(self.period)
        right = torch.searchsorted(self.edges, position, right=True).clamp(1, len(self.edges) - 1)
        left = right - 1
        slope = self.cumulated[right] - self.cumulated[left]
        slope = slope / (self.edges[right] - self.edges[left])
        level = self.cumulated[left] + slope * (position - self.edges[left])
        return 2 * math.pi * level, (2 * math.pi * slope).log()

    def inverse(self, u: Tensor) -> Tensor:
        """Values of angles."""
        level = (u / (2 * math.pi)).remainder(1.0)
        right = torch.searchsorted(self.cumulated, level).clamp(1, len(self.edges) - 1)
        left = right - 1
        share = (level - self.cumulated[left]) / (self.cumulated[right] - self.cumulated[left])
        return torch.lerp(self.edges[left], self.edges[right], share)
