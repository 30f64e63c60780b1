"""Smooth scores of a lattice: its levels spread over their cells."""

import math

import torch
from torch import Tensor

from skflow.data.column_plan import ColumnPlan
from skflow.transforms.tables.column_scores import SmoothScores

GOLDEN = (math.sqrt(5) - 1) / 2


def spread_evenly(x: Tensor, step: float, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Levels of a lattice spread over their cells, evenly by rank, not at random; their weights.

    A row of weight w becomes about w rows.
    """
    if not step:
        return x, weight
    copies = weight.round().clamp_min(1).long()
    x, weight = x.repeat_interleave(copies), (weight / copies).repeat_interleave(copies)
    rank = torch.empty_like(x)
    rank[x.argsort(stable=True)] = torch.arange(len(x), dtype=x.dtype)
    return x + step * ((rank * GOLDEN).remainder(1.0) - 0.5), weight


def smooth_scores(plan: ColumnPlan) -> SmoothScores:
    """The spline of a plan; a level on its bound has a cell that reaches half a step beyond."""
    half = plan.step / 2
    low, high = plan.limits
    return SmoothScores(plan.n_knots, (low - half, high + half)).double()


def prior_counts(x: Tensor, plan: ColumnPlan, edges: Tensor, weight: Tensor) -> Tensor:
    """What the spline expects below, between and above edges, worth ``plan.prior_rows`` rows."""
    scores = smooth_scores(plan)
    scores.initialize(*spread_evenly(x, plan.step, weight))
    level = torch.special.ndtr(scores(edges)[0])
    level = torch.cat([level.new_zeros(1), level, level.new_ones(1)])
    return plan.prior_rows * level.diff().clamp_min(1e-12)
