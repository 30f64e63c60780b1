"""Maxima in both directions: mass one, maxima that come back, bounds that rise to the truth."""

import math

import pytest
import torch

from skflow.distributions import StandardNormal
from skflow.flow import Flow
from skflow.transforms import GenerativeMax, Max, MaxPool, Standardize
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


def rows(n, d, seed=0):
    return torch.randn(n, d, generator=generator(seed), dtype=torch.float64)


def make_max(d=2, columns=None, n_context=0, scale=0.4):
    made = Max(d, columns, (8,), n_context=n_context, generator=generator()).double()
    made.initialize(rows(200, d, 7), context=rows(200, n_context, 8) if n_context else None)
    return randomise(made, scale=scale).eval()


def make_generative(d=1, group_size=3, column=0, n_context=0, scale=0.3):
    made = GenerativeMax(
        d, group_size, column, (8,), n_context=n_context, generator=generator()
    ).double()
    context = rows(200, n_context, 8) if n_context else None
    made.initialize(rows(200, d, 7), context=context)
    return randomise(made, scale=scale).eval()


def make(kind, **options):
    if kind == "max":
        return make_max(3, [0, 2], **options), rows(20, 3)
    return make_generative(2, 3, 1, **options), rows(20, 2)


KINDS = ["max", "generative"]


# ------------------------------------------------------------------------------ inference


def test_density_integrates_to_one_and_samples_follow_it():
    # Wider scales than these would reach beyond the grid.
    flow = Flow([], [make_max(scale=0.2)], StandardNormal(1).double())
    assert flow.exact
    points, volume = grid([-16.0] * 2, [8.0] * 2, 1000)
    with torch.no_grad():
        p = torch.cat([flow.log_prob(part).exp() for part in points.split(200_000)])
        samples = flow.sample(20_000, generator=generator(1))
        # The density jumps where the maximum changes its place, on the diagonal: a cell there has
        # half of either side's, taken from within the cell.
        on_diagonal = points[:, 0] == points[:, 1]
        beside = points[on_diagonal] + 0.25 * volume**0.5 * torch.tensor([[1.0, -1.0]])
        p[on_diagonal] = 0.5 * (flow.log_prob(beside).exp() + flow.log_prob(beside.flip(1)).exp())
    assert abs(p.sum() * volume - 1) < 1e-3
    assert (p - p.view(1000, 1000).T.flatten()).abs().max() > 1e-3
    edges = central_edges(samples)
    probabilities = cell_probabilities(flow.log_prob, edges, 40)
    assert chi_square_per_cell(histogram(samples, edges), probabilities, 20_000) < 2


@pytest.mark.parametrize("draw", [fresh_draw(generator(2)), mean_draw])
def test_latent_rows_come_back_whatever_was_drawn(draw):
    layer, z = make_max(4, [3, 0, 2]), rows(1000, 2, 1)
    x = layer.inverse(z, draw=draw)
    assert torch.equal(x[:, [3, 0, 2]].amax(1), z[:, 0])
    assert torch.equal(x[:, 1], z[:, 1])
    assert torch.equal(layer(x)[0], z)


def test_without_a_network_it_is_max_pooling():
    layer, pool, x = Max(3, None, ()).double(), MaxPool(1, 3).double(), rows(50, 3)
    z, contribution = layer(x)
    torch.testing.assert_close(z, pool(x)[0])
    torch.testing.assert_close(contribution, pool(x)[1])
    torch.testing.assert_close(layer.forward_in_parts(x)[2], contribution)


def test_scales_are_read_off_the_data():
    x = rows(4000, 3)
    x[:, 1] = x.amax(1) + 1
    x[:, 0] = x[:, 1] - 5 * rows(4000, 1, 1)[:, 0].abs()
    layer = Max(3).double()
    layer.initialize(x)
    assert abs(layer.log_scale[0].exp() - 5) < 0.3
    assert layer.log_scale[1] == 0  # always the maximum


def test_scales_from_the_data_are_the_likeliest():
    """Of a column's offsets, those count where it is not the maximum."""
    layer = Max(4, [0, 1, 3], ()).double()
    x = rows(400, 4) * torch.tensor([0.2, 1.0, 9.0, 5.0]) + torch.tensor([3.0, 2.0, 0.0, 0.0])
    weight = torch.rand(400, generator=generator(1), dtype=torch.float64)
    layer.initialize(x, weight)
    (gradient,) = torch.autograd.grad((weight * layer(x)[1]).sum(), [layer.log_scale])
    torch.testing.assert_close(gradient, torch.zeros(3, dtype=torch.float64), atol=1e-9, rtol=0)


def test_the_mean_path_takes_the_likeliest_place():
    layer, z = make_max(3, scale=1.0), rows(50, 1)
    place = layer.inverse(z, draw=mean_draw).argmax(1)
    drawn = torch.stack(
        [layer.inverse(z, draw=fresh_draw(generator(i))).argmax(1) for i in range(300)]
    )
    assert (drawn.mode(0).values == place).double().mean() > 0.8


# ----------------------------------------------------------------------------- generative


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "noise",
    [fresh_noise(generator(1)), no_noise]
    + [lambda x, k, far=far: x.new_full((len(x), k), far) for far in (-40.0, 40.0)],
)
def test_data_rows_come_back_whatever_was_drawn(dtype, noise):
    layer, x = make_generative(3, 4, 1).to(dtype), rows(1000, 3).to(dtype)
    z, contribution = layer(x, noise=noise)
    assert z.shape == (1000, 6)
    assert contribution.isfinite().all()
    assert torch.equal(layer.inverse(z), x)


def test_the_others_are_drawn_as_far_below_as_the_column_varies():
    x, found = rows(500, 2), []
    for unit in (1.0, 64.0):
        layer = GenerativeMax(2, 3, 1, (8,), generator=generator()).double()
        layer.initialize(unit * x)
        deviation = (unit * x[:, 1]).std(correction=0)
        torch.testing.assert_close(layer.log_scale.exp(), deviation.expand(3))
        found.append(layer(unit * x, noise=shared_noise(generator(1))))
    (z, contribution), (z_wide, contribution_wide) = found
    torch.testing.assert_close(z_wide, 64 * z)
    torch.testing.assert_close(contribution_wide, contribution + 2 * math.log(64))


def test_the_drawn_density_has_mass_one():
    """Importance sampling: the mean of 1 / q over the fibre's part near the maximum is its size."""
    layer, reach = make_generative(1, 2), 1.5
    x = rows(1, 1).expand(200_000, -1)
    with torch.no_grad():
        z, contribution = layer(x, noise=fresh_noise(generator()))
    near = ((x - z) <= reach).all(1)
    size = (contribution.exp() * near).mean()  # two rays, from the maximum down
    assert abs(size - 2 * reach) < 0.03
    assert 0.05 < (z[:, 0] == x[:, 0]).double().mean() < 0.95


def test_bounds_rise_to_the_density_of_the_maximum():
    layer = make_generative(1, 3, scale=0.1)
    with torch.no_grad():
        layer.log_scale += 0.7  # a draw from too narrow a density would need many more of them
    flow = Flow([], [layer], StandardNormal(3).double())
    assert not flow.exact
    x = rows(50, 1) * 0.7 + 0.8
    truth = math.log(3) + StandardNormal(1).log_prob(x) + 2 * torch.special.log_ndtr(x[:, 0])
    with torch.no_grad():
        noise = fresh_noise(generator(5))
        draws = flow.log_prob(x.repeat(4000, 1), noise=noise).view(4000, -1)
    elbo, few, many = (
        (draws.unflatten(0, (-1, n)).logsumexp(1) - math.log(n)).mean() for n in (1, 10, 1000)
    )
    assert elbo < few < many < truth.mean() + 1e-2
    assert many > truth.mean() - 2e-2


def test_training_learns_the_place_of_the_maximum():
    layer = GenerativeMax(1, 2, 0, (16,), generator=generator()).double()
    shift = Standardize(2).double()
    shift.mean.copy_(torch.tensor([2.0, -2.0]))
    flow = Flow([], [layer, shift], StandardNormal(2).double())
    x = flow.sample(300, generator=generator(1))
    layer.initialize(x)
    noise = fresh_noise(generator(2))
    optimizer = torch.optim.Adam(layer.parameters(), 2e-2)
    for _ in range(150):
        optimizer.zero_grad()
        (-flow(x, noise=noise).mean()).backward()
        optimizer.step()
    z = layer(x, noise=noise)[0]
    # The first number is the larger one with probability Phi(4 / sqrt 2) = 0.998.
    assert (z[:, 0] == x[:, 0]).double().mean() > 0.97


# ----------------------------------------------------------------------------------- both


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_far_rows_stay_finite(kind, dtype):
    layer, x = make(kind)
    layer = layer.to(dtype)
    extremes = torch.tensor([1e6, -1e6, 1e3, -30.0, 0.0], dtype=dtype)
    x = torch.cartesian_prod(*[extremes] * x.shape[1]).requires_grad_()
    z, contribution = layer(x, noise=fresh_noise(generator()))
    assert z.dtype == contribution.dtype == layer.inverse(z).dtype == dtype
    assert z.isfinite().all()
    assert contribution.isfinite().all()
    leaves = [x, *layer.parameters()]
    gradients = torch.autograd.grad((z / 1e6).sum() + (contribution / 1e12).sum(), leaves)
    assert all(g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_one(kind):
    layer, x = make(kind)
    z, contribution = layer(x, noise=shared_noise(generator()))
    z1, contribution1 = layer(x[2:3], noise=shared_noise(generator()))
    torch.testing.assert_close(z1, z[2:3])
    torch.testing.assert_close(contribution1, contribution[2:3])
    assert layer.initialize(x[:1], torch.ones(1, dtype=torch.float64)).isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_context_has_an_effect(kind):
    layer, x = make(kind, n_context=2)
    a, b = (x.new_full((20, 2), value) for value in (-1.0, 1.0))
    contributions = [layer(x, c, shared_noise(generator()))[1] for c in (a, b)]
    assert (contributions[0] - contributions[1]).abs().max() > 1e-3
    if kind == "max":
        z = layer(x, a)[0]
        drawn = [layer.inverse(z, c, fresh_draw(generator())) for c in (a, b)]
        assert (drawn[0] - drawn[1]).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_on_another_device(kind):
    layer, x = make(kind)
    layer = layer.to("meta")
    z, contribution = layer(x.to("meta"))
    assert z.device.type == contribution.device.type == layer.inverse(z).device.type == "meta"


@pytest.mark.parametrize("columns", [[], [0], [0, 0], [0, 3]])
def test_a_maximum_needs_two_columns(columns):
    with pytest.raises(ValueError, match="2 or more different columns of 3"):
        Max(3, columns)


def test_a_generative_maximum_needs_two_numbers_and_a_column():
    with pytest.raises(ValueError, match="at least two numbers"):
        GenerativeMax(1, 1)
    with pytest.raises(ValueError, match="different columns of 1"):
        GenerativeMax(1, 2, column=1)
