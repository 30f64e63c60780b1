"""The fast spline where all rows share one spline per column.

The knots are then a small table, made once by plain autograd; a row costs a binary search, six
look-ups and the bin's own arithmetic, whatever the number of bins.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from skflow.kernels.bin_gradient import evaluate, gradient
from skflow.kernels.rational_quadratic import MIN_BIN, MIN_SLOPE, SLOPE_OFFSET, Bin, split


class _SharedSpline(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, knots_x, knots_y, slopes):
        low, high = knots_x[:, :1], knots_x[:, -1:]
        inside = (x > low) & (x < high)
        position = torch.minimum(torch.maximum(x, low), high)
        index = torch.searchsorted(knots_x[:, 1:-1].contiguous(), position, right=True)

        left, bottom = knots_x.gather(1, index), knots_y.gather(1, index)
        width = knots_x.diff(dim=1).gather(1, index)
        height = knots_y.diff(dim=1).gather(1, index)
        ends = slopes.gather(1, index), slopes[:, 1:].gather(1, index)
        at = Bin(left, width, bottom, height, *ends)
        z, log_derivative, saved = evaluate(position, at)
        ctx.save_for_backward(inside, index, *saved)
        ctx.n_knots = knots_x.shape[1]
        return torch.where(inside, z, x), torch.where(inside, log_derivative, 0.0)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_z, grad_log):
        inside, index, *saved = ctx.saved_tensors
        g = torch.where(inside, grad_z, 0.0)
        q = torch.where(inside, grad_log, 0.0)
        g_x, g_width, g_height, g_slope0, g_slope1 = gradient(g, q, tuple(saved))

        def to_knots(at_first, at_second):
            total = at_first.new_zeros(len(index), ctx.n_knots)
            total.scatter_add_(1, index, at_first)
            total[:, 1:].scatter_add_(1, index, at_second)
            return total

        return (
            torch.where(inside, g_x, grad_z),
            to_knots(-g_x - g_width, g_width),
            to_knots(g - g_height, g_height),
            to_knots(g_slope0, g_slope1),
        )


def takes(x: Tensor, parameters: Tensor, bound: float) -> bool:
    """Whether x is (d, n) and the parameters are those of one row, (3 K - 1, d, 1)."""
    return x.dim() == 2 and parameters.shape[1:] == (len(x), 1) and x.shape[1] != 1


def spline_forward(x: Tensor, parameters: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """As `rational_quadratic.spline_forward`."""
    widths, heights, slopes = split(parameters)
    n_bins = len(widths)
    raw = torch.stack([widths[..., 0].T, heights[..., 0].T])  # (2, d, K)
    share = MIN_BIN + (1 - MIN_BIN * n_bins) * torch.softmax(raw, -1)
    knots_x, knots_y = 2 * bound * F.pad(share.cumsum(-1), (1, 0)) - bound
    inner = MIN_SLOPE + F.softplus(slopes[..., 0].T + SLOPE_OFFSET)
    return _SharedSpline.apply(x, knots_x, knots_y, F.pad(inner, (1, 1), value=1.0))
