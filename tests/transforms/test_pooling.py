"""Max-pooling: a density, its samples, and the maxima that both directions agree on."""

import math

import pytest
import torch

from skflow.distributions import StandardNormal
from skflow.flow import Flow
from skflow.transforms.noise import fresh_draw, mean_draw
from skflow.transforms.pooling import MaxPool
from tests.contract.integration import (
    cell_probabilities,
    central_edges,
    chi_square_per_cell,
    grid,
    histogram,
)
from tests.contract.table import generator, randomise


def rows(n, d, seed=0):
    return torch.randn(n, d, generator=generator(seed), dtype=torch.float64)


def make_pool(n_groups, group_size, n_positions=1):
    return randomise(MaxPool(n_groups, group_size, n_positions).double())


def test_density_integrates_to_one_and_samples_follow_it():
    flow = Flow([], [make_pool(1, 2)], StandardNormal(1).double())
    assert flow.exact
    points, volume = grid([-20.0] * 2, [20.0] * 2, 2_000)
    with torch.no_grad():
        total = sum(flow.log_prob(part).exp().sum() for part in points.split(500_000)) * volume
    samples = flow.sample(20_000, generator=generator(1)).detach()
    assert abs(total - 1) < 1e-3
    edges = central_edges(samples)
    # Fine cells: the density jumps across the diagonal.
    probabilities = cell_probabilities(flow.log_prob, edges, 150)
    assert chi_square_per_cell(histogram(samples, edges), probabilities, 20_000) < 2.5


def test_the_contribution_is_that_of_place_and_offsets():
    pool = make_pool(2, 3)
    x = torch.tensor([[1.0, 4.0, 2.0, -1.0, -3.0, -7.0]], dtype=torch.float64)
    z, contribution = pool(x)
    assert z.tolist() == [[4.0, -1.0]]
    scale = pool.decoder.log_scale.detach().exp()
    offsets = torch.tensor([[3.0, 2.0], [2.0, 6.0]], dtype=torch.float64)
    expected = torch.distributions.HalfNormal(scale[:, None]).log_prob(offsets).sum()
    assert abs(contribution.item() - expected + 2 * math.log(3)) < 1e-12


@pytest.mark.parametrize("draw", [fresh_draw(generator(2)), mean_draw])
def test_a_right_inverse_whatever_was_dropped(draw):
    pool = make_pool(6, 4, n_positions=3)
    z = rows(50, 6)
    assert torch.equal(pool(pool.inverse(z, draw=draw))[0], z)


def test_the_mean_puts_the_maximum_first():
    pool = make_pool(1, 4)
    z = rows(3, 1)
    x = pool.inverse(z, draw=mean_draw)
    assert torch.equal(x[:, :1], z)
    offsets = (z - x)[:, 1:]
    samples = pool.inverse(
        torch.zeros(100_000, 1, dtype=torch.float64), draw=fresh_draw(generator())
    )
    mean_offset = -samples.sum(1).mean() / 3
    torch.testing.assert_close(offsets, mean_offset.expand_as(offsets), rtol=0.01, atol=0)


def test_scales_from_the_data_are_the_likeliest():
    pool = MaxPool(6, 4, n_positions=3).double()
    x = rows(400, 24) * torch.tensor([0.2, 5.0], dtype=torch.float64).repeat_interleave(12)
    weight = torch.rand(400, generator=generator(1), dtype=torch.float64)
    z = pool.initialize(x, weight)
    assert torch.equal(z, pool(x)[0])
    loss = (weight * pool(x)[1]).sum()
    (gradient,) = torch.autograd.grad(loss, [pool.decoder.log_scale])
    torch.testing.assert_close(gradient, torch.zeros(2, dtype=torch.float64), atol=1e-9, rtol=0)
    pool.initialize(torch.ones(5, 24, dtype=torch.float64))  # no spread at all
    assert torch.equal(pool.decoder.log_scale, torch.zeros(2, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_rows_stay_finite(dtype):
    pool = make_pool(2, 2).to(dtype)
    extremes = torch.tensor([1e6, -1e6, 0.0], dtype=dtype)
    x = torch.cartesian_prod(*[extremes] * 4).requires_grad_()
    z, contribution = pool(x)
    total = (z / 1e6).sum() + (contribution / 1e12).sum()
    gradients = torch.autograd.grad(total, [x, *pool.parameters()])
    assert all(t.isfinite().all() for t in (z, contribution, *gradients))


def test_one_row_is_as_many():
    pool = make_pool(3, 2)
    x = rows(5, 6)
    z, contribution = pool(x)
    z1, contribution1 = pool(x[2:3])
    assert torch.equal(z1, z[2:3])
    torch.testing.assert_close(contribution1, contribution[2:3], atol=1e-12, rtol=0)


def test_a_group_of_one_is_refused():
    with pytest.raises(ValueError, match="at least two columns"):
        MaxPool(3, 1)
