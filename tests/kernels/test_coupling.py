"""The coupling at once against the readable one."""

from itertools import pairwise

import pytest
import torch
from torch.func import grad, hessian, vmap

from skflow.kernels import coupling, native
from skflow.kernels.coupling import Coupled
from skflow.kernels.families import Additive, Affine, RationalQuadratic

pytestmark = pytest.mark.skipif(
    native.compiled is None, reason="skflow was built without a compiler"
)
FORWARD_MODE = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
FAMILIES = pytest.mark.parametrize("family", [Affine(), RationalQuadratic(4, 3.0)], ids=str)


def arguments(family, n=70, d=5, n_context=0, sizes=(8, 6), dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    k = d // 2
    widths = [k + n_context, *sizes, family.n_parameters * (d - k)]

    def drawn(*shape):
        values = torch.randn(shape, generator=g, dtype=torch.float64).to(dtype)
        return values.requires_grad_()

    x = drawn(n, d)
    context = drawn(n, n_context) if n_context else None
    weights = [drawn(*shape) for a, b in pairwise(widths) for shape in ((b, a), (b,))]
    return [x, context, Coupled(k, 1.5, family), *weights]


def values_and_gradients(function, inputs):
    values = function(*inputs)
    g = torch.Generator().manual_seed(1)
    upstream = [torch.randn(v.shape, generator=g, dtype=torch.float64).to(v) for v in values]
    leaves = [one for one in inputs if isinstance(one, torch.Tensor)]
    return *values, *torch.autograd.grad(values, leaves, upstream)


def assert_alike(found, expected, tolerance):
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=tolerance, rtol=tolerance)


@FAMILIES
@pytest.mark.parametrize("n_context", [0, 3])
@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("sizes", [(), (8,), (8, 6)], ids=str)
def test_it_agrees_in_value_and_gradient(family, n_context, d, sizes):
    inputs = arguments(family, d=d, n_context=n_context, sizes=sizes)
    assert coupling.takes(*inputs)
    slow, fast = (
        values_and_gradients(f, inputs) for f in (coupling.composed, coupling.coupling_at_once)
    )
    assert_alike(fast, slow, 1e-9)


@FAMILIES
def test_in_single_precision(family):
    inputs = arguments(family, dtype=torch.float32)
    slow, fast = (
        values_and_gradients(f, inputs) for f in (coupling.composed, coupling.coupling_at_once)
    )
    assert_alike(fast[:2], slow[:2], 2e-4)


def test_rows_and_gradients_may_be_views():
    x, _, how, *weights = arguments(Affine(), n=20, n_context=2)
    weights = [w.detach() for w in weights]

    def through(function, x, context):
        z, log_derivative = function(x.T, context[:, ::2], how, *weights)
        return torch.autograd.grad(z.T.flip(0).cos().sum() + log_derivative.sum(), [x, context])

    wide = torch.randn(20, 4, dtype=x.dtype, requires_grad=True)
    across = x.detach().T.contiguous().requires_grad_()
    slow, fast = (through(f, across, wide) for f in (coupling.composed, coupling.coupling_at_once))
    assert_alike(fast, slow, 1e-10)


@FORWARD_MODE
@FAMILIES
def test_higher_derivatives_and_function_transforms(family):
    x, _, how, *weights = arguments(family, n=2, d=3, sizes=(3,))
    weights = [0.3 * w.detach() for w in weights]
    one = lambda function: lambda x: sum(o.sin().sum() for o in function(x, None, how, *weights))  # noqa: E731
    slow, fast = one(coupling.composed), one(coupling.coupling_at_once)
    assert torch.autograd.gradgradcheck(fast, [x])
    x = x.detach()
    torch.testing.assert_close(hessian(fast)(x), hessian(slow)(x))
    xs = torch.stack([x, -x, 2 * x])
    torch.testing.assert_close(vmap(grad(fast))(xs), vmap(grad(slow))(xs))
    torch.testing.assert_close(vmap(fast)(xs), vmap(slow)(xs))


def test_it_takes_only_what_it_can():
    inputs = arguments(Affine())
    assert not coupling.takes(*arguments(Additive()))
    assert not coupling.takes(inputs[0].float(), *inputs[1:])
    assert not coupling.takes(inputs[0][:0], *inputs[1:])
    assert not coupling.takes(*(i.to("meta") if torch.is_tensor(i) else i for i in inputs))
