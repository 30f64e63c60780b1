"""Mixtures of normals of one variable each: masses of cells, densities of points, quantiles."""

import math

import torch
from torch import Tensor

from skflow.distributions.normal import LOG_SQRT_2PI

NARROW = 1e-3  # width of a cell, in deviations, below which its mass is density times width
FARTHEST = 100.0  # deviations: farther out the gradient of log_ndtr is none, in float32
BISECTIONS = 60
REACH = 12.0  # deviations of a component that a quantile may be away from it
TURNS = (-2, -1, 0, 1, 2)  # of a circle that a component is wrapped around


def log_normal_mass(lower: Tensor, upper: Tensor) -> Tensor:
    """Log of Phi(upper) - Phi(lower), accurate in both tails and for narrow cells."""
    lower, upper = (end.clamp(-FARTHEST, FARTHEST) for end in (lower, upper))
    flip = lower + upper > 0
    low, high = torch.where(flip, -upper, lower), torch.where(flip, -lower, upper)
    width = (high - low).clamp_min(1e-30)
    narrow = width < NARROW
    safe_low = torch.where(narrow, high - 1.0, low)
    log_high = torch.special.log_ndtr(high)
    difference = (torch.special.log_ndtr(safe_low) - log_high).clamp_max(-1e-12)
    wide = log_high + torch.log(-torch.expm1(difference))
    middle = (low + high) / 2
    return torch.where(narrow, width.log() - 0.5 * middle * middle - LOG_SQRT_2PI, wide)


def log_cell(ends: Tensor, log_weight: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Log-mass of cells: ends (..., 2) under components (..., M)."""
    lower = (ends[..., :1] - mean) / deviation
    upper = (ends[..., 1:] - mean) / deviation
    return torch.logsumexp(log_weight + log_normal_mass(lower, upper), -1)


def log_point(x: Tensor, log_weight: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Log-density of points: x (...) under components (..., M)."""
    r = (x[..., None] - mean) / deviation
    return torch.logsumexp(log_weight - 0.5 * r * r - deviation.log() - LOG_SQRT_2PI, -1)


def wrapped(log_weight: Tensor, mean: Tensor, deviation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Components on a circle of circumference 2 pi as ones on the line: (..., M * turns)."""
    turns = 2 * math.pi * torch.tensor(TURNS, dtype=mean.dtype, device=mean.device)
    around = [(mean[..., None] + turns).flatten(-2)]
    return (
        log_weight.repeat_interleave(len(TURNS), -1),
        around[0],
        deviation.repeat_interleave(len(TURNS), -1),
    )


def cumulated(x: Tensor, log_weight: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Probability below x (...)."""
    return (log_weight.exp() * torch.special.ndtr((x[..., None] - mean) / deviation)).sum(-1)


def quantile(level: Tensor, log_weight: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Where the probability below is ``level`` (...), by bisection."""
    low = (mean - REACH * deviation).amin(-1)
    high = (mean + REACH * deviation).amax(-1)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        below = cumulated(middle, log_weight, mean, deviation) < level
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2
