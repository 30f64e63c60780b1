"""The rational-quadratic spline in torch operations, with an analytic gradient.

Autograd walks back through some sixty operations over ``(K, ...)`` arrays. By hand it is ten:
the gradient of a position's bin is four numbers per element, and the backward pass of
softmax-then-cumsum needs only the cumulated share, which the forward pass already has.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from skflow.kernels.bin_gradient import evaluate, gradient
from skflow.kernels.rational_quadratic import MIN_BIN, MIN_SLOPE, SLOPE_OFFSET, Bin, split


def _locate(share, cumulated, index):
    """Share of the bin at ``index`` and the sum of the shares before it."""
    at = share.gather(0, index)
    return at[0], (cumulated.gather(0, index) - at)[0]


class _FusedSpline(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, widths, heights, slopes, bound):
        n_bins = widths.shape[0]
        scale = 2 * bound * (1 - MIN_BIN * n_bins)
        floor = 2 * bound * MIN_BIN
        inside = (x > -bound) & (x < bound)
        position = x.clamp(-bound, bound)

        share_x = torch.softmax(widths, 0)
        share_y = torch.softmax(heights, 0)
        cumulated_x = share_x.cumsum(0)
        cumulated_y = share_y.cumsum(0)
        # Knot k sits at k * floor + scale * cumulated[k - 1] - bound.
        steps = torch.arange(1, n_bins, device=x.device, dtype=x.dtype)
        steps = (steps * floor - bound).reshape(-1, *[1] * x.dim())
        index = (position >= torch.add(steps, cumulated_x[:-1], alpha=scale)).sum(0, keepdim=True)

        share_x_at, before_x = _locate(share_x, cumulated_x, index)
        share_y_at, before_y = _locate(share_y, cumulated_y, index)
        base = index[0].to(x.dtype) * floor - bound
        width, height = floor + scale * share_x_at, floor + scale * share_y_at
        bottom = base + scale * before_y
        raw = F.pad(slopes.flatten(1), (0, 0, 1, 1)).view(n_bins + 1, *slopes.shape[1:])
        # Slope at the two end knots is 1: zero is its unconstrained value.
        raw0, raw1 = raw.gather(0, index)[0], raw.gather(0, index + 1)[0]
        slope0 = MIN_SLOPE + F.softplus(raw0 + SLOPE_OFFSET)
        slope1 = MIN_SLOPE + F.softplus(raw1 + SLOPE_OFFSET)

        left = base + scale * before_x
        at = Bin(left, width, bottom, height, slope0, slope1)
        z, log_derivative, saved = evaluate(position, at)

        ctx.save_for_backward(
            inside, index, share_x, share_y, share_x_at, before_x, share_y_at, before_y,
            raw0, raw1, *saved,
        )  # fmt: skip
        ctx.scale = scale
        return torch.where(inside, z, x), torch.where(inside, log_derivative, 0.0)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_z, grad_log):
        (
            inside, index, share_x, share_y, share_x_at, before_x, share_y_at, before_y,
            raw0, raw1, *saved,
        ) = ctx.saved_tensors  # fmt: skip
        n_bins = share_x.shape[0]
        g = torch.where(inside, grad_z, 0.0)
        q = torch.where(inside, grad_log, 0.0)
        g_x, g_width, g_height, g_slope0, g_slope1 = gradient(g, q, tuple(saved))

        bins = torch.arange(n_bins, device=g.device).reshape(-1, *[1] * g.dim())
        before, here = bins < index, bins == index

        def through_softmax(share, share_at, share_before, g_left, g_size):
            mean = g_left * share_before + g_size * share_at
            grad = torch.where(here, g_size - mean, torch.where(before, g_left - mean, -mean))
            return grad.mul_(share).mul_(ctx.scale)

        g_widths = through_softmax(share_x, share_x_at, before_x, -g_x, g_width)
        g_heights = through_softmax(share_y, share_y_at, before_y, g, g_height)
        g_raw = torch.zeros_like(share_x[:1]).expand(n_bins + 1, *share_x.shape[1:]).contiguous()
        g_raw.scatter_(0, index, (g_slope0 * torch.sigmoid(raw0 + SLOPE_OFFSET))[None])
        g_raw.scatter_(0, index + 1, (g_slope1 * torch.sigmoid(raw1 + SLOPE_OFFSET))[None])
        return torch.where(inside, g_x, grad_z), g_widths, g_heights, g_raw[1:-1], None


def takes(x: Tensor, parameters: Tensor, bound: float) -> bool:
    """Whether every element has a spline of its own."""
    return parameters.shape[1:] == x.shape


def spline_forward(x: Tensor, parameters: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """As `rational_quadratic.spline_forward`, for parameters of the full shape (3 K - 1, ...)."""
    return _FusedSpline.apply(x.contiguous(), *split(parameters), bound)
