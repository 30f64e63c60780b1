"""The fast splines against the readable one, and that one against a peer."""

import pytest
import torch
from torch.func import grad, hessian, jacfwd, jacrev, vmap

from skflow.kernels import fused_spline, native, native_spline, registry, shared_spline
from skflow.kernels.rational_quadratic import (
    MIN_BIN,
    MIN_SLOPE,
    SLOPE_OFFSET,
    spline_forward,
    spline_inverse,
    split,
)

COMPILED = pytest.mark.skipif(native.compiled is None, reason="skflow was built without a compiler")
TWINS = pytest.mark.parametrize(
    "twin",
    [
        pytest.param(fused_spline.spline_forward, id="torch"),
        pytest.param(native_spline.spline_forward, id="native", marks=COMPILED),
    ],
)


# torch's forward mode warns of its own use of torch.jit when it is first loaded.
FORWARD_MODE = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")


def arguments(d=3, n=200, k=7, scale=2.0, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    shapes = [(d, n), (3 * k - 1, d, n)]
    tensors = [scale * torch.randn(s, generator=g, dtype=torch.float64).to(dtype) for s in shapes]
    return [t.requires_grad_() for t in tensors]


def values_and_gradients(function, leaves, bound=3.0):
    values = function(*leaves, bound)
    values = values if isinstance(values, tuple) else (values,)
    g = torch.Generator().manual_seed(1)
    upstream = [torch.randn(v.shape, generator=g, dtype=torch.float64).to(v) for v in values]
    return *values, *torch.autograd.grad(values, leaves, upstream)


def assert_alike(found, expected, tolerance):
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=tolerance, rtol=tolerance)


@TWINS
@pytest.mark.parametrize("k", [1, 2, 7, 20])
@pytest.mark.parametrize("n", [1, 63, 200])  # less than a block of rows, and no whole blocks
def test_the_twins_agree_in_value_and_gradient(twin, k, n):
    leaves = arguments(n=n, k=k)
    slow, fast = (values_and_gradients(f, leaves) for f in (spline_forward, twin))
    assert_alike(fast[:2], slow[:2], 1e-11)
    assert_alike(fast[2:], slow[2:], 1e-9)


@TWINS
def test_in_single_precision_a_twin_is_as_near_to_the_truth_as_the_readable_one(twin):
    leaves = arguments(n=2000, scale=0.3, dtype=torch.float32)
    exact = [leaf.detach().double().requires_grad_() for leaf in leaves]
    truth = values_and_gradients(spline_forward, exact)
    slow, fast = (values_and_gradients(f, leaves) for f in (spline_forward, twin))
    for t, a, b in zip(truth, slow, fast, strict=True):
        error, usual = (b - t).abs(), (a - t).abs()
        assert error.mean() <= 1.3 * usual.mean()
        assert error.max() <= 2 * usual.max()
    assert_alike(fast[:2], slow[:2], 1e-5)


@COMPILED
@pytest.mark.parametrize("k", [1, 2, 7, 20])
def test_the_native_inverse(k):
    leaves = arguments(n=100, k=k)
    twins = (spline_inverse, native_spline.spline_inverse)
    slow, fast = (values_and_gradients(f, leaves) for f in twins)
    assert_alike(fast, slow, 1e-8)


@COMPILED
def test_columns_of_rows_are_read_and_written_in_place():
    x, parameters = (a.detach() for a in arguments(d=3, n=50))
    rows = torch.randn(50, 7, dtype=x.dtype)
    rows[:, 2:5] = x.T
    z, log_derivative = native_spline.spline_forward(rows[:, 2:5].T, parameters, 3.0)
    assert z.T.is_contiguous()
    assert_alike((z, log_derivative), spline_forward(x, parameters, 3.0), 1e-11)
    back = native_spline.spline_inverse(
        z, parameters.movedim(0, -1).contiguous().movedim(-1, 0), 3.0
    )
    torch.testing.assert_close(back, x, atol=1e-8, rtol=0)


@TWINS
def test_gradcheck(twin):
    leaves = arguments(d=1, n=4, k=4, scale=0.7)
    assert torch.autograd.gradcheck(lambda *a: twin(*a, 3.0), leaves)


@COMPILED
@FORWARD_MODE
def test_higher_derivatives_of_the_native_spline():
    leaves = arguments(d=1, n=3, k=3, scale=0.7)
    for twin in (native_spline.spline_forward, native_spline.spline_inverse):
        function = lambda *a, twin=twin: twin(*a, 3.0)  # noqa: E731
        assert torch.autograd.gradcheck(function, leaves, check_forward_ad=True)
        assert torch.autograd.gradgradcheck(function, leaves)


@COMPILED
@FORWARD_MODE
def test_the_native_spline_under_function_transforms():
    x, parameters = (a.detach() for a in arguments(d=2, n=3, k=4, scale=0.7))
    xs, many = torch.stack([x, 0.5 * x, -x], 1), torch.stack([parameters, -parameters, parameters])

    def total(forward):
        return lambda *a: sum(part.sin().sum() for part in forward(*a, 3.0))

    def each(forward, inverse):
        f, back = total(forward), lambda *a: inverse(*a, 3.0)
        yield vmap(f, (1, 0))(xs, many)
        yield vmap(f, (1, None))(xs, parameters)
        yield vmap(grad(f, 1), (1, 0))(xs, many)
        yield vmap(grad(f), (None, 0))(x, many)
        yield vmap(back, (1, 0))(xs, many)
        yield jacfwd(f)(x, parameters)
        yield jacrev(back)(x, parameters)
        yield jacfwd(back)(x, parameters)
        yield hessian(f)(x, parameters)
        yield jacrev(jacrev(f))(x, parameters)

    slow = each(spline_forward, spline_inverse)
    fast = each(native_spline.spline_forward, native_spline.spline_inverse)
    assert_alike(list(fast), list(slow), 1e-10)


@pytest.mark.parametrize("k", [2, 7, 20])
def test_one_spline_for_all_rows(k):
    x, parameters = arguments(k=k)
    leaves = [x, parameters[..., :1].detach().requires_grad_()]
    slow, fast = (
        values_and_gradients(f, leaves) for f in (spline_forward, shared_spline.spline_forward)
    )
    assert_alike(fast, slow, 1e-9)


@COMPILED
def test_the_registry_takes_the_fastest_twin_that_can():
    x, parameters = (a.detach() for a in arguments())
    chosen = registry.spline_forward.chosen
    assert chosen(x, parameters, 3.0) is native_spline.spline_forward
    assert chosen(x.half(), parameters.half(), 3.0) is fused_spline.spline_forward
    assert chosen(x.float(), parameters, 3.0) is fused_spline.spline_forward
    assert chosen(x.to("meta"), parameters.to("meta"), 3.0) is fused_spline.spline_forward
    assert chosen(x, parameters[..., :1], 3.0) is shared_spline.spline_forward
    assert chosen(x, parameters[:, :1, :1], 3.0) is spline_forward
    assert registry.spline_inverse.chosen(x, parameters[..., :1], 3.0) is spline_inverse


def test_without_compiled_code_the_rest_works(monkeypatch):
    monkeypatch.setattr("skflow.kernels.native.compiled", None)
    x, parameters = arguments()
    assert registry.spline_forward.chosen(x, parameters, 3.0) is fused_spline.spline_forward
    assert registry.spline_inverse.chosen(x, parameters, 3.0) is spline_inverse


def test_inverse():
    x, parameters = (a.detach() for a in arguments())
    z, _ = spline_forward(x, parameters, 3.0)
    torch.testing.assert_close(spline_inverse(z, parameters, 3.0), x, atol=1e-8, rtol=0)


@TWINS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tails_and_ends_have_finite_gradients(twin, dtype):
    _, parameters = arguments(d=1, n=6, dtype=dtype)
    x = torch.tensor([[-1e6, -3.0, 3.0, 1e6, 2.9999999, 5.0]], dtype=dtype, requires_grad=True)
    z, log_derivative = twin(x, parameters, 3.0)
    torch.testing.assert_close(z[0, [0, 3, 5]], x[0, [0, 3, 5]])
    gradients = torch.autograd.grad((z + log_derivative).sum(), [x, parameters])
    assert all(g.isfinite().all() for g in gradients)


@TWINS
@pytest.mark.parametrize("where", ["x", "parameters"])
def test_what_is_not_a_number_stays_none(twin, where):
    x, parameters = (0.1 * a.detach() for a in arguments(d=1, n=3))
    if where == "x":
        x[0, 1] = torch.nan
    else:
        parameters[:, 0, 1] = torch.nan
    z, log_derivative = twin(x, parameters, 3.0)
    assert z[0].isnan().tolist() == [False, True, False]
    assert log_derivative[0].isnan().tolist() == [False, where == "parameters", False]


def test_agrees_with_zuko():
    """An independent implementation of the same map: its normalised knots, handed to ours."""
    from zuko.transforms import MonotonicRQSTransform

    x, parameters = (a.detach() for a in arguments(scale=0.8))
    widths, heights, slopes = split(parameters)
    peer = MonotonicRQSTransform(
        widths.movedim(0, -1), heights.movedim(0, -1), slopes.movedim(0, -1), bound=3.0
    )
    # Both knots and slopes as zuko made them, turned back into our unconstrained parameters.
    k = widths.shape[0]

    def unconstrained_bins(knots):
        share = knots.diff(dim=-1).movedim(-1, 0) / 6.0
        return ((share - MIN_BIN) / (1 - k * MIN_BIN)).log()

    inner = peer.derivatives[..., 1:-1].movedim(-1, 0)
    both = [unconstrained_bins(knots) for knots in (peer.horizontal, peer.vertical)]
    raw_slopes = torch.expm1(inner - MIN_SLOPE).log() - SLOPE_OFFSET
    ours = spline_forward(x, torch.cat([*both, raw_slopes]), 3.0)
    z, log_derivative = peer.call_and_ladj(x)
    torch.testing.assert_close(ours[0], z, atol=1e-5, rtol=0)
    torch.testing.assert_close(ours[1], log_derivative, atol=1e-5, rtol=0)
