"""Intervals of a column: mass one, latent rows that come back, and intervals drawn by the rest."""

import math

import pytest
import torch

from skflow.distributions import StandardNormal
from skflow.flow import Flow
from skflow.transforms import Abs, Partition
from skflow.transforms.noise import fresh_draw, mean_draw
from tests.contract.integration import chi_square_per_cell, grid, histogram
from tests.contract.table import generator, randomise

CUTS = {"sign": [0.0], "two": [-0.5, 0.7], "four": [-2.0, -0.1, 0.3, 1.5]}
every_cut = pytest.mark.parametrize("cuts", CUTS)


def rows(n, d, seed=0):
    return torch.randn(n, d, generator=generator(seed), dtype=torch.float64)


def make(cuts, d=2, column=0, n_context=0, scale=0.4):
    made = Partition(
        d, CUTS[cuts], column, (8,), n_context=n_context, generator=generator()
    ).double()
    made.initialize(rows(200, d, 7), context=rows(200, n_context, 8) if n_context else None)
    return randomise(made, scale=scale).eval()


@every_cut
@pytest.mark.parametrize("column", [0, 1])
def test_density_integrates_to_one_and_samples_follow_it(cuts, column):
    flow = Flow([], [make(cuts, column=column)], StandardNormal(2).double())
    assert flow.exact
    # Steep at the cuts: many points along the column, few along the smooth other one.
    lows, highs = [-8.0, -8.0], [8.0, 8.0]
    long, _ = grid(lows[:1], highs[:1], 8000)
    short, _ = grid(lows[:1], highs[:1], 80)
    points = torch.cartesian_prod(long[:, 0], short[:, 0])
    points = points if column == 0 else points.flip(1)
    with torch.no_grad():
        total = sum(flow.log_prob(part).exp().sum() for part in points.split(200_000))
        samples = flow.sample(20_000, generator=generator(1))
        edges = [torch.linspace(-2, 2, 9, dtype=torch.float64)] * 2
        inner, volume = grid([-2.0] * 2, [2.0] * 2, 400)
        p = (flow.log_prob(inner).exp() * volume).view(8, 50, 8, 50).sum((1, 3)).numpy()
    assert abs(total * 16 / 8000 * 16 / 80 - 1) < 1e-3
    assert chi_square_per_cell(histogram(samples, edges), p, 20_000) < 2


@every_cut
@pytest.mark.parametrize("draw", [fresh_draw(generator(2)), mean_draw])
def test_latent_rows_come_back_whatever_was_drawn(cuts, draw):
    layer, z = make(cuts, 3, 1), 2 * rows(1000, 3, 1)
    torch.testing.assert_close(layer(layer.inverse(z, draw=draw))[0], z, atol=1e-8, rtol=1e-8)


@every_cut
def test_contribution_is_the_volume_and_the_probability_of_the_interval(cuts):
    layer, x = make(cuts, 3, 1), rows(8, 3)
    _, contribution = layer(x)
    _, volume, log_interval = layer.forward_in_parts(x)
    torch.testing.assert_close(volume + log_interval, contribution)
    for row, log_det in zip(x, volume, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda r: layer(r[None])[0][0], row)
        assert abs(torch.linalg.slogdet(jacobian)[1] - log_det) < 1e-8


def test_at_zero_intervals_are_equally_likely():
    layer = Partition(2, CUTS["four"]).double()
    log_interval = layer.forward_in_parts(rows(20, 2))[2]
    torch.testing.assert_close(log_interval, torch.full_like(log_interval, -math.log(5)))


def test_a_cut_belongs_to_the_interval_above_it():
    layer = make("two", 1)
    x = torch.tensor([[-0.5], [0.7], [-0.50001], [0.69999]], dtype=torch.float64)
    assert layer.interval(x).tolist() == [1, 2, 0, 1]


@every_cut
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_latent_rows_stay_in_the_interval_that_was_drawn(cuts, dtype):
    layer = make(cuts, 1).to(dtype)
    z = torch.tensor([-1e3, -40.0, -17.0, 17.0, 40.0, 1e3], dtype=dtype)[:, None]
    for number in range(len(CUTS[cuts]) + 1):
        code = torch.full_like(z, number)
        x = layer.inverse(z, draw=lambda decoder, context, code=code: code)
        assert torch.equal(layer.interval(x), code[:, 0].long())


def test_a_cut_at_zero_is_the_absolute_value_but_for_the_side():
    x = rows(50, 2)
    partition, folded = Partition(2, [0.0]).double(), Abs(2, [0]).double()
    z, contribution = partition(x)
    z_abs, contribution_abs = folded(x)
    torch.testing.assert_close(contribution, contribution_abs)
    side = torch.where(x[:, :1] < 0, -1.0, 1.0)
    torch.testing.assert_close(z * torch.cat([side, torch.ones_like(side)], 1), z_abs)


def test_half_lines_are_opened_in_units_of_their_own_rows():
    x = torch.tensor([[-10.0], [-30.0], [-20.0], [3.0], [4.0]], dtype=torch.float64)
    layer = Partition(1, [0.0, 5.0]).double()
    layer.initialize(x)
    assert layer.lines.scale.tolist() == [20, 1, 1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every_cut
def test_far_rows_stay_finite(cuts, dtype):
    layer = make(cuts).to(dtype)
    extremes = torch.tensor([1e6, -1e6, 1e3, 1.0, 0.0, -1.0, *CUTS[cuts]], dtype=dtype)
    just_below = torch.nextafter(extremes, extremes.new_full((), -math.inf))
    values = torch.cat([extremes, just_below])
    x = torch.cartesian_prod(values, values).requires_grad_()
    z, contribution = layer(x)
    assert z.dtype == contribution.dtype == layer.inverse(z).dtype == dtype
    assert z.isfinite().all()
    assert contribution.isfinite().all()
    total = (z / 1e6).sum() + contribution.sum()
    gradients = torch.autograd.grad(total, [x, *layer.parameters()])
    assert all(g.isfinite().all() for g in gradients)


def test_a_batch_of_one():
    layer, x = make("four"), rows(5, 2)
    z, contribution = layer(x)
    z1, contribution1 = layer(x[2:3])
    torch.testing.assert_close(z1, z[2:3])
    torch.testing.assert_close(contribution1, contribution[2:3])
    assert layer.initialize(x[:1], torch.ones(1, dtype=torch.float64)).isfinite().all()


def test_the_context_has_an_effect():
    layer, x = make("two", n_context=2, scale=1.0), rows(500, 2)
    a, b = (x.new_full((500, 2), value) for value in (-1.0, 1.0))
    assert (layer(x, a)[1] - layer(x, b)[1]).abs().max() > 1e-3
    drawn = [layer.interval(layer.inverse(x, c, fresh_draw(generator()))) for c in (a, b)]
    assert (drawn[0] != drawn[1]).double().mean() > 0.05


def test_on_another_device():
    layer = make("four").to("meta")
    x = torch.ones(3, 2, dtype=torch.float64, device="meta")
    z, contribution = layer(x)
    assert z.device.type == contribution.device.type == layer.inverse(z).device.type == "meta"


@pytest.mark.parametrize("cuts", [[], [1.0, 1.0], [1.0, 0.0], [math.inf], [math.nan]])
def test_cuts_must_ascend(cuts):
    with pytest.raises(ValueError, match="ascending order"):
        Partition(2, cuts)


def test_the_column_must_exist():
    with pytest.raises(ValueError, match="different columns of 2"):
        Partition(2, [0.0], column=2)
