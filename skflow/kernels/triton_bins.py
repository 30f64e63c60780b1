"""The bins of a rational-quadratic spline in Triton: see rational_quadratic.py.

A tile holds all bins of some rows: (TILE, ROWS), TILE being the power of two from K on. ``how`` is
(K, bound, TILE, ROWS), known when a kernel is compiled.
"""

import triton
import triton.language as tl

from skflow.kernels import rational_quadratic

MIN_BIN = tl.constexpr(rational_quadratic.MIN_BIN)
MIN_SLOPE = tl.constexpr(rational_quadratic.MIN_SLOPE)
SLOPE_OFFSET = tl.constexpr(rational_quadratic.SLOPE_OFFSET)


@triton.jit
def shares(raw, step, there, how: tl.constexpr):
    """Softmax over the bins, of K raw sizes from the address of the first on."""
    K: tl.constexpr = how[0]
    k = tl.arange(0, how[2])[:, None]
    sizes = tl.load(raw[None, :] + k * step, mask=(k < K) & there[None, :], other=0.0)
    sizes = tl.where(k < K, sizes, -float("inf"))
    small = tl.exp(sizes - tl.max(sizes, 0)[None, :])
    return small / tl.sum(small, 0)[None, :]


@triton.jit
def reached(position, share, how: tl.constexpr):
    """The bin of every position, counted by the inner knots up to it."""
    K: tl.constexpr = how[0]
    BOUND: tl.constexpr = how[1]
    k = tl.arange(0, how[2])[:, None]
    ends = (k + 1).to(share.dtype) * (2 * BOUND * MIN_BIN) - BOUND
    ends += tl.cumsum(share, 0) * (2 * BOUND * (1 - MIN_BIN * K))
    return tl.sum(((position[None, :] >= ends) & (k < K - 1)).to(tl.int32), 0)


@triton.jit
def extent(share, index, how: tl.constexpr):
    """Start and size of the bin at ``index``."""
    K: tl.constexpr = how[0]
    BOUND: tl.constexpr = how[1]
    before, here = picked(share, index, how)
    scale: tl.constexpr = 2 * BOUND * (1 - MIN_BIN * K)
    smallest: tl.constexpr = 2 * BOUND * MIN_BIN
    return index.to(share.dtype) * smallest - BOUND + before * scale, here * scale + smallest


@triton.jit
def picked(share, index, how: tl.constexpr):
    """The sum of the shares before the bin at ``index``, and its own."""
    k = tl.arange(0, how[2])[:, None]
    before = tl.sum(tl.where(k < index[None, :], share, 0.0), 0)
    return before, tl.sum(tl.where(k == index[None, :], share, 0.0), 0)


@triton.jit
def raw_slopes(raw, step, index, there, how: tl.constexpr):
    """Raw slopes at both ends of the bin; zero, which stands for 1, at those of the interval."""
    K: tl.constexpr = how[0]
    at_end = raw + index * step
    first = tl.load(at_end - step, mask=there & (index > 0), other=0.0)
    return first, tl.load(at_end, mask=there & (index < K - 1), other=0.0)


@triton.jit
def located(position, raw, step, there, by_y: tl.constexpr, how: tl.constexpr):
    """Bins of positions in x or in y: index, left, width, bottom, height and both raw slopes.

    The first address of raw parameters and the step to the next say where these are. Before all of
    that come the shares of all widths and heights.
    """
    K: tl.constexpr = how[0]
    share_x, share_y = shares(raw, step, there, how), shares(raw + K * step, step, there, how)
    index = reached(position, share_y if by_y else share_x, how)
    left, width = extent(share_x, index, how)
    bottom, height = extent(share_y, index, how)
    raw0, raw1 = raw_slopes(raw + 2 * K * step, step, index, there, how)
    return share_x, share_y, index, left, width, bottom, height, raw0, raw1


@triton.jit
def slope(raw):
    """Softplus, above the smallest slope."""
    v = raw + SLOPE_OFFSET
    return tl.where(v < 0, 0.0, v) + tl.log(1 + tl.exp(-tl.abs(v))) + MIN_SLOPE


@triton.jit
def slope_rate(raw):
    """Derivative of the slope: a sigmoid."""
    v = raw + SLOPE_OFFSET
    small = tl.exp(-tl.abs(v))
    return tl.where(v < 0, small, 1.0) / (1 + small)
