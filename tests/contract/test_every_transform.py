"""Laws of all transforms, whatever their kind, and of those that are no bijections."""

import inspect
import pkgutil
from importlib import import_module
from pathlib import Path

import pytest
import torch

import skflow
from skflow.distributions import StandardNormal
from skflow.flow import Flow
from skflow.transforms import Transform
from skflow.transforms.noise import fresh_draw, fresh_noise, mean_draw, shared_noise
from tests.contract.table import generator
from tests.contract.transforms import (
    BIJECTION,
    CONTEXTUAL,
    GENERATIVE,
    INFERENCE,
    STOCHASTIC,
    SURJECTIONS,
    TRANSFORMS,
    example_rows,
    make_transform,
    size_of,
    with_sizes,
)

NAMES = sorted(TRANSFORMS)
EVERY = pytest.mark.parametrize("name", NAMES)


def of_kind(*kinds):
    return [name for name in NAMES if TRANSFORMS[name].kind in kinds]


def final_classes(kind):
    """All classes below ``kind`` that can be instantiated and are skflow's."""
    for below in kind.__subclasses__():
        yield from final_classes(below)
        if not inspect.isabstract(below) and below.__module__.startswith("skflow."):
            yield below


# ------------------------------------------------------------------------- the table itself


def test_every_final_transform_has_a_row():
    for module in pkgutil.walk_packages(skflow.__path__, "skflow."):
        import_module(module.name)
    in_table = {
        type(module)
        for name in NAMES
        for module in TRANSFORMS[name].make(size_of(name), 2).modules()
        if isinstance(module, Transform)
    }
    missing = {c.__name__ for c in final_classes(Transform)} - {c.__name__ for c in in_table}
    assert not missing, "one line for each in tests/contract/transforms.py"


@pytest.mark.parametrize("name", SURJECTIONS)
def test_what_is_no_bijection_has_laws_of_its_own(name):
    own = Path(__file__).parents[1] / TRANSFORMS[name].own
    assert own.is_file()
    outer = type(TRANSFORMS[name].make(size_of(name), 0)).__name__
    text = own.read_text()
    assert outer in text or outer.lower().removesuffix("d") in text or "table_flow" in text


@EVERY
def test_weights_lie_in_memory_as_a_loaded_models_do(name):
    """Training lays them out in rows: else a loaded model rounds in another order."""
    for parameter in TRANSFORMS[name].make(size_of(name), 2).parameters():
        assert parameter.is_contiguous()


# ------------------------------------------------------------------------- all kinds


@EVERY
def test_built_without_a_dtype_it_is_in_the_default_one(name):
    d = size_of(name)
    layer = TRANSFORMS[name].make(d, 0)
    dtypes = [torch.float64] if TRANSFORMS[name].float64 else [torch.float32, torch.float64]
    for dtype in dtypes:
        if dtype == torch.float64:
            layer = layer.double()
        x = example_rows(name, 40, d).to(dtype)
        assert layer.initialize(x).dtype == dtype
        for mode in (True, False):
            z, contribution = layer.train(mode)(x)
            assert z.dtype == contribution.dtype == dtype
            assert layer.inverse(z).dtype == layer.inverse(z, None, mean_draw).dtype == dtype


@EVERY
def test_one_row_is_as_many(name):
    d = size_of(name)
    layer, x = make_transform(name, d), example_rows(name, 5, d)
    z, contribution = layer(x, None, shared_noise(generator()))
    assert contribution.shape == (5,)
    alone = [layer(row[None], None, shared_noise(generator())) for row in x]
    torch.testing.assert_close(torch.cat([a[0] for a in alone]), z, atol=1e-11, rtol=1e-11)
    torch.testing.assert_close(
        torch.cat([a[1] for a in alone]), contribution, atol=1e-11, rtol=1e-11
    )
    none = layer(x[:0])
    assert none[0].shape == (0, z.shape[1])
    assert none[1].shape == (0,)


@EVERY
def test_the_contribution_is_volume_and_what_was_dropped(name):
    d = size_of(name)
    layer, x = make_transform(name, d), example_rows(name, 9, d)
    z, contribution = layer(x, None, shared_noise(generator()))
    again, volume, dropped = layer.forward_in_parts(x, None, shared_noise(generator()))
    assert torch.equal(again, z)
    torch.testing.assert_close(volume + dropped, contribution, atol=1e-11, rtol=1e-11)
    if TRANSFORMS[name].kind in (BIJECTION, GENERATIVE):
        assert not dropped.any()


@EVERY
def test_initialising_gives_the_latent_rows(name):
    d = size_of(name)
    layer, x = TRANSFORMS[name].make(d, 0).double(), example_rows(name, 60, d)
    weight = torch.rand(60, generator=generator(), dtype=torch.float64)
    z = layer.initialize(x, weight, None, shared_noise(generator()))
    torch.testing.assert_close(z, layer(x, None, shared_noise(generator()))[0])
    assert not z.requires_grad


@pytest.mark.parametrize("name", CONTEXTUAL)
def test_a_context_has_an_effect_in_both_directions(name):
    d = size_of(name)
    layer, x = make_transform(name, d, n_context=2), example_rows(name, 40, d)
    context = torch.randn(40, 2, generator=generator(3), dtype=torch.float64)
    z, contribution = layer(x, context, shared_noise(generator()))
    other_z, other = layer(x, context + 1, shared_noise(generator()))
    assert not torch.allclose(other_z, z) or not torch.allclose(other, contribution)
    if TRANSFORMS[name].kind != GENERATIVE:
        drawn = [layer.inverse(z, c, fresh_draw(generator(1))) for c in (context, context + 1)]
        assert not torch.allclose(*drawn)


@EVERY
def test_exact_is_what_draws_nothing_on_the_way_to_z(name):
    exact = TRANSFORMS[name].make(size_of(name), 0).exact
    if TRANSFORMS[name].kind != STOCHASTIC:
        assert exact == (TRANSFORMS[name].kind in (BIJECTION, INFERENCE))


# ------------------------------------------------------------------------- no bijections


@pytest.mark.parametrize(("name", "d"), with_sizes(of_kind(INFERENCE), 1, 2, 3, 4))
@pytest.mark.parametrize("draw", [fresh_draw(generator(2)), mean_draw], ids=["fresh", "mean"])
def test_inference_surjections_have_a_right_inverse(name, d, draw):
    layer = make_transform(name, d)
    with torch.no_grad():  # imported weights are then as orthogonal as float64 goes
        z, _ = layer(example_rows(name, 50, d))
        again, _ = layer(layer.inverse(z, None, draw))
    torch.testing.assert_close(again, z, atol=1e-7, rtol=1e-7)


@pytest.mark.parametrize(("name", "d"), with_sizes(of_kind(GENERATIVE), 1, 2, 3, 4))
def test_generative_surjections_have_a_left_inverse(name, d):
    layer, x = make_transform(name, d), example_rows(name, 50, d)
    z, contribution = layer(x, None, fresh_noise(generator(1)))
    assert contribution.isfinite().all()
    torch.testing.assert_close(layer.inverse(z), x, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("name", SURJECTIONS)
def test_the_two_directions_have_the_shapes_of_x_and_z(name):
    d = size_of(name)
    layer, x = make_transform(name, d), example_rows(name, 30, d)
    z = layer(x)[0]
    drawn = layer.inverse(z)
    assert drawn.shape == x.shape
    torch.testing.assert_close(TRANSFORMS[name].domain.project(drawn), drawn, atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", SURJECTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_rows_stay_finite(name, dtype):
    row, d = TRANSFORMS[name], size_of(name)
    if row.float64 and dtype == torch.float32:
        return
    layer = make_transform(name, d).to(dtype)
    x = row.domain.extreme(d, dtype).requires_grad_()
    z, contribution = layer(x, None, shared_noise(generator()))
    assert z.isfinite().all()
    assert contribution.isfinite().all()
    total = (z / 1e6).sum() + (contribution / 1e12).sum()
    gradients = torch.autograd.grad(total, [x, *layer.parameters()], allow_unused=True)
    assert all(g is None or g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("name", [n for n in SURJECTIONS if TRANSFORMS[n].mass])
def test_the_mass_is_one_on_average_over_draws(name):
    """Also of bounds: the exponential of one draw is, on average, the density."""
    d = TRANSFORMS[name].mass
    layer = make_transform(name, d, scale=0.2)
    n_latent = layer(example_rows(name, 2, d))[0].shape[1]
    flow = Flow([], [layer], StandardNormal(n_latent).double())
    rows, volume = TRANSFORMS[name].domain.grid(d, 40_000 if d == 1 else 400)
    with torch.no_grad():
        one, other = (
            flow.log_prob(rows, noise=fresh_noise(generator(seed))).exp() for seed in (1, 2)
        )
    error = float((one - other).square().sum().sqrt()) / 2 * volume
    assert error < 0.015
    assert abs((one + other).sum() / 2 * volume - 1) < 2e-3 + 4 * error
