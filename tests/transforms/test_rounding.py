"""Rounding in both directions: probabilities, bounds on them, and cells that nothing leaves."""

import math

import pytest
import torch

from skflow.distributions import LocationScale, StandardNormal
from skflow.distributions.base import Distribution
from skflow.flow import Flow
from skflow.transforms import (
    Affine,
    Compose,
    Coupling,
    Dequantize,
    LULinear,
    Permutation,
    Rounding,
    Standardize,
)
from skflow.transforms.noise import fresh_noise, mean_draw, no_noise, shared_noise
from tests.contract.integration import grid
from tests.contract.table import SPLINE, generator, randomise

STEP = torch.tensor([0.5, 3.0, 1 / 255, 1e4], dtype=torch.float64)
ORIGIN = torch.tensor([0.1, -7.0, 0.0, 12.5], dtype=torch.float64)
COUNT = torch.tensor([4, 3, 5, 2])
NOISES = ["uniform", "affine", "spline", "coupled"]


def levels(n, d=4, seed=0, step=STEP, origin=ORIGIN):
    index = torch.stack([torch.randint(int(k), (n,), generator=generator(seed)) for k in COUNT], 1)
    return origin[:d] + step[:d] * index[:, :d]


def cell_transform(kind, d):
    def given_all(family):
        return Coupling(
            d, family, n_kept=0, hidden_layer_sizes=(8,), n_context=d, generator=generator()
        )

    if kind == "uniform":
        return None
    if kind == "coupled":
        pair = Coupling(d, Affine(), hidden_layer_sizes=(8,), n_context=d, generator=generator(1))
        return Compose([given_all(Affine()), Permutation(d, reverse=True), pair])
    return given_all(Affine() if kind == "affine" else SPLINE)


def make_dequantize(kind, d=4, scale=0.2, **options):
    made = Dequantize(STEP[:d], ORIGIN[:d], transform=cell_transform(kind, d), **options).double()
    made.initialize(levels(200, d))
    return randomise(made, scale=scale).eval()


def make_rounding(kind, d=4, **options):
    decoder = None
    if kind != "uniform":
        decoder = LocationScale(StandardNormal(d), d, (8,), generator=generator())
    made = Rounding(STEP[:d], ORIGIN[:d], decoder=decoder, **options).double()
    made.initialize(levels(200, d))
    return randomise(made, scale=0.1).eval()


class Lattice(Distribution):
    """A probability of every level of two columns."""

    def __init__(self, d=2):
        super().__init__()
        self.n_features = d
        shape = [int(k) for k in COUNT[:d]]
        logits = torch.randn(shape, generator=generator(3), dtype=torch.float64)
        self.log_p = logits - logits.logsumexp(list(range(d)))

    def log_prob(self, x, context=None):
        index = ((x - ORIGIN[: self.n_features]) / STEP[: self.n_features]).round().long()
        return self.log_p[tuple(index.T)]

    def sample(self, n, context=None, generator=None):
        flat = torch.multinomial(self.log_p.exp().flatten(), n, True, generator=generator)
        index = torch.stack(torch.unravel_index(flat, self.log_p.shape), 1)
        return ORIGIN[: self.n_features] + STEP[: self.n_features] * index


def smooth(t):
    """Points of the unit cube for an integral over t, and their weights.

    A density may grow without bound towards the edges of a cell: the points are dense there.
    """
    return t**3 * (10 - 15 * t + 6 * t * t), (30 * t**2 * (1 - t) ** 2).prod(1)


# ----------------------------------------------------------------------------- dequantising


@pytest.mark.parametrize("kind", NOISES)
def test_rounding_undoes_every_draw_and_no_draw_leaves_its_cell(kind):
    layer = make_dequantize(kind)
    x = levels(1000)
    z, contribution = layer(x, noise=fresh_noise(generator(1)))
    assert contribution.isfinite().all()
    torch.testing.assert_close(layer.inverse(z), x, atol=0, rtol=1e-14)
    assert ((z - x).abs() < STEP / 2).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("far", [-40.0, 40.0])
def test_noise_from_the_far_tail_stays_in_its_cell(dtype, far):
    index = torch.arange(1000, dtype=dtype)[:, None]
    layer = Dequantize(torch.tensor([1 / 255]), torch.tensor([-0.3])).to(dtype)
    x = layer.origin + layer.step * index
    z, _ = layer(x, noise=lambda x, k: x.new_full((len(x), k), far))
    assert z.dtype == dtype
    assert torch.equal(layer.inverse(z), x)


@pytest.mark.parametrize("kind", NOISES)
def test_contribution_is_minus_the_density_of_the_draw(kind):
    layer = make_dequantize(kind)
    x = levels(5)
    eps = torch.randn(5, 4, generator=generator(2), dtype=torch.float64)
    _, contribution = layer(x, noise=lambda x, k: eps)
    log_normal = StandardNormal(4).log_prob(eps)
    for i in range(5):
        jacobian = torch.autograd.functional.jacobian(
            lambda e, i=i: layer(x[i : i + 1], noise=lambda x, k: e[None])[0][0], eps[i]
        )
        log_q = log_normal[i] - torch.linalg.slogdet(jacobian)[1]
        assert abs(contribution[i] + log_q) < 1e-8


@pytest.mark.parametrize("kind", NOISES[1:])
def test_the_noise_has_mass_one_on_the_cell(kind):
    layer = make_dequantize(kind, 2)
    x = levels(1, 2)
    places, weight = smooth(grid([0.0] * 2, [1.0] * 2, 500)[0])
    probit = torch.special.ndtri(places)
    seen = layer._seen(x, None).expand(len(places), -1)
    with torch.no_grad():
        eps = layer.transform.inverse(probit, seen)
        z, contribution = layer(x.expand(len(places), -1), noise=lambda x, k: eps)
    torch.testing.assert_close(z, x + STEP[:2] * (places - 0.5), atol=1e-6, rtol=0)
    log_q = STEP[:2].log().sum() - contribution
    assert log_q.std() > 0.05
    assert abs((weight * log_q.exp()).mean() - 1) < 1e-3


def continuous_flow(d=2):
    standard = Standardize(d).double()
    standard.initialize(levels(500, d))
    mix = randomise(LULinear(d).double(), 4, 0.3)
    return Flow([], [standard, mix], StandardNormal(d).double())


def all_levels(reach):
    axis = torch.arange(-reach, reach + 1, dtype=torch.float64)
    return ORIGIN[:2] + STEP[:2] * torch.cartesian_prod(axis, axis)


@torch.no_grad()
def cell_masses(flow, x, points=40):
    """Exact probabilities of the cells of rows x, by midpoints."""
    inner, _ = grid([-0.5] * 2, [0.5] * 2, points)
    places = x[:, None] + STEP[:2] * inner
    density = flow.log_prob(places.reshape(-1, 2)).exp().reshape(len(x), -1)
    return density.mean(1) * STEP[:2].prod()


@pytest.mark.parametrize("kind", NOISES)
def test_bounds_rise_to_the_probability_and_probabilities_add_up(kind):
    rest = continuous_flow()
    # Noise far from the posterior would need more draws than a test can make.
    flow = Flow([], [make_dequantize(kind, 2, scale=0.05), *rest.learned.steps], rest.base)
    assert not flow.exact
    x = all_levels(12)
    exact = cell_masses(rest, x)
    assert abs(exact.sum() - 1) < 1e-3
    x, exact = x[exact > 1e-4], exact[exact > 1e-4]
    noise = fresh_noise(generator(5))
    with torch.no_grad():
        draws = flow.log_prob(x.repeat(5000, 1), noise=noise).view(5000, -1)

    def bound(n_draws):
        return (draws.unflatten(0, (-1, n_draws)).logsumexp(1) - math.log(n_draws)).mean(0)

    elbo, few, many = (bound(n) for n in (1, 10, 1000))

    def expected(log_p):
        return float((exact * log_p).sum() / exact.sum())

    truth = expected(exact.log())
    assert expected(elbo) < expected(few) < expected(many) < truth + 3e-3
    assert expected(many) > truth - 1e-2
    assert abs(many.exp().sum() - exact.sum()) < 1e-2


def test_a_row_between_levels_has_the_score_of_its_level():
    rest = continuous_flow()
    flow = Flow([], [make_dequantize("coupled", 2), *rest.learned.steps], rest.base)
    x = levels(20, 2)
    shift = STEP[:2] * (torch.rand(20, 2, generator=generator(), dtype=torch.float64) - 0.5)
    scores = [
        flow.log_prob(rows, n_importance_samples=3, noise=shared_noise(generator(1)))
        for rows in (x, x + shift)
    ]
    torch.testing.assert_close(scores[0], scores[1], atol=1e-9, rtol=0)


def test_without_a_network_the_mean_path_goes_to_the_level():
    x = levels(30)
    z, contribution = make_dequantize("uniform")(x, noise=no_noise)
    assert torch.equal(z, x)
    torch.testing.assert_close(contribution, STEP.log().sum().expand(30))


@pytest.mark.parametrize("kind", NOISES)
def test_at_zero_the_noise_is_uniform(kind):
    layer = Dequantize(STEP, ORIGIN, transform=cell_transform(kind, 4)).double()
    _, contribution = layer(levels(30), noise=fresh_noise(generator()))
    torch.testing.assert_close(contribution, STEP.log().sum().expand(30), atol=1e-12, rtol=0)


@pytest.mark.parametrize("make", [make_dequantize, make_rounding])
def test_nothing_lies_beyond_the_outer_levels(make):
    layer = make("uniform", n_levels=COUNT)
    last = ORIGIN + STEP * (COUNT - 1)
    for rows in (ORIGIN[None] - 2 * STEP, last[None] + 2 * STEP):
        assert layer(rows)[1].item() == -math.inf
    assert layer(torch.stack([ORIGIN, last]))[1].isfinite().all()
    assert torch.equal(layer.nearest(last[None] + 9 * STEP), last[None])
    assert torch.equal(layer.nearest(ORIGIN[None] - 9 * STEP), ORIGIN[None])


def test_columns_may_share_the_units_a_network_sees():
    layer = Dequantize(torch.ones(4), torch.zeros(4), n_positions=2).double()
    x = torch.tensor([[0.0, 8.0, 3.0, 3.0], [4.0, 4.0, 3.0, 3.0]], dtype=torch.float64)
    layer.initialize(x, torch.tensor([1.0, 1.0], dtype=torch.float64))
    assert layer.centre.tolist() == [4, 4, 3, 3]
    torch.testing.assert_close(layer.scale.tolist(), [8**0.5, 8**0.5, 1.0, 1.0])


@pytest.mark.parametrize(
    ("step", "origin"), [([1.0, 0.0], [0.0, 0.0]), ([1.0], [0.0, 0.0]), ([[1.0]], [[0.0]])]
)
def test_a_lattice_needs_positive_steps(step, origin):
    with pytest.raises(ValueError, match="one number per column"):
        Dequantize(torch.tensor(step), torch.tensor(origin))


# -------------------------------------------------------------------------------- rounding


@pytest.mark.parametrize("kind", ["uniform", "learned"])
@pytest.mark.parametrize("d", [1, 2])
def test_density_integrates_to_one(kind, d):
    flow = Flow([], [make_rounding(kind, d)], Lattice(d))
    assert flow.exact
    t, volume = grid([0.0] * d, [1.0] * d, 2000 if d == 1 else 500)
    place, weight = smooth(t)
    cells = torch.cartesian_prod(*[torch.arange(k, dtype=torch.float64) for k in COUNT[:d]])
    total = 0.0
    for cell in cells.reshape(-1, d):
        points = ORIGIN[:d] + STEP[:d] * (cell + place - 0.5)
        with torch.no_grad():
            total += float((flow.log_prob(points).exp() * weight).sum() * STEP[:d].prod() * volume)
    assert abs(total - 1) < 1e-3


def test_samples_follow_the_density():
    flow = Flow([], [make_rounding("learned", 1)], Lattice(1))
    n = 20_000
    with torch.no_grad():
        samples = flow.sample(n, generator=generator(1))
        low = ORIGIN[:1] - STEP[:1] / 2
        points, volume = grid(low, low + STEP[:1] * COUNT[:1], 40 * 200)
        p = (flow.log_prob(points).exp() * volume).reshape(40, 200).sum(1)
    counts = torch.histc(samples, 40, float(low), float(low + STEP[0] * COUNT[0]))
    assert ((counts - n * p) ** 2 / (n * p)).mean() < 2


@pytest.mark.parametrize("kind", ["uniform", "learned"])
@pytest.mark.parametrize("draw", [None, mean_draw])
def test_a_right_inverse_whatever_is_drawn(kind, draw):
    layer = make_rounding(kind)
    z = levels(1000)
    x = layer.inverse(z, draw=draw)
    torch.testing.assert_close(layer(x)[0], z, atol=0, rtol=1e-14)
    parts = layer.forward_in_parts(x)
    assert not parts[1].any()
    torch.testing.assert_close(parts[2], layer(x)[1])


def test_half_a_step_further_up_it_rounds_down():
    layer = Rounding(torch.ones(1), torch.full((1,), 0.5)).double()
    x = torch.tensor([[-0.25], [0.0], [0.75], [7.5]], dtype=torch.float64)
    z, contribution = layer(x)
    torch.testing.assert_close(z - 0.5, x.floor())
    torch.testing.assert_close(contribution, torch.zeros(4, dtype=torch.float64))


def test_rounded_and_spread_again_a_flow_is_a_density():
    rest = continuous_flow()
    layers = [make_rounding("uniform", 2), make_dequantize("uniform", 2), *rest.learned.steps]
    flow = Flow([], layers, rest.base)
    x = all_levels(12)
    x = x[cell_masses(rest, x) > 1e-5]
    with torch.no_grad():
        draws = flow.log_prob(x.repeat(5000, 1), noise=fresh_noise(generator()))
    density = draws.view(5000, -1).exp().mean(0)
    assert abs((density * STEP[:2].prod()).sum() - 1) < 1e-2


# ------------------------------------------------------------------------------------ both


@pytest.mark.parametrize("make", [make_dequantize, make_rounding])
@pytest.mark.parametrize("kind", ["uniform", "affine"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_rows_stay_finite(make, kind, dtype):
    layer = make(kind).to(dtype)
    extremes = torch.tensor([1e6, -1e6, 1e3, -30.0, 0.0], dtype=dtype)
    x = torch.cartesian_prod(*[extremes] * 4).requires_grad_()
    z, contribution = layer(x, noise=fresh_noise(generator()))
    assert z.dtype == contribution.dtype == layer.inverse(z).dtype == dtype
    assert z.isfinite().all()
    assert contribution.isfinite().all()
    leaves = [x, *layer.parameters()]
    gradients = torch.autograd.grad((z / 1e6).sum() + contribution.sum(), leaves, allow_unused=True)
    assert all(g is None or g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("make", [make_dequantize, make_rounding])
def test_a_batch_of_one(make):
    layer, x = make("affine"), levels(5)
    z, contribution = layer(x, noise=shared_noise(generator()))
    z1, contribution1 = layer(x[2:3], noise=shared_noise(generator()))
    torch.testing.assert_close(z1, z[2:3])
    torch.testing.assert_close(contribution1, contribution[2:3])
    weight = torch.ones(1, dtype=torch.float64)
    assert layer.initialize(x[:1], weight).isfinite().all()


@pytest.mark.parametrize("make", [make_dequantize, make_rounding])
def test_on_another_device(make):
    layer = make("affine").to("meta")
    x = torch.ones(3, 4, dtype=torch.float64, device="meta")
    z, contribution = layer(x)
    assert z.device.type == contribution.device.type == layer.inverse(z).device.type == "meta"
