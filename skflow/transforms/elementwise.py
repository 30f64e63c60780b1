"""Maps that treat every column by itself."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from skflow.transforms.base import DimensionwiseTransform
from skflow.transforms.families import Family
from skflow.transforms.standardize import weighted_moments


class Elementwise(DimensionwiseTransform):
    """One learned map of a family per column, the same for all rows; the identity at first."""

    def __init__(self, n_features: int, family: Family):
        super().__init__()
        self.family = family
        self.weight = nn.Parameter(torch.zeros(family.n_parameters, n_features, 1))

    def forward_per_dimension(self, x, context=None):
        z, log_derivative = self.family.forward(x.T.contiguous(), self.weight)
        return z.T, log_derivative.T

    def inverse(self, z, context=None):
        return self.family.inverse(z.T.contiguous(), self.weight).T


class LeakyReLU(DimensionwiseTransform):
    """``z = x`` above zero, ``z = negative_slope * x`` below."""

    def __init__(self, negative_slope: float = 0.1):
        super().__init__()
        if not negative_slope > 0:
            raise ValueError(
                f"negative_slope must be positive to be invertible, got {negative_slope}"
            )
        self.negative_slope = negative_slope

    def forward_per_dimension(self, x, context=None):
        z = F.leaky_relu(x, self.negative_slope)
        return z, torch.where(x < 0, math.log(self.negative_slope), torch.zeros_like(x))

    def inverse(self, z, context=None):
        return F.leaky_relu(z, 1 / self.negative_slope)


class ActNorm(DimensionwiseTransform):
    """Learned shift and scale per column, set so that the first data come out standardised.

    References
    ----------
    Kingma, Dhariwal (2018), "Glow", arXiv:1807.03039.
    """

    def __init__(self, n_features: int):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(n_features))
        self.log_scale = nn.Parameter(torch.zeros(n_features))

    @torch.no_grad()
    def initialize(self, x, weight=None, context=None):

        mean, scale = weighted_moments(x, weight)
        self.shift.copy_(mean)
        self.log_scale.copy_(-scale.log())
        return self.forward(x)[0]

    def forward_per_dimension(self, x, context=None):
        return (x - self.shift) * self.log_scale.exp(), self.log_scale.expand_as(x)

    def inverse(self, z, context=None):
        return z * torch.exp(-self.log_scale) + self.shift
