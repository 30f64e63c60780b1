"""Sets in sorted order: densities of whole sets, and nothing that the cone leaves out."""

import inspect
import math
from itertools import permutations

import pytest
import torch

import skflow.transforms
from skflow.distributions import GaussianMixture, StandardNormal
from skflow.distributions.plackett_luce import PlackettLuce
from skflow.flow import Flow
from skflow.networks.set_transformer import SetTransformer
from skflow.transforms import GenerativeSort, LULinear, Sort
from skflow.transforms.noise import fresh_draw, fresh_noise, mean_draw, no_noise, shared_noise
from tests.contract.integration import (
    cell_probabilities,
    central_edges,
    chi_square_per_cell,
    grid,
    histogram,
)
from tests.contract.table import generator, randomise

SHAPES = [(1, 2), (2, 1), (3, 2), (2, 3)]
BOTH = [Sort, GenerativeSort]


def rows(n, n_points=3, dim=2, seed=0):
    return torch.randn(n, n_points * dim, generator=generator(seed), dtype=torch.float64)


def by_first(x, n_points, dim):
    points = x.unflatten(1, (n_points, dim))
    order = points[..., 0].argsort(1)[..., None].expand_as(points)
    return points.gather(1, order).flatten(1)


def make(kind=Sort, n_points=3, dim=2, *, learned=True):
    """A layer whose orders are far from equally likely, if learned."""
    network = None
    if learned:
        network = SetTransformer(
            dim,
            1,
            d_model=8,
            n_heads=2,
            n_layers=1,
            n_hidden=8,
            n_positions=n_points,
            generator=generator(),
        )
    layer = kind(n_points, dim, network).double()
    layer.initialize(by_first(rows(50, n_points, dim), n_points, dim))
    randomise(layer, scale=0.5).eval()
    if learned:
        with torch.no_grad():
            network.last.weight.mul_(2.5)
    return layer


# ------------------------------------------------------------------------------------ orders


def all_orders(k):
    return torch.tensor(list(permutations(range(k))))


def test_probabilities_of_orders_add_up_and_are_those_of_the_draws():
    weight = torch.tensor([0.3, -1.0, 1.2], dtype=torch.float64)
    orders = all_orders(3)
    law = PlackettLuce(3)
    p = law.log_prob(orders, weight.expand(6, -1)).exp()
    assert abs(p.sum() - 1) < 1e-12
    drawn = law.sample(20_000, weight.expand(20_000, -1), generator(1)).long()
    counts = (drawn[:, None] == orders).all(2).sum(0)
    assert ((counts - 20_000 * p) ** 2 / (20_000 * p)).mean() < 3
    assert law.mean(weight[None]).tolist() == [[2, 0, 1]]
    assert law.mean(torch.zeros(1, 3)).tolist() == [[0, 1, 2]]


def test_equal_weights_are_equally_likely():
    log_p = PlackettLuce(50).log_prob(torch.arange(50)[None], torch.zeros(1, 50))
    assert abs(float(log_p) + math.lgamma(51)) < 1e-3


# -------------------------------------------------------------------------------------- sort


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize(("n_points", "dim"), SHAPES)
def test_contribution_is_log_determinant_and_probability_of_the_order(n_points, dim, learned):
    layer = make(n_points=n_points, dim=dim, learned=learned)
    x = rows(6, n_points, dim, 1)
    _, volume, log_order = layer.forward_in_parts(x)
    torch.testing.assert_close(layer(x)[1], volume + log_order)
    assert layer.exact
    for i in range(6):
        jacobian = torch.autograd.functional.jacobian(lambda v: layer(v[None])[0][0], x[i])
        assert abs(volume[i] - torch.linalg.slogdet(jacobian)[1]) < 1e-8
    if not learned or n_points == 1:
        expected = torch.full((6,), -math.lgamma(n_points + 1), dtype=torch.float64)
        torch.testing.assert_close(log_order, expected)


def test_all_orders_of_a_set_share_its_probability():
    layer = make()
    x = rows(20).unflatten(1, (3, 2))
    total = sum(layer.forward_in_parts(x[:, o].flatten(1))[2].exp() for o in all_orders(3))
    torch.testing.assert_close(total, torch.ones_like(total))
    several = torch.stack([layer.forward_in_parts(x[:, o].flatten(1))[2] for o in all_orders(3)])
    assert (several.amax(0) - several.amin(0)).median() > 1


def test_orders_are_drawn_as_often_as_their_probability_says():
    # Of three points, for of two an order and its inverse are the same.
    layer = make(dim=1)
    x = layer.inverse(rows(1, 3, 1).expand(20_000, -1), draw=fresh_draw(generator(1)))
    _, which, counts = x.unique(dim=0, return_inverse=True, return_counts=True)
    probability = layer.forward_in_parts(x)[2].exp()
    p = torch.zeros(6, dtype=torch.float64).scatter(0, which, probability)
    assert abs(p.sum() - 1) < 1e-9
    assert p.max() > 2 * p.min()
    assert ((counts - 20_000 * p) ** 2 / (20_000 * p)).mean() < 3


def sorted_pair_flow(base):
    return Flow([], [make(n_points=2, dim=1), randomise(LULinear(2).double(), 2, 0.3)], base)


def two_modes():
    base = GaussianMixture(2, 2).double()
    with torch.no_grad():
        base.means.copy_(torch.tensor([[1.5, -1.0], [-1.0, 0.5]]))
        base.logits.copy_(torch.tensor([0.5, -0.5]))
    return base


@pytest.mark.parametrize("base", [StandardNormal(2).double(), two_modes()])
def test_density_integrates_to_one(base):
    # Of the whole base, which puts mass everywhere: without the cone about a half would be left.
    flow = sorted_pair_flow(base)
    # Narrow gaps are dense: the lower number, and the log of the gap above it.
    places, volume = grid([-25.0, -20.0], [25.0, 4.0], 400)
    lower, gap = places[:, 0], places[:, 1].exp()
    pairs = torch.stack([lower, lower + gap], 1)
    with torch.no_grad():
        densities = [flow.log_prob(points).exp() for points in (pairs, pairs.flip(1))]
    parts = [float((p * gap).sum() * volume) for p in densities]
    assert abs(sum(parts) - 1) < 1e-3
    assert abs(parts[0] - parts[1]) > 0.1  # the orders are far from equally likely


def test_nothing_public_sorts_without_the_cone():
    sorting = [name for name in skflow.transforms.__all__ if "sort" in name.lower()]
    assert sorted(sorting) == ["GenerativeSort", "Sort"]
    assert list(inspect.signature(Sort).parameters) == ["n_points", "dim", "network"]
    # Onto: any latent row whatever is that of a set.
    layer = make()
    z = 5 * rows(500, seed=3)
    torch.testing.assert_close(layer(layer.inverse(z))[0], z, atol=1e-6, rtol=1e-6)


def test_samples_follow_the_density():
    flow = sorted_pair_flow(StandardNormal(2).double())
    n = 20_000
    with torch.no_grad():
        samples = flow.sample(n, generator=generator(1))
    edges = central_edges(samples)
    p = cell_probabilities(flow.log_prob, edges, 40)
    assert chi_square_per_cell(histogram(samples, edges), p, n) < 1.6


@pytest.mark.parametrize("draw", [None, mean_draw])
@pytest.mark.parametrize("learned", [False, True])
def test_a_right_inverse_whatever_is_drawn(draw, learned):
    layer = make(n_points=4, learned=learned)
    z = rows(300, 4, seed=2)
    x = layer.inverse(z, draw=draw)
    torch.testing.assert_close(layer(x)[0], z, atol=1e-7, rtol=1e-7)
    if draw is mean_draw and not learned:
        torch.testing.assert_close(by_first(x, 4, 2), x)


def test_the_score_does_not_depend_on_the_order_of_points():
    layer = make(learned=False)
    flow = Flow([], [layer, randomise(LULinear(6).double(), 2, 0.3)], StandardNormal(6).double())
    x = rows(40).unflatten(1, (3, 2))
    x[:20, 0, 0] = x[:20, 1, 0]  # ties: the second coordinate decides
    expected = flow.log_prob(x.flatten(1))
    assert expected.isfinite().all()
    for order in all_orders(3):
        torch.testing.assert_close(flow.log_prob(x[:, order].flatten(1)), expected)


# --------------------------------------------------------------------------- generative sort


def all_draws(layer, x, n=4000):
    return layer(x.expand(n, -1), noise=fresh_noise(generator(4)))


def test_a_generative_sort_says_how_likely_its_draw_was():
    layer = make(GenerativeSort, dim=1)
    x = by_first(rows(1, 3, 1), 3, 1)
    z, contribution = all_draws(layer, x)
    distinct, which, counts = z.unique(dim=0, return_inverse=True, return_counts=True)
    assert len(distinct) == 6
    p = torch.zeros(6, dtype=torch.float64).scatter(0, which, (-contribution).exp())
    assert abs(p.sum() - 1) < 1e-9
    assert ((counts - 4000 * p) ** 2 / (4000 * p)).mean() < 3


@pytest.mark.parametrize("learned", [False, True])
def test_sorting_undoes_every_draw(learned):
    layer = make(GenerativeSort, learned=learned)
    assert not layer.exact
    x = by_first(rows(200), 3, 2)
    z, contribution = layer(x, noise=fresh_noise(generator()))
    assert torch.equal(layer.inverse(z), x)
    assert contribution.isfinite().all()
    if not learned:
        torch.testing.assert_close(contribution, torch.full_like(contribution, math.lgamma(4)))
        assert torch.equal(layer(x, noise=no_noise)[0], x)


def test_points_that_are_not_sorted_have_no_density():
    layer = make(GenerativeSort, n_points=2, dim=1)
    x = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    assert layer(x)[1].isfinite().tolist() == [True, False, True]


def test_importance_weighting_finds_the_density_of_sorted_pairs():
    # That of the pair in one order and in the other, together.
    correlated = randomise(LULinear(2).double(), 2, 0.3)
    flow = Flow([], [make(GenerativeSort, 2, 1), correlated], StandardNormal(2).double())
    x = by_first(rows(5, 2, 1), 2, 1)
    both = torch.stack([x, x.flip(1)])
    expected = torch.stack([Flow([], [correlated], flow.base).log_prob(v) for v in both]).logsumexp(
        0
    )
    draws = flow.log_prob(x.repeat(40_000, 1), noise=fresh_noise(generator())).view(40_000, -1)
    found = draws.logsumexp(0) - math.log(40_000)
    torch.testing.assert_close(found, expected, atol=0.05, rtol=0)


# ------------------------------------------------------------------------------------ both


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_points_and_ties_stay_finite(kind, dtype):
    layer = make(kind, n_points=3, dim=1).to(dtype)
    values = torch.tensor([1e6, -1e6, 1e3, -30.0, 0.0], dtype=dtype)
    x = by_first(torch.cartesian_prod(*[values] * 3), 3, 1).requires_grad_()
    z, contribution = layer(x, noise=fresh_noise(generator()))
    assert z.dtype == contribution.dtype == layer.inverse(z).dtype == dtype
    assert z.isfinite().all()
    assert contribution.isfinite().all()
    leaves = [x, *layer.parameters()]
    gradients = torch.autograd.grad((z / 1e6).sum() + contribution.sum(), leaves, allow_unused=True)
    assert all(g is None or g.isfinite().all() for g in gradients)
    # A latent row of the whole space, too.
    assert layer.inverse(torch.cartesian_prod(*[values] * 3)).isfinite().all()


@pytest.mark.parametrize("kind", BOTH)
def test_a_batch_of_one(kind):
    layer, x = make(kind), by_first(rows(5), 3, 2)
    noise = [shared_noise(generator()) for _ in range(2)]
    z, contribution = layer(x, noise=noise[0])
    z1, contribution1 = layer(x[2:3], noise=noise[1])
    torch.testing.assert_close(z1, z[2:3])
    torch.testing.assert_close(contribution1, contribution[2:3])
    assert layer.initialize(x[:1], torch.ones(1, dtype=torch.float64)).isfinite().all()


@pytest.mark.parametrize("kind", BOTH)
def test_on_another_device(kind):
    layer = make(kind).to("meta")
    x = torch.ones(3, 6, dtype=torch.float64, device="meta")
    z, contribution = layer(x)
    assert z.device.type == contribution.device.type == layer.inverse(z).device.type == "meta"


@pytest.mark.parametrize("kind", BOTH)
def test_a_set_has_points(kind):
    with pytest.raises(ValueError, match="positive"):
        kind(0, 2)
