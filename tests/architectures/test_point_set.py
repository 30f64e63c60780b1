"""The model of sets: where it starts, what it is built of, that training improves it."""

import json

import pytest
import torch

from skflow.architectures.point_set import PointSetPlan, check_input_shape
from skflow.data.fit_data import FitData
from skflow.data.rows import Rows
from skflow.distributions.point_sequence import PointSequence
from skflow.flow import Flow
from skflow.starts.point_set import initialize_set_flow
from skflow.training.fit import Fitted, fit_flow
from skflow.training.settings import Settings
from skflow.transforms import Compose, Sort, StochasticPermutation
from skflow.transforms.noise import fresh_noise, shared_noise
from tests.contract.integration import (
    cell_probabilities,
    central_edges,
    chi_square_per_cell,
    grid,
    histogram,
)
from tests.contract.table import generator, randomise

SMALL = {"d_model": 16, "n_heads": 2, "n_layers": 1, "n_hidden": 16, "n_components": 3}
SYMMETRIES = ["permute", "sort"]
VARIANTS = [
    {},
    {"autoregressive": False, "n_couplings": 1},
    {"n_couplings": 1, "coupling": "spline"},
]


def clouds(n=100, n_points=5, seed=0):
    """Sets of points around centres of their own, far from the unit scale."""
    centre = 2 * torch.randn(n, 1, 2, generator=generator(seed), dtype=torch.float64)
    noise = torch.randn(n, n_points, 2, generator=generator(seed + 1), dtype=torch.float64)
    return (torch.tensor([5.0, -100.0]) + 30 * (centre + 0.5 * noise)).flatten(1)


def make(symmetry, x, n_points=5, **options):
    plan = PointSetPlan((n_points, 2), symmetry=symmetry, **{**SMALL, **options}).for_rows(len(x))
    flow = plan.flow(generator())
    initialize_set_flow(flow, x, None, generator(1))
    return flow.eval().requires_grad_(False)


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_a_plan_says_it_all(symmetry):
    plan = PointSetPlan((5, 2), symmetry=symmetry, **SMALL)
    again = PointSetPlan.from_plain(json.loads(json.dumps(plan.to_plain())))
    assert again == plan
    first, second = (one.flow(generator()) for one in (plan, again))
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert a.dtype == torch.float64
        assert torch.equal(a, b)
    fixed, learned = first.fixed, first.learned
    assert isinstance(fixed, Compose)
    assert not list(fixed.parameters())
    kind = Sort if symmetry == "sort" else StochasticPermutation
    assert isinstance(learned.steps[0], kind)
    assert first.exact == (symmetry == "sort")


@pytest.mark.parametrize("options", VARIANTS)
def test_in_a_random_order_it_starts_at_independent_points(options):
    x = clouds()
    flow = make("permute", x, **options)
    mixture = flow.base.mixture
    points = flow.fixed(x)[0].view(-1, 2)
    # Shared by all points: one mean and one scale for each coordinate.
    torch.testing.assert_close(points.mean(0), torch.zeros(2, dtype=torch.float64))
    torch.testing.assert_close(points.std(0, correction=0), torch.ones(2, dtype=torch.float64))
    log_scale = flow.fixed(x)[1]
    expected = mixture.log_prob(points).view(100, 5).sum(1) + log_scale
    torch.testing.assert_close(flow.log_prob(x), expected)


@pytest.mark.parametrize("symmetry", SYMMETRIES)
@pytest.mark.parametrize("options", VARIANTS)
def test_training_improves_it(symmetry, options):
    x, held_out = clouds(), clouds(50, seed=9)
    flow = make(symmetry, x, **options)
    data = FitData.plain(Rows(x), Rows(held_out))
    settings = Settings(2, 2, 2e-2, tol=0.0, dtype=torch.float64)
    fitted = fit_flow(Fitted(flow, data), settings, seed=0)
    flow, outcome = fitted.flow, fitted.outcome
    assert outcome.best_score > outcome.start_score + 0.05
    with torch.no_grad():
        score = flow.eval().log_prob(held_out, noise=shared_noise(generator()))
    assert score.mean() > outcome.start_score
    assert flow.sample(7, generator=generator()).isfinite().all()


@pytest.mark.parametrize("options", [*VARIANTS, {"order": "learned"}])
def test_sorted_sets_are_scored_in_any_order(options):
    x = clouds(20)
    flow = randomise(make("sort", x, **options), scale=0.1)
    score = flow.log_prob(x)
    turned = x.unflatten(1, (5, 2)).flip(1).flatten(1)
    same = torch.allclose(flow.log_prob(turned), score, rtol=1e-9)
    assert same == (options.get("order") != "learned")
    z = flow.encode(x)
    torch.testing.assert_close(flow.encode(flow.decode(z)), z, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_weights_count(symmetry):
    x = torch.cat([clouds(50), clouds(50) + 1000])
    weight = torch.cat([torch.ones(50), torch.zeros(50)]).double()
    flow = PointSetPlan((5, 2), symmetry=symmetry, **SMALL).flow(generator())
    initialize_set_flow(flow, x, weight, generator())
    with torch.no_grad():
        score = flow.log_prob(x)
    assert score[:50].mean() > score[50:].mean() + 100
    alone = make(symmetry, x[:50])
    torch.testing.assert_close(flow.fixed(x)[1], alone.fixed(x)[1])


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_far_sets_ties_and_single_ones_have_finite_scores(symmetry):
    x = clouds()
    flow = randomise(make(symmetry, x), scale=0.05)
    strange = x[:4].clone()
    strange[0] = 1e8
    strange[1, ::2] = 3.0
    strange[2] *= -1e4
    noise = [shared_noise(generator()) for _ in range(2)]
    scores = flow.log_prob(strange, noise=noise[0])
    assert scores.isfinite().all()
    torch.testing.assert_close(flow.log_prob(strange[2:3], noise=noise[1]), scores[2:3])


@pytest.mark.parametrize("symmetry", SYMMETRIES)
@pytest.mark.parametrize(("n_points", "n_rows"), [(1, 40), (2, 1), (4, 2)])
def test_small_sets_and_few_of_them(symmetry, n_points, n_rows):
    x = clouds(n_rows, n_points)
    flow = make(symmetry, x, n_points, n_couplings=1)
    assert flow.log_prob(x).isfinite().all()
    assert flow.sample(3).shape == (3, 2 * n_points)


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_equal_points_have_a_start(symmetry):
    flow = make(symmetry, torch.full((20, 10), 3.0, dtype=torch.float64))
    assert flow.log_prob(clouds()).isfinite().all()


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_on_another_device_and_in_another_dtype(symmetry):
    x = clouds(10)
    flow = make(symmetry, x).float()
    assert flow.log_prob(x.float()).dtype == flow.sample(3).dtype == torch.float32
    flow = flow.to("meta")
    assert flow(x.float().to("meta")).device.type == "meta"


# ------------------------------------------------------------------------------- the density


def sequence(n_points, dim):
    plan = PointSetPlan((n_points, dim), symmetry="sort", **SMALL)
    flow = randomise(plan.flow(generator()), scale=0.1)
    flow.base.spread.copy_(torch.linspace(0.5, 2, n_points * dim).view(n_points, dim))
    return flow.requires_grad_(False)


@pytest.mark.parametrize(("n_points", "dim"), [(2, 1), (1, 2)])
def test_the_base_integrates_to_one(n_points, dim):
    base = sequence(n_points, dim).base
    points, volume = grid([-30.0] * 2, [30.0] * 2, 600)
    total = sum(float(base.log_prob(part).exp().sum() * volume) for part in points.split(60_000))
    assert abs(total - 1) < 1e-3


@pytest.mark.parametrize(("n_points", "dim"), [(2, 1), (1, 2)])
def test_samples_of_the_base_follow_its_density(n_points, dim):
    base = sequence(n_points, dim).base
    n = 20_000
    samples = base.sample(n, generator=generator(2))
    edges = central_edges(samples)
    p = cell_probabilities(base.log_prob, edges, 20)
    assert chi_square_per_cell(histogram(samples, edges), p, n) < 1.6


def test_a_point_depends_on_those_before_it_only():
    base = sequence(4, 2).base
    x = torch.randn(1, 8, generator=generator(), dtype=torch.float64)

    def log_weight():
        return base._changes(base.network(base._inputs(x, x.view(1, 4, 2))))[0]

    before = log_weight()
    x[0, 4] += 1
    difference = (log_weight() - before).abs().amax(2)[0]
    assert not difference[:3].any()
    assert difference[3] > 1e-6


def test_the_whole_density_of_sorted_pairs_integrates_to_one():
    flow = sequence(2, 1)
    places, volume = grid([-25.0, -20.0], [25.0, 4.0], 400)
    lower, gap = places[:, 0], places[:, 1].exp()
    pairs = torch.stack([lower + gap, lower], 1)
    total = float((2 * flow.log_prob(pairs).exp() * gap).sum() * volume)
    assert abs(total - 1) < 1e-3


# ---------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize("name", ["symmetry", "coupling", "order"])
def test_unknown_kinds_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be one of"):
        PointSetPlan((5, 2), **{"symmetry": "sort", name: "none"})


def test_the_shape_must_fit_the_rows():
    assert check_input_shape([5, 2], 10) == (5, 2)
    for shape, n_features in (((5, 2), 11), ((5,), 5), ((5, -2), 10), ((2.5, 4), 10)):
        with pytest.raises(ValueError, match="input_shape"):
            check_input_shape(shape, n_features)


def test_the_bound_rises_with_draws():
    x = clouds(40)
    flow = randomise(make("permute", x), scale=0.1)
    one, ten = (
        flow.log_prob(x, n_importance_samples=k, noise=fresh_noise(generator())).mean()
        for k in (1, 10)
    )
    assert ten > one


def test_without_a_network_points_are_independent():
    base = PointSequence(3, 2, 4).double()
    x = torch.randn(5, 6, generator=generator(), dtype=torch.float64)
    expected = Flow([], [], base.mixture).log_prob(x.view(-1, 2)).view(5, 3).sum(1)
    torch.testing.assert_close(base.log_prob(x), expected)
