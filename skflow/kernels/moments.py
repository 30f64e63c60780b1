"""Moments of weighted rows, and the covariance shrunk as Ledoit and Wolf propose."""

import torch
from torch import Tensor

MIN_SHRINKAGE = 1e-6  # bounds the density of collinear columns
TIE = 1e-6  # relative difference below which entries of an axis are equal up to rounding
RELATIVE_FLOOR = 1e-12  # a spread below this share of the magnitude is rounding, not spread


def n_rows(x: Tensor, weight: Tensor | None) -> float:
    """Rows of ``x``, a row of weight w counting as w rows."""
    return len(x) if weight is None else float(weight.sum())


def weighted_mean(x: Tensor, weight: Tensor | None) -> Tensor:
    """Mean over the rows of ``x``."""
    return x.mean(0) if weight is None else (weight[:, None] * x).sum(0) / weight.sum()


def weighted_moments(x: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per column; the deviation of a constant column is 1.

    Computed after division by the largest magnitude, so squares neither over- nor underflow.
    """
    magnitude = x.abs().amax(0)
    magnitude = torch.where(magnitude > 0, magnitude, 1.0)
    scaled = x / magnitude
    mean = weighted_mean(scaled, weight)
    deviation = weighted_mean((scaled - mean) ** 2, weight).sqrt()
    usable = deviation > RELATIVE_FLOOR
    return mean * magnitude, torch.where(usable, deviation * magnitude, 1.0)


def weighted_median(x: Tensor, weight: Tensor | None) -> Tensor:
    """Lower median of every column's values; NaN are none."""
    if weight is None:
        return x.nanmedian(0).values
    ordered, index = x.sort(0)  # NaN last
    so_far = torch.where(ordered.isnan(), 0.0, weight[index]).cumsum(0)
    below = so_far < (1 - RELATIVE_FLOOR) * so_far[-1] / 2
    return ordered.gather(0, below.sum(0, keepdim=True))[0]


def rows_of_moments(x: Tensor, weight: Tensor | None) -> Tensor:
    """Rows without weights that have the weighted mean and covariance; ``x`` without weights."""
    if weight is None:
        return x
    mean, d = weighted_mean(x, weight), x.shape[1]
    centred = x - mean
    variance, axes = torch.linalg.eigh(centred.T @ (weight[:, None] * centred) / weight.sum())
    steps = (d * variance.clamp_min(0)).sqrt()[:, None] * axes.T
    return torch.cat([mean + steps, mean - steps])


def ledoit_wolf_intensity(x: Tensor, weight: Tensor | None) -> float:
    """Ledoit and Wolf's intensity for centred rows ``x``; the weights add up to their number.

    References
    ----------
    Ledoit, Wolf (2004), "A well-conditioned estimator for large-dimensional covariance matrices".
    """
    n, d = n_rows(x, weight), x.shape[1]
    w = x.new_full((len(x),), 1 / n) if weight is None else weight / n
    covariance = x.T @ (w[:, None] * x)
    target = covariance.diagonal().mean()
    distance = (covariance**2).sum() - d * target**2
    spread = (w * (x * x).sum(1) ** 2).sum() - (covariance**2).sum()
    if not distance > 0:
        return 1.0
    return float((spread / n / distance).clamp(0, 1))


def covariance_and_intensity(
    centred: Tensor, weight: Tensor | None, shrinkage: float | None = None
) -> tuple[Tensor, float]:
    """Sample covariance of centred rows, and the share of the average variance to mix in.

    ``shrinkage`` is that share, never below 1e-6; None takes Ledoit and Wolf's.
    """
    intensity = ledoit_wolf_intensity(centred, weight) if shrinkage is None else shrinkage
    rows = centred if weight is None else centred * (weight / weight.mean()).sqrt()[:, None]
    return rows.T @ rows / len(centred), max(intensity, MIN_SHRINKAGE)


def shrunk(variance: Tensor, intensity: float) -> Tensor:
    """Move variances towards their average; none stays zero."""
    average = variance.mean().clamp_min(torch.finfo(variance.dtype).tiny)
    return (1 - intensity) * variance + intensity * average


def oriented(axes: Tensor) -> Tensor:
    """Axes as columns, each pointing where the first of its largest entries is positive."""
    size = axes.abs()
    largest = (size >= (1 - TIE) * size.amax(0)).to(torch.int8).argmax(0, keepdim=True)
    return axes * axes.gather(0, largest).sign()
