"""The affine map in Triton: see affine.py. A raw log-scale and a shift for every element."""

import triton
import triton.language as tl

from skflow.kernels import affine
from skflow.kernels.triton_elements import elements, first_parameters, read, write

MAX_LOG_SCALE = tl.constexpr(affine.MAX_LOG_SCALE)


@triton.jit
def _bent(raw):
    """Log-scales over the largest: a hyperbolic tangent."""
    v = raw / MAX_LOG_SCALE
    small = tl.exp(-2 * tl.abs(v))
    size = (1 - small) / (1 + small)
    return tl.where(v < 0, -size, size)


@triton.jit
def affine_forward(x, parameters, results, n_rows, ROWS: tl.constexpr):
    """Write z and the log-derivative."""
    z, log_derivative = results
    column, rows, there = elements(n_rows, ROWS)
    raw, step = first_parameters(parameters, column, rows)
    log_scale = _bent(tl.load(raw, mask=there, other=0.0)) * MAX_LOG_SCALE
    shift = tl.load(raw + step, mask=there, other=0.0)
    given = read(x, column, rows, there)
    write(z, column, rows, there, given * tl.exp(log_scale) + shift)
    write(log_derivative, column, rows, there, log_scale)


@triton.jit
def affine_inverse(z, parameters, x, n_rows, ROWS: tl.constexpr):
    """Write x."""
    column, rows, there = elements(n_rows, ROWS)
    raw, step = first_parameters(parameters, column, rows)
    log_scale = _bent(tl.load(raw, mask=there, other=0.0)) * MAX_LOG_SCALE
    shift = tl.load(raw + step, mask=there, other=0.0)
    write(x, column, rows, there, (read(z, column, rows, there) - shift) * tl.exp(-log_scale))


@triton.jit
def affine_backward(x, parameters, upstream, results, n_rows, ROWS: tl.constexpr):
    """From the gradients of z and of the log-derivative write those of x and the parameters."""
    grad_z, grad_log = upstream
    grad_x, grad_parameters = results
    column, rows, there = elements(n_rows, ROWS)
    raw, _ = first_parameters(parameters, column, rows)
    bent = _bent(tl.load(raw, mask=there, other=0.0))
    of_z, of_log = read(grad_z, column, rows, there), read(grad_log, column, rows, there)
    scaled = of_z * tl.exp(bent * MAX_LOG_SCALE)
    write(grad_x, column, rows, there, scaled)
    of_raw = (scaled * read(x, column, rows, there) + of_log) * (1 - bent * bent)
    to_raw, step = first_parameters(grad_parameters, column, rows)
    tl.store(to_raw, of_raw, mask=there)
    tl.store(to_raw + step, of_z, mask=there)
