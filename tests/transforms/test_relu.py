"""Positive parts in both directions: mass one with the atom, and what a ReLU forgets."""

import math

import pytest
import torch

from skflow.distributions import StandardNormal
from skflow.flow import Flow
from skflow.transforms import GenerativeReLU, LULinear, ReLU, Standardize
from skflow.transforms.noise import fresh_draw, fresh_noise, mean_draw, no_noise, shared_noise
from tests.contract.integration import chi_square_per_cell, grid, histogram
from tests.contract.table import generator, randomise

DTYPES = [torch.float32, torch.float64]
LAYERS = [ReLU, GenerativeReLU]


def rows(n, d, seed=0):
    return torch.randn(n, d, generator=generator(seed), dtype=torch.float64)


def amounts(n, d, seed=0):
    """Numbers of which many are exactly zero."""
    return rows(n, d, seed).clamp_min(0)


def make(cls, d=2, columns=None, n_context=0, scale=0.3):
    made = cls(d, columns, (8,), n_context=n_context, generator=generator()).double()
    x = (rows if cls is ReLU else amounts)(200, d, 7)
    context = rows(200, n_context, 8) if n_context else None
    made.initialize(x, context=context)
    return randomise(made, scale=scale).eval()


def inner_flow(d=2):
    shift = Standardize(d).double()
    shift.mean.copy_(torch.linspace(0.4, 0.9, d))
    return Flow([], [shift, randomise(LULinear(d).double(), 4, 0.3)], StandardNormal(d).double())


# ------------------------------------------------------------------------------ inference


def half_lines(points, reach=12.0):
    """Midpoints of the line that are dense around zero, and their weights."""
    t, _ = grid([-1.0], [1.0], points)
    return reach * t[:, 0] ** 3, 3 * reach * t[:, 0] ** 2 * 2 / points


@pytest.mark.parametrize("columns", [None, [0], [1]])
@pytest.mark.parametrize("base", ["normal", "flow"])
def test_density_integrates_to_one(columns, base):
    rest = inner_flow() if base == "flow" else Flow([], [], StandardNormal(2).double())
    flow = Flow([], [make(ReLU, columns=columns), *rest.learned.steps], rest.base)
    assert flow.exact
    places, weights = half_lines(500)
    points = torch.cartesian_prod(places, places)
    with torch.no_grad():
        p = flow.log_prob(points).exp()
    assert abs((p * torch.cartesian_prod(weights, weights).prod(1)).sum() - 1) < 1e-3


def test_samples_follow_the_density():
    rest = inner_flow()
    flow = Flow([], [make(ReLU, columns=[0]), *rest.learned.steps], rest.base)
    with torch.no_grad():
        samples = flow.sample(20_000, generator=generator(1))
        edges = [torch.linspace(-2, 2, 9, dtype=torch.float64)] * 2
        points, volume = grid([-2.0] * 2, [2.0] * 2, 320)
        p = (flow.log_prob(points).exp() * volume).view(8, 40, 8, 40).sum((1, 3)).numpy()
    assert chi_square_per_cell(histogram(samples, edges), p, 20_000) < 2


def test_under_a_standard_normal_density_it_forgets_what_is_below_zero():
    layer = make(ReLU, 2, [0])
    flow = Flow([], [layer], StandardNormal(2).double())
    x = rows(50, 2)
    x[:, 0] = -x[:, 0].abs()
    log_odds, log_scale = layer._log_odds_and_log_scale(x, None)
    scale = log_scale.exp()
    half_normal = torch.distributions.HalfNormal(scale).log_prob(-x[:, :1])
    below = torch.nn.functional.logsigmoid(-log_odds) + half_normal
    expected = below[:, 0] + StandardNormal(1).log_prob(x[:, 1:])
    torch.testing.assert_close(flow.log_prob(x), expected)
    assert scale.std() > 0.01
    assert log_odds.std() > 0.01


@pytest.mark.parametrize("columns", [None, [1]])
@pytest.mark.parametrize("draw", [fresh_draw(generator(2)), mean_draw])
def test_latent_rows_come_back_whatever_was_drawn(columns, draw):
    layer, z = make(ReLU, 3, columns), rows(1000, 3, 1)
    torch.testing.assert_close(layer(layer.inverse(z, draw=draw))[0], z, atol=1e-8, rtol=1e-8)


def test_contribution_is_the_volume_and_the_probability_of_the_parts():
    layer, x = make(ReLU, 3, [0, 2]), rows(6, 3)
    z, contribution = layer(x)
    _, volume, log_part = layer.forward_in_parts(x)
    torch.testing.assert_close(volume + log_part, contribution)
    for row, log_det in zip(x, volume, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda r: layer(r[None])[0][0], row)
        assert abs(torch.linalg.slogdet(jacobian)[1] - log_det) < 1e-8
    # Larger numbers of one sign are larger latent ones.
    line = torch.linspace(-3, 3, 60, dtype=torch.float64)
    z = layer(x[:1].repeat(60, 1).index_copy(1, torch.tensor([0]), line[:, None]))[0][:, 0]
    assert (z[:30].diff() > 0).all()
    assert (z[30:].diff() > 0).all()


def test_it_starts_at_the_share_of_positive_rows():
    x = torch.tensor([[-1.0], [2.0], [4.0], [-3.0], [6.0]], dtype=torch.float64)
    layer = ReLU(1).double()
    layer.initialize(x, torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(layer.log_odds.exp(), torch.full_like(layer.log_odds, 3.5 / 2.5))
    torch.testing.assert_close(layer.log_scale.exp(), torch.full_like(layer.log_scale, 5**0.5))
    assert layer.opening.scale.item() == 4


# ----------------------------------------------------------------------------- generative


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "noise",
    [fresh_noise(generator(1)), no_noise]
    + [lambda x, k, far=far: x.new_full((len(x), k), far) for far in (-40.0, 40.0)],
)
def test_data_rows_come_back_whatever_was_drawn(dtype, noise):
    layer, x = make(GenerativeReLU, 3, [0, 2]).to(dtype), rows(1000, 3).to(dtype)
    x[:, [0, 2]] = x[:, [0, 2]].clamp_min(0)
    z, contribution = layer(x, noise=noise)
    assert contribution.isfinite().all()
    assert torch.equal(layer.inverse(z), x)


def test_negative_rows_have_no_density():
    x = torch.tensor([[1.0, -1.0], [0.0, 1.0]], dtype=torch.float64)
    assert (make(GenerativeReLU)(x)[1] == -math.inf).tolist() == [True, False]


def test_positive_rows_are_exact():
    layer, x = make(GenerativeReLU), amounts(50, 2) + 0.1
    z, contribution = layer(x)
    assert torch.equal(z, x)
    assert not contribution.any()


def test_the_atom_and_the_density_make_one():
    rest = inner_flow(1)
    flow = Flow([], [make(GenerativeReLU, 1), *rest.learned.steps], rest.base)
    assert not flow.exact
    points, volume = grid([0.0], [10.0], 2000)
    with torch.no_grad():
        positive = flow.log_prob(points).exp().sum() * volume
        noise = fresh_noise(generator(3))
        atom = flow.log_prob(points.new_zeros(200_000, 1), noise=noise).exp().mean()
        zeros = (flow.sample(50_000, generator=generator(1)) == 0).double().mean()
    assert abs(atom + positive - 1) < 3e-3
    assert abs(atom - zeros) < 1e-2


def test_bounds_rise_to_the_probability():
    rest = inner_flow(1)
    layer = make(GenerativeReLU, 1)
    flow = Flow([], [layer, *rest.learned.steps], rest.base)
    points, volume = grid([-12.0], [0.0], 4000)
    with torch.no_grad():
        truth = (rest.log_prob(points).exp().sum() * volume).log()
        draws = flow.log_prob(points.new_zeros(200_000, 1), noise=fresh_noise(generator(3)))
    elbo, few, many = ((draws.view(-1, n).logsumexp(1) - math.log(n)).mean() for n in (1, 10, 1000))
    assert elbo < few < many < truth + 2e-3
    assert many > truth - 1e-2


# ----------------------------------------------------------------------------------- both


@pytest.mark.parametrize("cls", LAYERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_far_rows_stay_finite(cls, dtype):
    layer = make(cls).to(dtype)
    extremes = torch.tensor([1e6, 1e3, 1.0, 1e-12, 0.0], dtype=dtype)
    x = torch.cartesian_prod(extremes, extremes)
    if cls is ReLU:
        x = torch.cat([x, -x, layer.opening.scale.expand(1, -1)])
    x.requires_grad_()
    z, contribution = layer(x, noise=fresh_noise(generator()))
    assert z.dtype == contribution.dtype == layer.inverse(z).dtype == dtype
    assert z.isfinite().all()
    assert contribution.isfinite().all()
    leaves = [x, *layer.parameters()]
    total = (z / 1e6).sum() + (contribution / 1e6).sum()
    gradients = torch.autograd.grad(total, leaves, allow_unused=True)
    assert all(g is None or g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("cls", LAYERS)
def test_a_batch_of_one(cls):
    layer, x = make(cls), amounts(5, 2)
    z, contribution = layer(x, noise=shared_noise(generator()))
    z1, contribution1 = layer(x[2:3], noise=shared_noise(generator()))
    torch.testing.assert_close(z1, z[2:3])
    torch.testing.assert_close(contribution1, contribution[2:3])
    assert layer.initialize(x[:1], torch.ones(1, dtype=torch.float64)).isfinite().all()


@pytest.mark.parametrize("cls", LAYERS)
@pytest.mark.parametrize("columns", [None, [0]])
def test_the_context_has_an_effect(cls, columns):
    layer, x = make(cls, 2, columns, n_context=2), amounts(20, 2)
    a, b = (x.new_full((20, 2), value) for value in (-1.0, 1.0))
    contributions = [layer(x, c, shared_noise(generator()))[1] for c in (a, b)]
    assert (contributions[0] - contributions[1]).abs().max() > 1e-3
    if cls is ReLU:
        drawn = [layer.inverse(x, c, fresh_draw(generator())) for c in (a, b)]
        assert (drawn[0] - drawn[1]).abs().max() > 1e-3


@pytest.mark.parametrize("cls", LAYERS)
def test_on_another_device(cls):
    layer = make(cls).to("meta")
    x = torch.ones(3, 2, dtype=torch.float64, device="meta")
    z, contribution = layer(x)
    assert z.device.type == contribution.device.type == layer.inverse(z).device.type == "meta"
