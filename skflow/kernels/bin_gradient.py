"""A rational-quadratic bin with its gradient by hand, for the fast splines."""

import torch
from torch import Tensor

from skflow.kernels.rational_quadratic import Bin


def evaluate(position: Tensor, at: Bin) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """`rational_quadratic.forward_in_bin`, and what `gradient` needs of the way there.

    Returns
    -------
    z, log_derivative : Tensor
    saved : tuple of Tensor
    """
    left, width, bottom, height, slope0, slope1 = at
    xi = (position - left) / width
    s = height / width
    t = xi * (1 - xi)
    numerator = s * xi * xi + slope0 * t
    denominator = s + (slope0 + slope1 - 2 * s) * t
    rate = slope1 * xi * xi + 2 * s * t + slope0 * (1 - xi) * (1 - xi)
    ratio = numerator / denominator
    log_derivative = torch.log(s * s * rate / (denominator * denominator))
    saved = (width, height, slope0, slope1, xi, denominator, rate, ratio)
    return bottom + height * ratio, log_derivative, saved


def gradient(g: Tensor, q: Tensor, saved: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Gradient from those of z (``g``) and of the log-derivative (``q``).

    Returns
    -------
    g_position, g_width, g_height, g_slope0, g_slope1 : Tensor
        The gradient to ``left`` is ``-g_position``, that to ``bottom`` is ``g``.
    """
    width, height, slope0, slope1, xi, denominator, rate, ratio = saved
    s = height / width
    other = 1 - xi
    t = xi * other
    tilt = other - xi  # derivative of t

    g_numerator = g * height / denominator
    g_denominator = -(g_numerator * ratio + 2 * q / denominator)
    g_rate = q / rate
    g_s = g_numerator * xi * xi + g_denominator * (1 - 2 * t) + 2 * (g_rate * t + q / s)
    g_xi = (
        g_numerator * (2 * s * xi + slope0 * tilt)
        + g_denominator * (slope0 + slope1 - 2 * s) * tilt
        + 2 * g_rate * (slope1 * xi + s * tilt - slope0 * other)
    )
    g_slope0 = (g_numerator + g_denominator) * t + g_rate * other * other
    g_slope1 = g_denominator * t + g_rate * xi * xi
    g_height = g * ratio + g_s / width
    g_width = -(g_s * s + g_xi * xi) / width
    return g_xi / width, g_width, g_height, g_slope0, g_slope1
