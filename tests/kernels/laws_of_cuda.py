"""Laws of the CUDA twins, which test_cuda.py runs: on a device, or on the CPU as Triton interprets.

Triton decides at its import whether it interprets, so these run in a process of their own.
"""

import os

import pytest
import torch
from torch.func import grad, hessian, jacfwd, jacrev, vmap

from skflow.kernels import affine, cuda_affine, cuda_spline, rational_quadratic

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
FORWARD_MODE = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
BOUND = 4.7  # no number of single precision


def spline(module, way):
    function = getattr(module, f"spline_{way}")
    return lambda x, parameters: function(x, parameters, BOUND)


PAIRS = {  # reference, twin and number of parameters
    "spline": (spline(rational_quadratic, "forward"), spline(cuda_spline, "forward"), 20),
    "spline inverse": (spline(rational_quadratic, "inverse"), spline(cuda_spline, "inverse"), 20),
    "affine": (affine.affine_forward, cuda_affine.affine_forward, 2),
    "affine inverse": (affine.affine_inverse, cuda_affine.affine_inverse, 2),
}
EVERY = pytest.mark.parametrize(("readable", "twin", "p"), PAIRS.values(), ids=PAIRS)


def arguments(m=3, n=200, p=20, scale=2.0, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    drawn = [scale * torch.randn(s, generator=g, dtype=torch.float64) for s in [(m, n), (p, m, n)]]
    return [one.to(DEVICE, dtype).requires_grad_() for one in drawn]


def listed(values):
    return [values] if isinstance(values, torch.Tensor) else list(values)


def values(function, leaves):
    return listed(function(*leaves))


def gradients(function, leaves):
    found = values(function, leaves)
    g = torch.Generator().manual_seed(1)
    upstream = [torch.randn(v.shape, generator=g, dtype=torch.float64).to(v) for v in found]
    return list(torch.autograd.grad(found, leaves, upstream))


def assert_alike(found, expected, tolerance):
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=tolerance, rtol=tolerance)


@EVERY
@pytest.mark.parametrize("n", [1, 128, 150])  # less than a program's rows, all, and more
def test_the_twins_agree_in_value_and_gradient(readable, twin, p, n):
    leaves = arguments(m=2, n=n, p=p)
    assert_alike(values(twin, leaves), values(readable, leaves), 1e-10)
    assert_alike(gradients(twin, leaves), gradients(readable, leaves), 1e-9)


@pytest.mark.parametrize("k", [1, 2, 17])
@pytest.mark.parametrize("name", ["spline", "spline inverse"])
def test_they_agree_with_any_number_of_bins(k, name):
    readable, twin, _ = PAIRS[name]
    leaves = arguments(m=1, n=70, p=3 * k - 1)
    assert_alike(values(twin, leaves), values(readable, leaves), 1e-10)
    assert_alike(gradients(twin, leaves), gradients(readable, leaves), 1e-9)


@EVERY
def test_in_single_precision(readable, twin, p):
    leaves = arguments(m=1, p=p, scale=0.3, dtype=torch.float32)
    assert_alike(values(twin, leaves), values(readable, leaves), 1e-5)


def test_in_single_precision_the_spline_is_as_near_to_the_truth_as_the_readable_one():
    leaves = arguments(m=1, n=2000, scale=0.3, dtype=torch.float32)
    exact = [leaf.detach().double().requires_grad_() for leaf in leaves]
    slow, fast = (
        lambda *a, f=module.spline_forward: f(*a, 3.0)
        for module in (rational_quadratic, cuda_spline)
    )
    for kind in (values, gradients):
        for t, a, b in zip(kind(slow, exact), kind(slow, leaves), kind(fast, leaves), strict=True):
            error, usual = (b - t).abs(), (a - t).abs()
            assert error.mean() <= 1.3 * usual.mean()
            assert error.max() <= 2 * usual.max()


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_at_the_ends_and_far_beyond(readable, twin, p, dtype):
    ends = torch.tensor([BOUND, -BOUND], dtype=dtype)
    x = torch.cat([ends, ends * (1 - 1e-6), ends * (1 + 1e-6), 1e6 * ends, torch.zeros(1)])
    _, parameters = arguments(m=1, n=len(x), p=p, scale=0.7, dtype=dtype)
    leaves = [x[None].to(DEVICE, dtype).requires_grad_(), parameters]
    tolerance = 1e-10 if dtype == torch.float64 else 1e-5
    assert_alike(values(twin, leaves), values(readable, leaves), tolerance)
    assert_alike(gradients(twin, leaves), gradients(readable, leaves), 100 * tolerance)


def test_beyond_the_interval_the_spline_is_the_identity():
    x, parameters = arguments(m=1, n=4)
    x = torch.tensor([[-1e6, -BOUND, BOUND, 1e6]], dtype=x.dtype, device=DEVICE)
    z, log_derivative = cuda_spline.spline_forward(x, parameters, BOUND)
    assert torch.equal(z, x)
    assert torch.equal(cuda_spline.spline_inverse(x, parameters, BOUND), x)
    assert not log_derivative.any()


# The interpreter's numpy says that it computed with them.
@pytest.mark.filterwarnings("ignore:invalid value encountered")
@EVERY
@pytest.mark.parametrize("where", ["x", "parameters"])
def test_what_is_not_a_number_stays_none(readable, twin, p, where):
    x, parameters = (0.1 * a.detach() for a in arguments(m=1, n=3, p=p))
    if where == "x":
        x[0, 1] = torch.nan
    else:
        parameters[:, 0, 1] = torch.nan
    for a, b in zip(values(twin, [x, parameters]), values(readable, [x, parameters]), strict=True):
        assert torch.equal(a.isnan(), b.isnan())


@EVERY
def test_rows_and_gradients_are_read_and_written_in_place(readable, twin, p):
    _, parameters = arguments(m=3, n=50, p=p)
    rows = torch.linspace(-6, 6, 350, dtype=torch.float64, device=DEVICE).view(50, 7)
    x = rows.requires_grad_()[:, 2:5].T
    last = parameters.detach().movedim(0, -1).contiguous().movedim(-1, 0).requires_grad_()

    def through(function):
        found = values(function, [x, last])
        total = sum(one.sum() for one in found) + found[0].T.flip(0)[:, 0].cos().sum()
        return [*found, *torch.autograd.grad(total, [rows, last])]

    slow, fast = through(readable), through(twin)
    assert fast[0].T.is_contiguous()
    assert_alike(fast, slow, 1e-9)


@FORWARD_MODE
@EVERY
def test_gradcheck_up_to_the_second_order(readable, twin, p):
    leaves = arguments(m=1, n=2, p=min(p, 8), scale=0.7)
    assert torch.autograd.gradcheck(twin, leaves, check_forward_ad=True, fast_mode=True)
    assert torch.autograd.gradgradcheck(twin, leaves, fast_mode=True)


@FORWARD_MODE
@EVERY
def test_under_function_transforms(readable, twin, p):
    x, parameters = (a.detach() for a in arguments(m=2, n=3, p=min(p, 8), scale=0.7))
    xs, many = torch.stack([x, 0.5 * x, -x], 1), torch.stack([parameters, -parameters, parameters])

    def each(function):
        f = lambda *a: sum(part.sin().sum() for part in listed(function(*a)))  # noqa: E731
        yield vmap(f, (1, 0))(xs, many)
        yield vmap(grad(f, 1), (1, None))(xs, parameters)
        yield vmap(grad(f), (None, 0))(x, many)
        yield jacfwd(f)(x, parameters)
        yield jacrev(f, 1)(x, parameters)
        yield hessian(f)(x, parameters)

    assert_alike(list(each(twin)), list(each(readable)), 1e-10)
