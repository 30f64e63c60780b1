"""Maps that treat every column by itself."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from skflow.transforms.base import DimensionwiseTransform
from skflow.transforms.dense import to_channels
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


class SmoothLeakyReLU(DimensionwiseTransform):
    """``z = a x + (1 - a) softplus(x)``, the activation of the self-normalizing paper.

    The inverse is Newton's method from the leaky ReLU's inverse: that lies above the solution,
    and on a convex increasing function the steps then fall monotonically towards it.
    """

    NEWTON_STEPS = 12  # the gap is at most log 2 at first, and its square from step to step

    def __init__(self, slope: float = 0.3):
        super().__init__()
        if not 0 < slope <= 1:
            raise ValueError(f"slope must be in (0, 1] to be invertible, got {slope}")
        self.slope = slope

    def forward_per_dimension(self, x, context=None):
        z = self.slope * x + (1 - self.slope) * F.softplus(x)
        return z, torch.log(self.slope + (1 - self.slope) * torch.sigmoid(x))

    def inverse(self, z, context=None):
        x = F.leaky_relu(z, 1 / self.slope)
        for _ in range(self.NEWTON_STEPS):
            value, log_derivative = self.forward_per_dimension(x)
            x = x - (value - z) * torch.exp(-log_derivative)
        return x


class ActNorm(DimensionwiseTransform):
    """Learned shift and scale per column, set so that the first data come out standardised.

    Parameters
    ----------
    n_features : int
    n_positions : int, default=1
        Columns that share their two numbers: the positions of a channel, for rows laid out as
        (channels, positions).

    References
    ----------
    Kingma, Dhariwal (2018), "Glow", arXiv:1807.03039.
    """

    def __init__(self, n_features: int, n_positions: int = 1):
        super().__init__()
        self.n_positions = n_positions
        self.shift = nn.Parameter(torch.zeros(n_features // n_positions))
        self.log_scale = nn.Parameter(torch.zeros(n_features // n_positions))

    def _per_column(self, values):
        return values.repeat_interleave(self.n_positions)

    @torch.no_grad()
    def initialize(self, x, weight=None, context=None):
        weight = None if weight is None else weight.repeat_interleave(self.n_positions)
        mean, scale = weighted_moments(to_channels(x, self.n_positions), weight)
        self.shift.copy_(mean)
        self.log_scale.copy_(-scale.log())
        return self.forward(x)[0]

    def forward_per_dimension(self, x, context=None):
        shift, log_scale = self._per_column(self.shift), self._per_column(self.log_scale)
        return (x - shift) * log_scale.exp(), log_scale.expand_as(x)

    def inverse(self, z, context=None):
        return z * torch.exp(-self._per_column(self.log_scale)) + self._per_column(self.shift)
