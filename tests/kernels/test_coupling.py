"""Couplings at once against the readable ones."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch.autograd import forward_ad
from torch.func import grad, hessian, vmap

from skflow.kernels import native, native_coupling
from skflow.kernels.coupling import Coupled, Stack, couplings, readable
from skflow.kernels.families import Additive, Affine, RationalQuadratic
from skflow.kernels.native_coupling import couplings_at_once, on_threads
from skflow.kernels.registry import couplings_forward

pytestmark = pytest.mark.skipif(
    native.compiled is None, reason="skflow was built without a compiler"
)
FORWARD_MODE = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
FAMILIES = pytest.mark.parametrize("family", [Affine(), RationalQuadratic(4, 3.0)], ids=str)


def arguments(
    family, n=70, d=5, n_context=0, sizes=(8, 6), dtype=torch.float64, n_layers=3, spread=1.0
):
    g = torch.Generator().manual_seed(0)
    k = d // 2
    widths = [k + n_context, *sizes, family.n_parameters * (d - k)]

    def drawn(*shape):
        values = spread * torch.randn(shape, generator=g, dtype=torch.float64)
        return values.to(dtype).requires_grad_()

    x = drawn(n, d)
    context = drawn(n, n_context) if n_context else None
    layers, weights = [], []
    for layer in range(n_layers):
        own = [drawn(*shape) for a, b in pairwise(widths) for shape in ((b, a), (b,))]
        order = None if layer == 1 else torch.randperm(d, generator=g)
        layers.append(Coupled(k, family, len(own), order))
        weights += own
    last = torch.randperm(d, generator=g) if n_layers > 1 else None
    return [x, context, Stack(layers, 1.5, last), *weights]


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
@pytest.mark.parametrize("n_layers", [1, 3])
def test_it_agrees_in_value_and_gradient(family, n_context, d, sizes, n_layers):
    inputs = arguments(family, d=d, n_context=n_context, sizes=sizes, n_layers=n_layers, spread=0.7)
    assert native_coupling.takes(*inputs)
    slow, fast = (values_and_gradients(f, inputs) for f in (readable, couplings_at_once))
    assert_alike(fast, slow, 1e-9)


@FAMILIES
@pytest.mark.parametrize("n", [1, 63, 257, 450, 1000, 3000])
def test_any_number_of_rows_on_any_number_of_threads(family, n):
    """Rows are shared out; the sums over them do not depend on who had which."""
    inputs = arguments(family, n=n, n_context=2, spread=0.5)
    slow, alone = (values_and_gradients(f, inputs) for f in (readable, couplings_at_once))
    assert_alike(alone, slow, 1e-8)
    for n_threads in (2, 7):
        with on_threads(n_threads):
            together = values_and_gradients(couplings_at_once, inputs)
        assert all(map(torch.equal, together, alone))


def test_many_callers_share_the_helpers():
    inputs = arguments(Affine(), n=1000)
    expected = values_and_gradients(couplings_at_once, inputs)

    def caller(_):
        with on_threads(3):
            found = [values_and_gradients(couplings_at_once, inputs) for _ in range(20)]
        return all(all(map(torch.equal, one, expected)) for one in found)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(caller, range(8)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_has_helpers_of_its_own():
    inputs = [i.detach() if torch.is_tensor(i) else i for i in arguments(Affine(), n=1000)]
    with on_threads(3):
        expected = couplings_at_once(*inputs)
        child = os.fork()
        if not child:
            found = couplings_at_once(*inputs)
            os._exit(0 if all(map(torch.equal, found, expected)) else 1)
        assert os.waitpid(child, 0)[1] == 0


@FAMILIES
def test_what_is_not_derived_is_not_kept_and_is_the_same(family):
    inputs = arguments(family, n=1000, n_context=1)
    with torch.no_grad():
        alone = couplings_at_once(*inputs)
    assert not alone[0].requires_grad
    assert all(map(torch.equal, alone, couplings_at_once(*inputs)))


@FAMILIES
def test_nan_stays_where_it_was(family):
    x, _, stack, *weights = arguments(family)
    x = x.detach().clone()
    x[3, 0] = torch.nan
    z, total = couplings_at_once(x, None, stack, *weights)
    rows = torch.arange(len(x)) != 3
    assert z[rows].isfinite().all()
    assert total[rows].isfinite().all()
    assert z[3].isnan().any()


@FAMILIES
def test_in_single_precision(family):
    inputs = arguments(family, dtype=torch.float32, spread=0.5)
    slow, fast = (values_and_gradients(f, inputs) for f in (readable, couplings_at_once))
    assert_alike(fast[:2], slow[:2], 2e-4)


def test_rows_and_gradients_may_be_views():
    x, _, stack, *weights = arguments(Affine(), n=20, n_context=2)
    weights = [w.detach() for w in weights]

    def through(function, x, context):
        z, log_derivative = function(x.T, context[:, ::2], stack, *weights)
        return torch.autograd.grad(z.T.flip(0).cos().sum() + log_derivative.sum(), [x, context])

    wide = torch.randn(20, 4, dtype=x.dtype, requires_grad=True)
    across = x.detach().T.contiguous().requires_grad_()
    slow, fast = (through(f, across, wide) for f in (readable, couplings_at_once))
    assert_alike(fast, slow, 1e-10)


@FORWARD_MODE
@FAMILIES
def test_higher_derivatives_and_function_transforms(family):
    x, _, stack, *weights = arguments(family, n=2, d=3, sizes=(3,), n_layers=2)
    weights = [0.3 * w.detach() for w in weights]
    one = lambda function: lambda x: sum(o.sin().sum() for o in function(x, None, stack, *weights))  # noqa: E731
    slow, fast = one(readable), one(couplings_at_once)
    assert torch.autograd.gradgradcheck(fast, [x])
    x = x.detach()
    torch.testing.assert_close(hessian(fast)(x), hessian(slow)(x))
    xs = torch.stack([x, -x, 2 * x])
    torch.testing.assert_close(vmap(grad(fast))(xs), vmap(grad(slow))(xs))
    torch.testing.assert_close(vmap(fast)(xs), vmap(slow)(xs))


def test_it_takes_only_what_it_can():
    inputs = arguments(Affine())
    assert not native_coupling.takes(*arguments(Additive()))
    assert not native_coupling.takes(inputs[0].float(), *inputs[1:])
    assert not native_coupling.takes(inputs[0][:0], *inputs[1:])
    assert not native_coupling.takes(*(i.to("meta") if torch.is_tensor(i) else i for i in inputs))
    x, context, stack, *weights = inputs
    for wrong in (x[:, :4], torch.cat([x, x], 1), x[None]):
        assert not native_coupling.takes(wrong, context, stack, *weights)
    assert not native_coupling.takes(x, x[:3], stack, *weights)
    assert not native_coupling.takes(x, context, stack, *weights[:-1], weights[-1][:-1])
    for order in (torch.arange(5, dtype=torch.int32), torch.arange(4), torch.arange(10)[::2]):
        other = replace(stack, order=order)
        assert not native_coupling.takes(x, context, other, *weights)
    assert couplings_forward.chosen(*inputs) is couplings_at_once
    assert couplings_forward.chosen(*arguments(Additive())) is couplings


class Shifted(Affine):
    """Other mathematics under the same name."""

    def forward(self, x, parameters):
        return x + 1, torch.zeros_like(x)


def test_what_is_derived_from_a_family_is_not_it():
    assert not native_coupling.takes(*arguments(Shifted()))


@FORWARD_MODE
def test_a_tangent_is_not_lost():
    x, _, stack, *weights = arguments(Affine(), n=3)
    x, weights = x.detach(), [w.detach() for w in weights]
    found = []
    for function in (couplings_at_once, readable):
        with forward_ad.dual_level(), torch.no_grad():
            outputs = function(forward_ad.make_dual(x, x.cos()), None, stack, *weights)
            found.append([forward_ad.unpack_dual(one).tangent for one in outputs])
    assert_alike(*found, 1e-9)


def test_products_of_another_signature_are_not_called():
    from scipy.linalg.cython_blas import __pyx_capi__ as blas

    assert not native.compiled.use_products(blas["sgemv"], blas["dgemv"])
