"""The compiled mixture against the readable one, and that one against torch's normal."""

import pytest
import torch
from torch.func import grad, vmap

from skflow.kernels import native
from skflow.kernels.mixture import mixture_log_prob as readable
from skflow.kernels.mixture import triangular_factor
from skflow.kernels.native_mixture import mixture_log_prob, takes

COMPILED = pytest.mark.skipif(native.compiled is None, reason="skflow was built without a compiler")


def arguments(n=150, d=4, k=3, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    shapes = [(n, d), (k,), (k, d), (k, d), (k, d, d)]
    drawn = [torch.randn(s, generator=g, dtype=torch.float64).to(dtype) for s in shapes]
    drawn[1] = drawn[1].log_softmax(0)
    return [one.requires_grad_() for one in drawn]


def values_and_gradients(function, inputs):
    log_prob = function(*inputs)
    g = torch.Generator().manual_seed(1)
    upstream = torch.randn(log_prob.shape, generator=g, dtype=torch.float64).to(log_prob)
    return log_prob, *torch.autograd.grad(log_prob, inputs, upstream)


def assert_alike(found, expected, tolerance):
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=tolerance, rtol=tolerance)


def test_it_is_a_mixture_of_normals():
    x, log_weights, means, log_diagonal, upper = (a.detach() for a in arguments())
    factor = triangular_factor(log_diagonal, upper)
    normal = torch.distributions.MultivariateNormal(
        means, precision_matrix=factor @ factor.mT, validate_args=False
    )
    expected = torch.logsumexp(log_weights + normal.log_prob(x[:, None]), 1)
    found = readable(x, log_weights, means, log_diagonal, upper)
    torch.testing.assert_close(found, expected)


@COMPILED
@pytest.mark.parametrize("n", [1, 64, 150])
@pytest.mark.parametrize(("d", "k"), [(1, 1), (4, 3), (9, 32)])
def test_it_agrees_in_value_and_gradient(n, d, k):
    inputs = arguments(n, d, k)
    assert takes(*inputs)
    slow, fast = (values_and_gradients(f, inputs) for f in (readable, mixture_log_prob))
    assert_alike(fast, slow, 1e-9)


@COMPILED
def test_in_single_precision():
    inputs = arguments(dtype=torch.float32)
    slow, fast = (values_and_gradients(f, inputs) for f in (readable, mixture_log_prob))
    assert_alike(fast, slow, 2e-4)


@COMPILED
def test_a_gradient_of_the_mean_and_rows_across():
    x, *weights = arguments(n=70)
    across = x.detach().T.contiguous().requires_grad_()
    slow, fast = (
        torch.autograd.grad(f(across.T, *weights).mean(), [across, *weights])
        for f in (readable, mixture_log_prob)
    )
    assert_alike(fast, slow, 1e-10)


@COMPILED
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
def test_higher_derivatives_and_function_transforms():
    inputs = arguments(n=3, d=2, k=2)
    assert torch.autograd.gradcheck(mixture_log_prob, inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(mixture_log_prob, inputs)
    x, *weights = (a.detach() for a in inputs)
    one = lambda f: lambda row: f(row[None], *weights)[0]  # noqa: E731
    torch.testing.assert_close(vmap(grad(one(mixture_log_prob)))(x), vmap(grad(one(readable)))(x))


@COMPILED
def test_far_rows_and_what_is_not_a_number():
    x, *weights = (a.detach() for a in arguments(n=3))
    x[0], x[1] = 1e6, torch.nan
    x.requires_grad_()
    log_prob = mixture_log_prob(x, *weights)
    assert log_prob.isnan().tolist() == [False, True, False]
    torch.testing.assert_close(log_prob, readable(x, *weights), equal_nan=True)
    gradient = torch.autograd.grad(log_prob[[0, 2]].sum(), x)[0]
    assert gradient[[0, 2]].isfinite().all()
