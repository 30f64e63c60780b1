"""The marginal map: every column to a standard normal, through its own quantiles."""

import torch
from torch import Tensor

from skflow.kernels.moments import n_rows, weighted_moments
from skflow.kernels.rational_quadratic import Bin, forward_in_bin, inverse_in_bin
from skflow.transforms.base import DimensionwiseTransform


def weighted_quantiles(x: Tensor, levels: Tensor, weight: Tensor | None) -> Tensor:
    """Quantiles of every column, interpolated between mid-rank levels: shape (d, levels).

    A row of weight w spans the ranks from its first half row to its last, as w equal rows would.
    """
    ordered, index = x.T.contiguous().sort(1)
    w = torch.ones_like(ordered) if weight is None else weight[index]
    rank = w.cumsum(1) - w / 2
    if weight is not None:
        inner = (w - 1).clamp_min(0) / 2
        rank = torch.stack([rank - inner, rank + inner], 2).flatten(1)
        ordered = ordered.repeat_interleave(2, 1)
    rank = rank / w.sum(1, keepdim=True)
    levels = levels.expand(len(ordered), -1).contiguous()
    right = torch.searchsorted(rank, levels).clamp(1, rank.shape[1] - 1)
    left = right - 1
    r0, r1 = rank.gather(1, left), rank.gather(1, right)
    share = ((levels - r0) / torch.where(r1 > r0, r1 - r0, 1.0)).clamp(0, 1)
    return torch.lerp(ordered.gather(1, left), ordered.gather(1, right), share)


class MarginalSpline(DimensionwiseTransform):
    """A monotone rational-quadratic spline per column, its knots at the column's quantiles.

    Knot k sits at the quantile of level p_k and goes to the normal quantile of p_k; the outermost
    knots are the extremes of the data. Slopes at the knots are the harmonic mean of the slopes
    beside them; outside, the map goes on linearly, no steeper than the column as a whole.

    Parameters
    ----------
    n_features : int
    n_knots : int
        Knots per column, at least 4.
    min_gap : float
        Smallest distance between knots, in standard deviations of the column: it bounds the
        density where values repeat.
    """

    knots_x: Tensor
    knots_z: Tensor
    slopes: Tensor
    tails: Tensor

    def __init__(self, n_features: int, n_knots: int, min_gap: float = 1e-5):
        super().__init__()
        self.min_gap = min_gap
        line = torch.linspace(-3, 3, n_knots).repeat(n_features, 1)
        self.register_buffer("knots_x", line.clone())
        self.register_buffer("knots_z", line.clone())
        self.register_buffer("slopes", torch.ones_like(line))
        self.register_buffer("tails", torch.ones_like(line[:, :2]))

    def _initialize(self, x, weight, context, noise):
        n_knots = self.knots_x.shape[1]
        levels = (torch.arange(n_knots, dtype=x.dtype, device=x.device) - 0.5) / (n_knots - 2)
        end = min(0.5 / n_rows(x, weight), 0.25 / (n_knots - 2))
        levels = levels.clamp(end, 1 - end)
        knots_x = weighted_quantiles(x, levels, weight)
        knots_x[:, 0], knots_x[:, -1] = x.amin(0), x.amax(0)
        # Ties: push each knot at least ``gap`` beyond the one before it.
        deviation = weighted_moments(x, weight)[1][:, None]
        ramp = self.min_gap * deviation * torch.arange(n_knots, dtype=x.dtype, device=x.device)
        knots_x = (knots_x - ramp).cummax(1).values + ramp
        knots_z = torch.special.ndtri(levels).expand_as(knots_x)
        secant = knots_z.diff(dim=1) / knots_x.diff(dim=1)
        inner = 2 / (1 / secant[:, :-1] + 1 / secant[:, 1:])
        self.knots_x.copy_(knots_x)
        self.knots_z.copy_(knots_z)
        # A steep last bin says nothing about what lies beyond the data. The slopes at the ends are
        # at most the average of the outer twentieth, those of the tails at most that of the column
        # as a whole: else the first ink in a pixel that was blank so far would be impossible.
        reach = max(1, n_knots // 20)
        outer = (knots_z[:, reach:] - knots_z[:, :-reach]) / (
            knots_x[:, reach:] - knots_x[:, :-reach]
        )
        ends = torch.cat([outer[:, :1], outer[:, -1:]], 1)
        ends = ends.minimum(secant[:, [0, -1]])
        self.tails.copy_(ends.minimum(1 / deviation))
        self.slopes.copy_(torch.cat([ends[:, :1], inner, ends[:, 1:]], 1))
        return self._forward(x, context, noise)[0]

    def _bins_at(self, position: Tensor, knots: Tensor) -> Bin:
        index = torch.searchsorted(knots[:, 1:-1].contiguous(), position, right=True)

        def pick(values: Tensor, at: Tensor) -> Tensor:
            return values.gather(1, at)

        left, bottom = pick(self.knots_x, index), pick(self.knots_z, index)
        width = pick(self.knots_x, index + 1) - left
        height = pick(self.knots_z, index + 1) - bottom
        slopes = pick(self.slopes, index), pick(self.slopes, index + 1)
        return Bin(left, width, bottom, height, *slopes)

    def _forward_per_dimension(self, x, context):
        x = x.T.contiguous()
        low, high = self.knots_x[:, :1], self.knots_x[:, -1:]
        clamped = torch.minimum(torch.maximum(x, low), high)
        z, log_derivative = forward_in_bin(clamped, self._bins_at(clamped, self.knots_x))
        tail_slope = torch.where(x < low, self.tails[:, :1], self.tails[:, 1:])
        outside = x != clamped
        z = z + (x - clamped) * tail_slope
        return z.T, torch.where(outside, tail_slope.log(), log_derivative).T

    def _inverse(self, z, context, draw):
        z = z.T.contiguous()
        low, high = self.knots_z[:, :1], self.knots_z[:, -1:]
        clamped = torch.minimum(torch.maximum(z, low), high)
        x = inverse_in_bin(clamped, self._bins_at(clamped, self.knots_z))
        tail_slope = torch.where(z < low, self.tails[:, :1], self.tails[:, 1:])
        return (x + (z - clamped) / tail_slope).T
