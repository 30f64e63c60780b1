"""The rational-quadratic spline in Triton: see rational_quadratic.py, and triton_bins.py on tiles.

Every kernel reads the raw parameters once and keeps all else in registers.
"""

import triton
import triton.language as tl

from skflow.kernels.triton_bins import MIN_BIN, located, picked, slope, slope_rate
from skflow.kernels.triton_elements import elements, first_parameters, read, write


@triton.jit
def _clamped(given, BOUND: tl.constexpr):
    """Positions in the interval, and which of them were there."""
    position = tl.where(given > -BOUND, given, -BOUND)
    position = tl.where(position < BOUND, position, BOUND)
    return position, (given > -BOUND) & (given < BOUND)


@triton.jit
def _fraction(xi, s, slope0, slope1):
    """Numerator and denominator of equation 4, and the rate in the numerator of equation 5."""
    rest = 1 - xi
    t = xi * rest
    numerator = s * xi * xi + slope0 * t
    denominator = s + (slope0 + slope1 - 2 * s) * t
    return numerator, denominator, slope1 * xi * xi + 2 * s * t + slope0 * rest * rest


@triton.jit
def spline_forward(x, parameters, results, n_rows, how: tl.constexpr):
    """Write z and the log-derivative."""
    z, log_derivative = results
    column, rows, there = elements(n_rows, how[3])
    given = read(x, column, rows, there)
    position, inside = _clamped(given, how[1])
    raw, step = first_parameters(parameters, column, rows)
    _, _, _, left, width, bottom, height, raw0, raw1 = located(
        position, raw, step, there, False, how
    )
    s = height / width
    numerator, denominator, rate = _fraction((position - left) / width, s, slope(raw0), slope(raw1))
    value = bottom + height * (numerator / denominator)
    steepness = s / denominator
    write(z, column, rows, there, tl.where(inside, value, given))
    log = tl.log(steepness * steepness * rate)
    write(log_derivative, column, rows, there, tl.where(inside, log, 0.0))


@triton.jit
def spline_inverse(z, parameters, x, n_rows, how: tl.constexpr):
    """Write x: the root of equations 6 to 8 that does not cancel."""
    column, rows, there = elements(n_rows, how[3])
    given = read(z, column, rows, there)
    position, inside = _clamped(given, how[1])
    raw, step = first_parameters(parameters, column, rows)
    _, _, _, left, width, bottom, height, raw0, raw1 = located(
        position, raw, step, there, True, how
    )
    slope0, slope1 = slope(raw0), slope(raw1)
    s = height / width
    part = (position - bottom) / height
    curvature = (slope0 + slope1 - 2 * s) * part
    a = s - slope0 + curvature
    b = slope0 - curvature
    c = -s * part
    discriminant = b * b - 4 * a * c
    xi = -2 * c / (b + tl.sqrt(tl.where(discriminant < 0, 0.0, discriminant)))
    xi = tl.where(xi < 0, 0.0, tl.where(xi > 1, 1.0, xi))
    write(x, column, rows, there, tl.where(inside, left + xi * width, given))


@triton.jit
def _through_softmax(share, index, of_start, of_size, how: tl.constexpr):
    """Gradient of the raw sizes from those of a bin's start and size."""
    K: tl.constexpr = how[0]
    k = tl.arange(0, how[2])[:, None]
    before, here = picked(share, index, how)
    mean = of_start * before + of_size * here
    to_share = tl.where(k == index[None, :], of_size[None, :], 0.0)
    to_share = tl.where(k < index[None, :], of_start[None, :], to_share)
    return (to_share - mean[None, :]) * share * (2 * how[1] * (1 - MIN_BIN * K))


@triton.jit
def spline_backward(x, parameters, upstream, results, n_rows, how: tl.constexpr):
    """From the gradients of z and of the log-derivative write those of x and the parameters."""
    K: tl.constexpr = how[0]
    grad_z, grad_log = upstream
    grad_x, grad_parameters = results
    column, rows, there = elements(n_rows, how[3])
    given_z = read(grad_z, column, rows, there)
    position, inside = _clamped(read(x, column, rows, there), how[1])
    g = tl.where(inside, given_z, 0.0)
    q = tl.where(inside, read(grad_log, column, rows, there), 0.0)
    raw, step = first_parameters(parameters, column, rows)
    share_x, share_y, index, left, width, _, height, raw0, raw1 = located(
        position, raw, step, there, False, how
    )
    slope0, slope1 = slope(raw0), slope(raw1)
    s = height / width
    xi = (position - left) / width
    numerator, denominator, rate = _fraction(xi, s, slope0, slope1)

    # As in bin_gradient.py.
    rest = 1 - xi
    t = xi * rest
    tilt = rest - xi  # derivative of t
    ratio = numerator / denominator
    of_numerator = g * height / denominator
    of_denominator = -(of_numerator * ratio + 2 * q / denominator)
    of_rate = q / rate
    of_s = of_numerator * xi * xi + of_denominator * (1 - 2 * t) + 2 * (of_rate * t + q / s)
    of_xi = (
        of_numerator * (2 * s * xi + slope0 * tilt)
        + of_denominator * (slope0 + slope1 - 2 * s) * tilt
        + 2 * of_rate * (slope1 * xi + s * tilt - slope0 * rest)
    )
    of_raw0 = slope_rate(raw0) * ((of_numerator + of_denominator) * t + of_rate * rest * rest)
    of_raw1 = slope_rate(raw1) * (of_denominator * t + of_rate * xi * xi)
    of_position = of_xi / width
    of_width = -(of_s * s + of_xi * xi) / width
    of_height = g * ratio + of_s / width
    write(grad_x, column, rows, there, tl.where(inside, of_position, given_z))

    to, to_step = first_parameters(grad_parameters, column, rows)
    k = tl.arange(0, how[2])[:, None]
    to_widths = to[None, :] + k * to_step
    is_bin = (k < K) & there[None, :]
    tl.store(to_widths, _through_softmax(share_x, index, -of_position, of_width, how), mask=is_bin)
    of_heights = _through_softmax(share_y, index, g, of_height, how)
    tl.store(to_widths + K * to_step, of_heights, mask=is_bin)
    of_slopes = tl.where(k + 1 == index[None, :], of_raw0[None, :], 0.0)
    of_slopes = tl.where(k == index[None, :], of_raw1[None, :], of_slopes)
    tl.store(to_widths + 2 * K * to_step, of_slopes, mask=(k < K - 1) & there[None, :])
