"""Maps that treat every column by itself."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skflow.kernels.families import Family
from skflow.kernels.moments import weighted_moments
from skflow.transforms.base import DimensionwiseTransform
from skflow.transforms.dense import to_channels


class Elementwise(DimensionwiseTransform):
    """One learned map of a family per channel, the same for all rows; the identity at first.

    Parameters
    ----------
    n_features : int
    family : Family
    n_positions : int, default=1
        Columns that share a map: the positions of a channel, for rows laid out as
        (channels, positions). With ``n_positions=n_features`` there is one map for the whole
        layer, as in the paper on flowification.

    References
    ----------
    Máté, Klein, Golling, Fleuret (2022), "Flowification: Everything is a normalizing flow",
    arXiv:2205.15209.
    """

    def __init__(self, n_features: int, family: Family, n_positions: int = 1):
        super().__init__()
        self.family = family
        self.weight = nn.Parameter(torch.zeros(family.n_parameters, n_features // n_positions, 1))

    def _by_channel(self, x):
        # In the kernels' layout rows come last: a channel's positions are already side by side.
        return x.T.contiguous().view(self.weight.shape[1], -1)

    def _forward_per_dimension(self, x, context):
        z, log_derivative = self.family.forward(self._by_channel(x), self.weight)
        return z.reshape(x.T.shape).T, log_derivative.reshape(x.T.shape).T

    def _inverse(self, z, context, draw):
        return self.family.inverse(self._by_channel(z), self.weight).reshape(z.T.shape).T


class PReLU(DimensionwiseTransform):
    """``z = x`` above zero, ``z = slope * x`` below, with a learned positive slope per channel.

    Parameters
    ----------
    n_features : int
    n_positions : int, default=1
        Columns that share a slope: the positions of a channel, for rows laid out as
        (channels, positions).
    slope : float or Tensor of shape (n_channels,), default=0.25
        The slope at first.
    """

    def __init__(self, n_features: int, n_positions: int = 1, slope: float | Tensor = 0.25):
        super().__init__()
        self.n_positions = n_positions
        slopes = torch.as_tensor(slope).detach().expand(n_features // n_positions)
        if not (slopes > 0).all():
            raise ValueError(
                f"slopes must be positive to be invertible, the smallest is {float(slopes.min()):g}"
            )
        self.log_slope = nn.Parameter(slopes.log())

    def _per_column(self):
        return self.log_slope.repeat_interleave(self.n_positions)

    def _forward_per_dimension(self, x, context):
        log_slope = torch.where(x < 0, self._per_column(), 0.0)
        return x * log_slope.exp(), log_slope

    def _inverse(self, z, context, draw):
        return z * torch.exp(-torch.where(z < 0, self._per_column(), 0.0))


class LeakyReLU(DimensionwiseTransform):
    """``z = x`` above zero, ``z = negative_slope * x`` below."""

    def __init__(self, negative_slope: float = 0.1):
        super().__init__()
        if not negative_slope > 0:
            raise ValueError(
                f"negative_slope must be positive to be invertible, got {negative_slope}"
            )
        self.negative_slope = negative_slope

    def _forward_per_dimension(self, x, context):
        z = F.leaky_relu(x, self.negative_slope)
        return z, torch.where(x < 0, math.log(self.negative_slope), torch.zeros_like(x))

    def _inverse(self, z, context, draw):
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

    def _forward_per_dimension(self, x, context):
        z = self.slope * x + (1 - self.slope) * F.softplus(x)
        return z, torch.log(self.slope + (1 - self.slope) * torch.sigmoid(x))

    def _inverse(self, z, context, draw):
        x = F.leaky_relu(z, 1 / self.slope)
        for _ in range(self.NEWTON_STEPS):
            value, log_derivative = self.forward_per_dimension(x)
            x = x - (value - z) * torch.exp(-log_derivative)
        return x


class ActNorm(DimensionwiseTransform):
    """Learned shift and scale per channel, set so that the first data come out standardised.

    Parameters
    ----------
    n_features : int
    n_positions : int, default=1
        Columns that share their two numbers: the positions of a channel, for rows laid out as
        (channels, positions).
    shift, scale : Tensor of shape (n_channels,), optional
        ``z = (x - shift) * scale`` at first. Where given, `initialize` leaves them alone.

    References
    ----------
    Kingma, Dhariwal (2018), "Glow", arXiv:1807.03039.
    """

    def __init__(
        self,
        n_features: int,
        n_positions: int = 1,
        *,
        shift: Tensor | None = None,
        scale: Tensor | None = None,
    ):
        super().__init__()
        n = n_features // n_positions
        self.n_positions = n_positions
        self.by_data = shift is None and scale is None
        self.shift = nn.Parameter(torch.zeros(n) if shift is None else shift.detach().clone())
        self.log_scale = nn.Parameter(torch.zeros(n) if scale is None else scale.detach().log())

    def _per_column(self, values):
        return values.repeat_interleave(self.n_positions)

    def _initialize(self, x, weight, context, noise):
        if self.by_data:
            weight = None if weight is None else weight.repeat_interleave(self.n_positions)
            mean, scale = weighted_moments(to_channels(x, self.n_positions), weight)
            self.shift.copy_(mean)
            self.log_scale.copy_(-scale.log())
        return self._forward(x, context, noise)[0]

    def _forward_per_dimension(self, x, context):
        shift, log_scale = self._per_column(self.shift), self._per_column(self.log_scale)
        return (x - shift) * log_scale.exp(), log_scale.expand_as(x)

    def _inverse(self, z, context, draw):
        return z * torch.exp(-self._per_column(self.log_scale)) + self._per_column(self.shift)
