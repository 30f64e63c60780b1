"""Fixed affine maps read off the data: standardising and whitening."""

import torch
from torch import Tensor

from skflow.kernels.moments import (
    covariance_and_intensity,
    oriented,
    shrunk,
    weighted_mean,
    weighted_moments,
)
from skflow.transforms.base import DimensionwiseTransform, Transform


class Standardize(DimensionwiseTransform):
    """``z = (x - mean) / deviation`` per column, both fixed by the data."""

    mean: Tensor
    scale: Tensor

    def __init__(self, n_features: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))

    def _initialize(self, x, weight, context, noise):
        mean, scale = weighted_moments(x, weight)
        self.mean.copy_(mean)
        self.scale.copy_(scale)
        return self._forward(x, context, noise)[0]

    def _forward_per_dimension(self, x, context):
        return (x - self.mean) / self.scale, -self.scale.log().expand_as(x)

    def _inverse(self, z, context, draw):
        return z * self.scale + self.mean


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
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("axes", torch.eye(n_features))
        self.register_buffer("scale", torch.ones(n_features))

    def _initialize(self, x, weight, context, noise):
        mean = weighted_mean(x, weight)
        covariance, intensity = covariance_and_intensity(x - mean, weight, self.shrinkage)
        variance, axes = torch.linalg.eigh(covariance)
        variance = shrunk(variance.clamp_min(0), intensity)
        variance, axes = variance.flip(0), axes.flip(1)  # largest variance first
        self.mean.copy_(mean)
        self.axes.copy_(oriented(axes))
        self.scale.copy_(variance.sqrt())
        return self._forward(x, context, noise)[0]

    def _forward(self, x, context, noise):
        z = (x - self.mean) @ self.axes / self.scale
        return z, -self.scale.log().sum().expand(x.shape[0])

    def _forward_booked(self, x, context, noise, ledger):
        ledger.turn(self.axes)
        ledger.stretch(-self.scale.log())
        return self._forward(x, context, noise)[0]

    def _inverse(self, z, context, draw):
        return (z * self.scale) @ self.axes.T + self.mean
