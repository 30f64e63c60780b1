"""Absolute values in both directions: mass one, signs that come back, bounds below the sum."""

import math

import pytest
import torch

from skflow.distributions import FibreSum, StandardNormal
from skflow.flow import Flow
from skflow.transforms import Abs, GenerativeAbs, LULinear, Standardize
from skflow.transforms.noise import fresh_draw, fresh_noise, mean_draw, no_noise, shared_noise
from tests.contract.integration import (
    cell_probabilities,
    central_edges,
    chi_square_per_cell,
    grid,
    histogram,
)
from tests.contract.table import generator, randomise

DTYPES = [torch.float32, torch.float64]
LAYERS = [Abs, GenerativeAbs]


def rows(n, d, seed=0):
    return torch.randn(n, d, generator=generator(seed), dtype=torch.float64)


def make(cls, d=2, columns=None, n_context=0, scale=0.4, **options):
    made = cls(d, columns, (8,), n_context=n_context, generator=generator(), **options).double()
    x = rows(200, d, 7)
    context = rows(200, n_context, 8) if n_context else None
    made.initialize(x if cls is Abs else x.abs(), context=context)
    return randomise(made, scale=scale).eval()


def inner_flow(d=2):
    mix = randomise(LULinear(d).double(), 4, 0.3)
    shift = Standardize(d).double()
    shift.mean.fill_(0.7)
    return Flow([], [shift, mix], StandardNormal(d).double())


# ------------------------------------------------------------------------------ inference


# The density is that of softplus numbers: smooth towards zero, so midpoints do well.
@pytest.mark.parametrize("columns", [None, [0], [1]])
def test_density_integrates_to_one_and_samples_follow_it(columns):
    flow = Flow([], [make(Abs, columns=columns)], StandardNormal(2).double())
    assert flow.exact
    points, volume = grid([-12.0] * 2, [12.0] * 2, 600)
    with torch.no_grad():
        total = sum(flow.log_prob(part).exp().sum() for part in points.split(200_000)) * volume
        samples = flow.sample(20_000, generator=generator(1))
    assert abs(total - 1) < 1e-3
    edges = central_edges(samples)
    probabilities = cell_probabilities(flow.log_prob, edges, 40)
    assert chi_square_per_cell(histogram(samples, edges), probabilities, 20_000) < 2
    # Signs that were all equally likely would not have needed a network.
    signs = (samples > 0).double().mean(0)[flow.learned.steps[0].columns]
    assert ((signs - 0.5).abs() > 0.01).any()


def test_with_a_limit_the_mass_is_within_it():
    flow = Flow([], [make(Abs, columns=[0], limit=4.0)], StandardNormal(2).double())
    points, volume = grid([-4.0, -8.0], [4.0, 8.0], 800)
    with torch.no_grad():
        assert abs(flow.log_prob(points).exp().sum() * volume - 1) < 1e-3
        assert flow.log_prob(torch.tensor([[4.1, 0.0]], dtype=torch.float64)).item() == -math.inf
        assert flow.sample(1000, generator=generator())[:, 0].abs().max() <= 4


@pytest.mark.parametrize("columns", [None, [1]])
@pytest.mark.parametrize("draw", [fresh_draw(generator(2)), mean_draw])
def test_latent_rows_come_back_whatever_was_drawn(columns, draw):
    layer, z = make(Abs, 3, columns), 2 * rows(1000, 3, 1)
    torch.testing.assert_close(layer(layer.inverse(z, draw=draw))[0], z, atol=1e-8, rtol=1e-8)


def test_contribution_is_the_volume_and_the_probability_of_the_signs():
    layer, x = make(Abs, 3, [0, 2]), rows(5, 3)
    z, contribution = layer(x)
    _, volume, log_signs = layer.forward_in_parts(x)
    torch.testing.assert_close(volume + log_signs, contribution)
    for row, log_det in zip(x, volume, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda r: layer(r[None])[0][0], row)
        assert abs(torch.linalg.slogdet(jacobian)[1] - log_det) < 1e-8
    # Over all signs of the same latent row the probabilities add up to one.
    patterns = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 2)
    reflected = x[:1].repeat(4, 1)
    reflected[:, [0, 2]] *= patterns
    torch.testing.assert_close(layer(reflected)[0], z[:1].expand(4, -1))
    assert abs(layer.forward_in_parts(reflected)[2].exp().sum() - 1) < 1e-12


@pytest.mark.parametrize("cls", LAYERS)
def test_at_zero_signs_are_even(cls):
    layer, x = cls(3, [0, 2]).double(), rows(20, 3).abs()
    log_signs = layer.forward_in_parts(x, noise=fresh_noise(generator()))[2 if cls is Abs else 1]
    torch.testing.assert_close(log_signs.abs(), torch.full_like(log_signs, math.log(4)))


def test_the_mean_path_takes_the_likelier_signs():
    layer, z = make(Abs), rows(50, 2)
    x = layer.inverse(z, draw=mean_draw)
    other = [layer.forward_in_parts(x * torch.tensor(s))[2] for s in ([1, -1], [-1, 1], [-1, -1])]
    assert (layer.forward_in_parts(x)[2] >= torch.stack(other)).all()


# ----------------------------------------------------------------------------- generative


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("noise", [fresh_noise(generator(1)), no_noise])
def test_data_rows_come_back_whatever_was_drawn(dtype, noise):
    layer, x = make(GenerativeAbs, 3, [0, 2]).to(dtype), rows(1000, 3).to(dtype)
    x[:, [0, 2]] = x[:, [0, 2]].abs()
    z, contribution = layer(x, noise=noise)
    assert torch.equal(layer.inverse(z), x)
    assert (contribution >= 0).all()


def test_negative_rows_have_no_density():
    x = torch.tensor([[1.0, -1.0], [1.0, 1.0]], dtype=torch.float64)
    assert (make(GenerativeAbs)(x)[1] == -math.inf).tolist() == [True, False]


def test_signs_are_drawn_as_often_as_the_contribution_says():
    layer = make(GenerativeAbs, 2)
    x = rows(1, 2).abs().expand(20_000, -1)
    with torch.no_grad():
        z, contribution = layer(x, noise=fresh_noise(generator()))
    for pattern in torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 2):
        drawn = (z.sign() == pattern).all(1)
        q = float((-contribution[drawn]).exp().mean())
        assert abs(drawn.double().mean() - q) < 4 * math.sqrt(q * (1 - q) / len(x))


def test_bounds_rise_to_the_sum_over_the_signs():
    rest = inner_flow()
    flow = Flow([], [make(GenerativeAbs), *rest.learned.steps], rest.base)
    assert not flow.exact
    exact = FibreSum(rest, 2, "signs")
    with torch.no_grad():
        x = exact.sample(100, generator=generator(2))
        noise = fresh_noise(generator(5))
        draws = flow.log_prob(x.repeat(4000, 1), noise=noise).view(4000, -1)
        truth = exact.log_prob(x)
    elbo, few, many = (
        (draws.unflatten(0, (-1, n)).logsumexp(1) - math.log(n)).mean() for n in (1, 10, 1000)
    )
    assert elbo < few < many < truth.mean() + 2e-3
    assert many > truth.mean() - 1e-2


def test_training_closes_the_gap_of_the_bound():
    rest = inner_flow().requires_grad_(False)
    exact = FibreSum(rest, 2, "signs")
    layer = GenerativeAbs(2, None, (32,), generator=generator()).double()
    x = exact.sample(500, generator=generator(2))
    layer.initialize(x)
    flow = Flow([], [layer, *rest.learned.steps], rest.base)
    noise = fresh_noise(generator(3))

    def gap():
        with torch.no_grad():
            many = x.repeat(20, 1)
            return float(exact.log_prob(x).mean() - flow.log_prob(many, noise=noise).mean())

    before = gap()
    optimizer = torch.optim.Adam(layer.parameters(), 1e-2)
    for _ in range(120):
        optimizer.zero_grad()
        (-flow(x, noise=noise).mean()).backward()
        optimizer.step()
    # Signs that are independent given x cannot close it.
    assert gap() < 0.3 * before


# ----------------------------------------------------------------------------------- both


@pytest.mark.parametrize("cls", LAYERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_far_rows_stay_finite(cls, dtype):
    layer = make(cls).to(dtype)
    extremes = torch.tensor([1e6, 1e3, 1.0, 1e-12, 0.0], dtype=dtype)
    x = torch.cartesian_prod(extremes, extremes)
    if cls is Abs:
        # One unit of a half-line too: there a branch that is not used must not spoil gradients.
        x = torch.cat([x, -x, layer.opening.scale.expand(1, -1)])
    x.requires_grad_()
    z, contribution = layer(x, noise=fresh_noise(generator()))
    assert z.dtype == contribution.dtype == layer.inverse(z).dtype == dtype
    assert z.isfinite().all()
    assert contribution.isfinite().all()
    leaves = [x, *layer.parameters()]
    gradients = torch.autograd.grad((z / 1e6).sum() + contribution.sum(), leaves)
    assert all(g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("cls", LAYERS)
def test_a_batch_of_one(cls):
    layer, x = make(cls), rows(5, 2).abs()
    z, contribution = layer(x, noise=shared_noise(generator()))
    z1, contribution1 = layer(x[2:3], noise=shared_noise(generator()))
    torch.testing.assert_close(z1, z[2:3])
    torch.testing.assert_close(contribution1, contribution[2:3])
    assert layer.initialize(x[:1], torch.ones(1, dtype=torch.float64)).isfinite().all()


@pytest.mark.parametrize("cls", LAYERS)
def test_the_context_has_an_effect(cls):
    layer, x = make(cls, n_context=2), rows(20, 2).abs()
    contributions = [
        layer(x, torch.full((20, 2), value, dtype=torch.float64), shared_noise(generator()))[1]
        for value in (-1.0, 1.0)
    ]
    assert (contributions[0] - contributions[1]).abs().max() > 1e-3


def test_drawn_signs_depend_on_the_context():
    layer, z = make(Abs, n_context=2, scale=1.0), rows(1, 2).expand(4000, -1)
    shares = [
        (layer.inverse(z, z.new_full((4000, 2), value), fresh_draw(generator())) > 0)
        .double()
        .mean(0)
        for value in (-2.0, 2.0)
    ]
    assert (shares[0] - shares[1]).abs().max() > 0.1


@pytest.mark.parametrize("cls", LAYERS)
def test_on_another_device(cls):
    layer = make(cls).to("meta")
    x = torch.ones(3, 2, dtype=torch.float64, device="meta")
    z, contribution = layer(x)
    assert z.device.type == contribution.device.type == layer.inverse(z).device.type == "meta"


@pytest.mark.parametrize("cls", LAYERS)
@pytest.mark.parametrize("columns", [[], [0, 0], [2], [-1]])
def test_columns_must_be_different_ones(cls, columns):
    with pytest.raises(ValueError, match="different columns of 2"):
        cls(2, columns)
