"""Fixed affine maps read off the data: standardising and whitening."""

import torch
from torch import Tensor

from skflow.transforms.base import DimensionwiseTransform, Transform

RELATIVE_FLOOR = 1e-12  # a spread below this share of the magnitude is rounding, not spread


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


class Standardize(DimensionwiseTransform):
    """``z = (x - mean) / deviation`` per column, both fixed by the data."""

    mean: Tensor
    scale: Tensor

    def __init__(self, n_features: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(n_features, dtype=torch.float64))

    @torch.no_grad()
    def initialize(self, x, weight=None, context=None):
        mean, scale = weighted_moments(x, weight)
        self.mean.copy_(mean)
        self.scale.copy_(scale)
        return self.forward(x)[0]

    def forward_per_dimension(self, x, context=None):
        return (x - self.mean) / self.scale, -self.scale.log().expand_as(x)

    def inverse(self, z, context=None):
        return z * self.scale + self.mean


def shrinkage_intensity(x: Tensor, weight: Tensor | None) -> float:
    """Ledoit and Wolf's intensity for centred rows ``x``.

    References
    ----------
    Ledoit, Wolf (2004), "A well-conditioned estimator for large-dimensional covariance matrices".
    """
    n, d = x.shape
    w = x.new_full((n,), 1 / n) if weight is None else weight / weight.sum()
    covariance = x.T @ (w[:, None] * x)
    target = covariance.diagonal().mean()
    distance = (covariance**2).sum() - d * target**2
    spread = (w * (x * x).sum(1) ** 2).sum() - (covariance**2).sum()
    if not distance > 0:
        return 1.0
    return float((spread / n / distance).clamp(0, 1))


class Whiten(Transform):
    """``z = W (x - mean)``: principal axes scaled to unit variance under a shrunk covariance.

    Parameters
    ----------
    n_features : int
    shrinkage : float or None
        Share of the average variance mixed into the covariance; None takes Ledoit and Wolf's.
        Never below 1e-6, which bounds the density of collinear columns.
    """

    mean: Tensor
    axes: Tensor
    scale: Tensor

    def __init__(self, n_features: int, shrinkage: float | None = None):
        super().__init__()
        self.shrinkage = shrinkage
        self.register_buffer("mean", torch.zeros(n_features, dtype=torch.float64))
        self.register_buffer("axes", torch.eye(n_features, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(n_features, dtype=torch.float64))

    @torch.no_grad()
    def initialize(self, x, weight=None, context=None):
        mean = weighted_mean(x, weight)
        centred = x - mean
        intensity = self.shrinkage
        if intensity is None:
            intensity = shrinkage_intensity(centred, weight)
        intensity = max(intensity, 1e-6)
        rows = centred if weight is None else centred * (weight / weight.mean()).sqrt()[:, None]
        covariance = rows.T @ rows / len(x)
        variance, axes = torch.linalg.eigh(covariance)
        average = covariance.diagonal().mean().clamp_min(torch.finfo(x.dtype).tiny)
        variance = (1 - intensity) * variance.clamp_min(0) + intensity * average
        # Largest variance first; every axis points where its largest entry is positive.
        variance, axes = variance.flip(0), axes.flip(1)
        signs = axes.gather(0, axes.abs().argmax(0, keepdim=True)).sign()
        self.mean.copy_(mean)
        self.axes.copy_(axes * signs)
        self.scale.copy_(variance.sqrt())
        return self.forward(x)[0]

    def forward(self, x, context=None):
        z = (x - self.mean) @ self.axes / self.scale
        return z, -self.scale.log().sum().expand(x.shape[0])

    def inverse(self, z, context=None):
        return (z * self.scale) @ self.axes.T + self.mean
