"""Bounded columns, mapped to the whole line."""

import torch
import torch.nn.functional as F
from torch import Tensor

from skflow.kernels.moments import weighted_median
from skflow.transforms.base import DimensionwiseTransform

EDGE = 1e-9  # a value on its bound is moved inside by this share of the scale


class Bound(DimensionwiseTransform):
    """Columns with a lower bound, an upper bound or both go to the real line.

    An interval goes through the logit of the share of it; a half-line through the inverse softplus
    (linear far from the bound) or the log. Infinite bounds leave the column as it is. Outside its
    bounds the density is zero: the contribution is -inf there. A value exactly on a bound counts
    as one just inside it, so its density stays finite.

    Parameters
    ----------
    lower, upper : Tensor of shape (d,)
        In the units of x; infinite where there is none. Their dtype is the layer's.
    half_line : {"softplus", "log"}
    """

    lower: Tensor
    upper: Tensor
    scale: Tensor

    def __init__(self, lower: Tensor, upper: Tensor, half_line: str = "softplus"):
        super().__init__()
        if half_line not in ("softplus", "log"):
            raise ValueError(f"half_line must be 'softplus' or 'log', got {half_line!r}")
        lower, upper = (1.0 * torch.as_tensor(b) for b in (lower, upper))
        if not (lower < upper).all():
            raise ValueError("every lower bound must be below its upper bound")
        self.half_line = half_line
        self.register_buffer("lower", lower)
        self.register_buffer("upper", upper)
        # Typical distance of a half-line's data from its bound; set by `initialize`.
        self.register_buffer("scale", torch.ones_like(lower))

    def _initialize(self, x, weight, context, noise):
        finite_lower = torch.where(self.lower.isfinite(), self.lower, 0.0)
        finite_upper = torch.where(self.upper.isfinite(), self.upper, 0.0)
        distance = weighted_median(
            torch.where(self.lower.isfinite(), x - finite_lower, finite_upper - x), weight
        )
        self.scale.copy_(torch.where(distance > 0, distance, 1.0))
        return self._forward(x, context, noise)[0]

    def _kinds(self):
        has_lower, has_upper = self.lower.isfinite(), self.upper.isfinite()
        return has_lower & has_upper, has_lower & ~has_upper, has_upper & ~has_lower

    def _forward_per_dimension(self, x, context):
        both, below, above = self._kinds()
        lower = torch.where(self.lower.isfinite(), self.lower, 0.0)
        upper = torch.where(self.upper.isfinite(), self.upper, 1.0)
        length = torch.where(both, upper - lower, 1.0)
        # Every branch gets arguments that are safe for it, whatever column they come from.
        # The next number below 1 is further from it than EDGE in single precision.
        share = ((x - lower) / length).clamp(EDGE, 1 - max(EDGE, torch.finfo(x.dtype).eps))
        z_both = torch.logit(share)
        log_both = -(length.log() + share.log() + torch.log1p(-share))

        distance = torch.where(above, upper - x, x - lower) / self.scale
        distance = distance.clamp_min(EDGE)
        if self.half_line == "log":
            z_half, log_half = distance.log(), -distance.log() - self.scale.log()
        else:
            slope = -torch.expm1(-distance)  # d softplus at z, in (0, 1)
            z_half = distance + slope.log()
            log_half = -slope.log() - self.scale.log()
        z_half = torch.where(above, -z_half, z_half)

        z = torch.where(both, z_both, torch.where(below | above, z_half, x))
        log_derivative = torch.where(
            both, log_both, torch.where(below | above, log_half, torch.zeros_like(x))
        )
        inside = (x >= self.lower) & (x <= self.upper)
        return z, torch.where(inside, log_derivative, -torch.inf)

    def _inverse(self, z, context, draw):
        both, below, above = self._kinds()
        lower = torch.where(self.lower.isfinite(), self.lower, 0.0)
        upper = torch.where(self.upper.isfinite(), self.upper, 1.0)
        x_both = lower + (upper - lower) * torch.sigmoid(z)
        sign = torch.where(above, -1.0, 1.0).to(z.dtype)
        half = sign * z
        distance = half.exp() if self.half_line == "log" else F.softplus(half)
        x_half = torch.where(above, upper, lower) + sign * self.scale * distance
        x = torch.where(both, x_both, torch.where(below | above, x_half, z))
        return x.clamp(self.lower, self.upper)  # rounding may step over a bound
