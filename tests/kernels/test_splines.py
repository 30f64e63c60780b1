"""The fast spline against the readable one, and that one against a peer."""

import pytest
import torch

from skflow.kernels.fused_spline import fused_spline_forward
from skflow.kernels.rational_quadratic import (
    MIN_BIN,
    MIN_SLOPE,
    SLOPE_OFFSET,
    spline_forward,
    spline_inverse,
)
from skflow.kernels.shared_spline import shared_spline_forward


def arguments(d=3, n=200, k=7, scale=2.0, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    shapes = [(d, n), (k, d, n), (k, d, n), (k - 1, d, n)]
    tensors = [scale * torch.randn(s, generator=g, dtype=torch.float64).to(dtype) for s in shapes]
    return [t.requires_grad_() for t in tensors]


@pytest.mark.parametrize("k", [2, 7, 20])
def test_the_twins_agree_in_value_and_gradient(k):
    leaves = arguments(k=k)
    slow, fast = spline_forward(*leaves, 3.0), fused_spline_forward(*leaves, 3.0)
    g = torch.Generator().manual_seed(1)
    upstream = [torch.randn(slow[0].shape, generator=g, dtype=torch.float64) for _ in range(2)]
    for a, b in zip(slow, fast, strict=True):
        torch.testing.assert_close(a, b, atol=1e-11, rtol=1e-11)
    for a, b in zip(
        torch.autograd.grad(slow, leaves, upstream),
        torch.autograd.grad(fast, leaves, upstream),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-9, rtol=1e-9)


def test_gradcheck_of_the_fast_twin():
    leaves = arguments(d=1, n=4, k=4, scale=0.7)
    assert torch.autograd.gradcheck(lambda *a: fused_spline_forward(*a, 3.0), leaves)


@pytest.mark.parametrize("k", [2, 7, 20])
def test_one_spline_for_all_rows(k):
    x, *parameters = arguments(k=k)
    leaves = [x, *(p[..., :1].detach().requires_grad_() for p in parameters)]
    slow, fast = spline_forward(*leaves, 3.0), shared_spline_forward(*leaves, 3.0)
    g = torch.Generator().manual_seed(1)
    upstream = [torch.randn(x.shape, generator=g, dtype=torch.float64) for _ in range(2)]
    for a, b in zip(
        (*slow, *torch.autograd.grad(slow, leaves, upstream)),
        (*fast, *torch.autograd.grad(fast, leaves, upstream)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-9, rtol=1e-9)


def test_inverse():
    x, *parameters = (a.detach() for a in arguments())
    z, _ = spline_forward(x, *parameters, 3.0)
    torch.testing.assert_close(spline_inverse(z, *parameters, 3.0), x, atol=1e-8, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tails_and_ends_have_finite_gradients(dtype):
    _, *parameters = arguments(d=1, n=6, dtype=dtype)
    x = torch.tensor([[-1e6, -3.0, 3.0, 1e6, 2.9999999, 5.0]], dtype=dtype, requires_grad=True)
    z, log_derivative = fused_spline_forward(x, *parameters, 3.0)
    torch.testing.assert_close(z[0, [0, 3, 5]], x[0, [0, 3, 5]])
    gradients = torch.autograd.grad((z + log_derivative).sum(), [x, *parameters])
    assert all(g.isfinite().all() for g in gradients)


def test_agrees_with_zuko():
    """An independent implementation of the same map: its normalised knots, handed to ours."""
    from zuko.transforms import MonotonicRQSTransform

    x, widths, heights, slopes = (a.detach() for a in arguments(scale=0.8))
    peer = MonotonicRQSTransform(
        widths.movedim(0, -1), heights.movedim(0, -1), slopes.movedim(0, -1), bound=3.0
    )
    # Both knots and slopes as zuko made them, turned back into our unconstrained parameters.
    k = widths.shape[0]

    def unconstrained_bins(knots):
        share = knots.diff(dim=-1).movedim(-1, 0) / 6.0
        return ((share - MIN_BIN) / (1 - k * MIN_BIN)).log()

    inner = peer.derivatives[..., 1:-1].movedim(-1, 0)
    ours = spline_forward(
        x,
        unconstrained_bins(peer.horizontal),
        unconstrained_bins(peer.vertical),
        torch.expm1(inner - MIN_SLOPE).log() - SLOPE_OFFSET,
        3.0,
    )
    z, log_derivative = peer.call_and_ladj(x)
    torch.testing.assert_close(ours[0], z, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours[1], log_derivative, atol=1e-5, rtol=0)
