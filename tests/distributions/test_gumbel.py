"""Gumbel columns: mass one, samples as the density says, and a softmax as their argmax."""

import numpy as np
import pytest
import torch

from skflow.distributions import Gumbel
from tests.contract.integration import (
    cell_probabilities,
    central_edges,
    chi_square_per_cell,
    grid,
    histogram,
)
from tests.contract.table import generator

LOC = torch.tensor([0.3, -1.0], dtype=torch.float64)


def test_density_is_scipys():
    scipy_stats = pytest.importorskip("scipy.stats")
    x = torch.linspace(-3, 9, 50, dtype=torch.float64)[:, None].expand(-1, 2)
    expected = scipy_stats.gumbel_r.logpdf(x.numpy(), loc=LOC.numpy()).sum(1)
    np.testing.assert_allclose(Gumbel(LOC).log_prob(x).detach(), expected, atol=1e-12)


def test_mass_is_one():
    points, volume = grid([-6.0, -6.0], [25.0, 25.0], 800)
    with torch.no_grad():
        assert abs(float(Gumbel(LOC).log_prob(points).exp().sum() * volume) - 1) < 1e-6


def test_samples_follow_the_density():
    gumbel = Gumbel(LOC)
    with torch.no_grad():
        samples = gumbel.sample(20_000, generator=generator())
    edges = central_edges(samples)
    expected = cell_probabilities(gumbel.log_prob, edges, 20)
    assert chi_square_per_cell(histogram(samples, edges), expected, len(samples)) < 1.5


def test_the_largest_column_is_a_softmax():
    loc = torch.tensor([0.3, -1.0, 0.7], dtype=torch.float64)
    with torch.no_grad():
        largest = Gumbel(loc).sample(40_000, generator=generator(1)).argmax(1)
    share = largest.bincount(minlength=3) / len(largest)
    torch.testing.assert_close(share.double(), loc.softmax(0), atol=1e-2, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_rows_stay_finite_and_pull_the_location(dtype):
    gumbel = Gumbel(LOC).to(dtype)
    extremes = torch.tensor([-1e20, -1e6, -30.0, 30.0, 1e6, 1e20], dtype=dtype)
    x = torch.stack([extremes, extremes], 1).requires_grad_()
    log_p = gumbel.log_prob(x)
    assert log_p.dtype == gumbel.sample(2).dtype == dtype
    assert log_p.isfinite().all()
    (gradient,) = torch.autograd.grad(log_p.sum(), x)
    assert gradient.isfinite().all()
    assert torch.equal(gradient.sign(), -x.sign())


def test_batch_of_one_and_another_device():
    gumbel = Gumbel(LOC)
    assert gumbel.log_prob(gumbel.sample(1)).shape == (1,)
    assert gumbel.to("meta").sample(3).device.type == "meta"
