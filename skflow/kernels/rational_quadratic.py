"""Monotone rational-quadratic splines: the readable reference.

Layout, here and in the fast twins: the bins lead. ``parameters`` are ``(3 K - 1, ...)``: K widths,
K heights and K - 1 slopes at the inner knots; the trailing shape is that of ``x``, or broadcasts to
it. With the bins in front, every step over them works on long contiguous rows.

The spline maps ``[-bound, bound]`` onto itself and is the identity outside. All parameters are
unconstrained; at zero the spline is the identity everywhere.

References
----------
Durkan, Bekasov, Murray, Papamakarios (2019), "Neural Spline Flows", arXiv:1906.04032.
Gregory, Delbourgo (1982), "Piecewise Rational Quadratic Interpolation to Monotonic Data".
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

MIN_BIN = 1e-3  # smallest share of the interval a bin may take
MIN_SLOPE = 1e-3  # smallest derivative at a knot
SLOPE_OFFSET = math.log(math.expm1(1.0 - MIN_SLOPE))  # softplus(offset) = 1 - MIN_SLOPE


class Bin(NamedTuple):
    """A rectangle that the curve crosses, from its lower left to its upper right corner."""

    left: Tensor
    width: Tensor
    bottom: Tensor
    height: Tensor
    slope0: Tensor  # at the left end
    slope1: Tensor


def split(parameters: Tensor) -> tuple[Tensor, ...]:
    """Widths, heights and slopes."""
    n_bins = (len(parameters) + 1) // 3
    return parameters.split([n_bins, n_bins, n_bins - 1])


def forward_in_bin(x: Tensor, at: Bin) -> tuple[Tensor, Tensor]:
    """Value and log-derivative at ``x`` inside its bin: equations 4 and 5 of the paper."""
    left, width, bottom, height, slope0, slope1 = at
    xi = (x - left) / width
    s = height / width
    t = xi * (1 - xi)
    denominator = s + (slope0 + slope1 - 2 * s) * t
    z = bottom + height * (s * xi * xi + slope0 * t) / denominator
    numerator = slope1 * xi * xi + 2 * s * t + slope0 * (1 - xi) * (1 - xi)
    return z, 2 * s.log() + numerator.log() - 2 * denominator.log()


def inverse_in_bin(z: Tensor, at: Bin) -> Tensor:
    """Solve the quadratic of equations 6 to 8 for ``x``, in the form that does not cancel."""
    left, width, bottom, height, slope0, slope1 = at
    s = height / width
    r = (z - bottom) / height  # share of the bin's height, in [0, 1]
    curvature = (slope0 + slope1 - 2 * s) * r
    a = s - slope0 + curvature
    b = slope0 - curvature
    c = -s * r
    discriminant = (b * b - 4 * a * c).clamp_min(0)
    xi = -2 * c / (b + discriminant.sqrt())
    return left + xi.clamp(0, 1) * width


def _knots(unnormalised, bound):
    """Bin sizes of shape (K, ...) that add up to ``2 * bound``, and the K + 1 knots."""
    n_bins = unnormalised.shape[0]
    share = MIN_BIN + (1 - MIN_BIN * n_bins) * torch.softmax(unnormalised, dim=0)
    knots = F.pad(share.movedim(0, -1).cumsum(-1), (1, 0)).movedim(-1, 0)
    return 2 * bound * share, 2 * bound * knots - bound


def _bins_at(position, parameters, bound, *, invert):
    """Gather the bin of every position."""
    widths, heights, slopes = split(parameters)
    sizes_x, knots_x = _knots(widths, bound)
    sizes_y, knots_y = _knots(heights, bound)
    derivatives = MIN_SLOPE + F.softplus(slopes + SLOPE_OFFSET)
    ends = derivatives.new_ones(1, *derivatives.shape[1:])
    derivatives = torch.cat([ends, derivatives, ends])
    inner = (knots_y if invert else knots_x)[1:-1]
    index = (position >= inner).sum(0, keepdim=True)

    def pick(values, index):
        shape = (values.shape[0], *index.shape[1:])
        return values.expand(shape).gather(0, index)[0]

    return Bin(
        left=pick(knots_x, index),
        width=pick(sizes_x, index),
        bottom=pick(knots_y, index),
        height=pick(sizes_y, index),
        slope0=pick(derivatives, index),
        slope1=pick(derivatives, index + 1),
    )


def spline_forward(x: Tensor, parameters: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """Map ``x`` through the spline.

    Returns
    -------
    z, log_derivative : tensors of the shape of ``x``
    """
    inside = (x > -bound) & (x < bound)
    # Clamped before the arithmetic and selected after it: the other order gives NaN gradients.
    clamped = x.clamp(-bound, bound)
    at = _bins_at(clamped, parameters, bound, invert=False)
    z, log_derivative = forward_in_bin(clamped, at)
    return torch.where(inside, z, x), torch.where(inside, log_derivative, 0.0)


def spline_inverse(z: Tensor, parameters: Tensor, bound: float) -> Tensor:
    """The inverse map, in closed form."""
    inside = (z > -bound) & (z < bound)
    clamped = z.clamp(-bound, bound)
    x = inverse_in_bin(clamped, _bins_at(clamped, parameters, bound, invert=True))
    return torch.where(inside, x, z)
