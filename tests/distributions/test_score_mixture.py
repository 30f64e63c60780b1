"""Mixtures of normals of one variable: masses of cells in the tails, quantiles, circles."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from skflow.distributions.score_mixture import (
    cumulated,
    log_cell,
    log_normal_mass,
    log_point,
    quantile,
    wrapped,
)
from tests.contract.table import generator

LIKE = {"dtype": torch.float64}


def log_mass(low, high):
    """The mass of a cell by integrating the density relative to its largest value."""
    nearest = min(max(low, 0.0), high)
    peak = stats.norm.logpdf(nearest)
    width = high - low
    # Far out the density decays over 1 / |nearest|: integrate where it is.
    reach = 60 / (1 + abs(nearest))
    a, b = max(low, nearest - reach), min(high, nearest + reach)
    value = integrate.quad(lambda t: math.exp(stats.norm.logpdf(t) - peak), a, b, epsabs=0)[0]
    return peak + math.log(value) if width > 0 else -math.inf


@pytest.mark.parametrize("low", [-90.0, -38.5, -12.0, -5.0, -0.7, 0.0, 0.3, 4.0, 9.0, 37.0, 80.0])
@pytest.mark.parametrize("width", [1e-8, 9e-4, 1.1e-3, 0.02, 1.0, 7.0])
def test_mass_of_a_cell(low, width):
    found = log_normal_mass(torch.tensor(low, **LIKE), torch.tensor(low + width, **LIKE))
    width = low + width - low  # as it is in floating point
    # A narrow cell has density times width at its middle: off by (r^2 - 1) w^2 / 24.
    allowed = 1e-7 + (1 + low * low) * width**2 / 12 * (width < 1.01e-3)
    assert abs(float(found) - log_mass(low, low + width)) < allowed


def test_mass_is_symmetric_and_of_cells_side_by_side_adds_up():
    edges = torch.linspace(-30, 30, 241, **LIKE)
    mass = log_normal_mass(edges[:-1], edges[1:])
    torch.testing.assert_close(mass, mass.flip(0), atol=1e-10, rtol=0)
    assert abs(float(mass.exp().sum()) - 1) < 1e-12
    fine = torch.linspace(-8, 8, 40_001, **LIKE)
    assert abs(float(log_normal_mass(fine[:-1], fine[1:]).exp().sum()) - 1) < 1e-7


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_of_masses_are_finite(dtype):
    ends = torch.tensor([-1e6, -1e4, -99.0, -40, -14, -5, -1e-3, 0, 1e-7, 2, 13.5, 90, 1e4, 1e6])
    lower, upper = torch.cartesian_prod(ends.to(dtype), ends.to(dtype)).T
    lower, upper = lower[lower <= upper], upper[lower <= upper]
    lower, upper = lower.requires_grad_(), upper.requires_grad_()
    mass = log_normal_mass(lower, upper)
    assert mass.isfinite().all()
    gradients = torch.autograd.grad(mass.sum(), [lower, upper])
    assert all(g.isfinite().all() for g in gradients)


def test_gradients_of_masses_are_right():
    lower = torch.tensor([-7.0, -2.0, -1.0, 0.5, 3.0, 0.2, -0.3], **LIKE).requires_grad_()
    width = torch.tensor([1.0, 0.5, 3.0, 0.01, 2.0, 5e-4, 2e-4], **LIKE)
    assert torch.autograd.gradcheck(lambda t: log_normal_mass(t, t + width), lower, atol=1e-5)


def components(n=200, m=4, seed=0):
    draw = [torch.randn(n, m, generator=generator(seed + i), **LIKE) for i in range(3)]
    return draw[0].log_softmax(1), 2 * draw[1], (0.7 * draw[2]).exp()


def test_points_and_cells_are_those_of_the_mixture():
    parts = components()
    x = torch.randn(200, generator=generator(9), **LIKE)
    weight, mean, deviation = parts[0].exp().numpy(), parts[1].numpy(), parts[2].numpy()
    density = (weight * stats.norm.pdf(x.numpy()[:, None], mean, deviation)).sum(1)
    np.testing.assert_allclose(log_point(x, *parts), np.log(density), rtol=1e-10)
    below = (weight * stats.norm.cdf(x.numpy()[:, None], mean, deviation)).sum(1)
    np.testing.assert_allclose(cumulated(x, *parts), below, rtol=1e-10)
    above = (weight * stats.norm.cdf(x.numpy()[:, None] + 0.4, mean, deviation)).sum(1)
    mass = log_cell(torch.stack([x, x + 0.4], 1), *parts)
    np.testing.assert_allclose(mass.exp(), above - below, rtol=1e-6)


def test_quantiles_undo_levels():
    parts = components()
    level = torch.rand(200, generator=generator(4), **LIKE)
    level[:4] = torch.tensor([1e-12, 1e-6, 1 - 1e-6, 1 - 1e-12])
    x = quantile(level, *parts)
    torch.testing.assert_close(cumulated(x, *parts), level, atol=1e-12, rtol=1e-6)
    assert quantile(torch.tensor([0.0, 1.0], **LIKE), *(p[:2] for p in parts)).isfinite().all()


def test_masses_around_a_circle_add_up_to_one():
    n = 50
    log_weight, mean, deviation = components(n)
    mean = mean.remainder(2 * math.pi)
    parts = wrapped(log_weight, mean, deviation.clamp(1e-3, 2.0))
    assert parts[0].shape == (n, 20)
    start = 2 * math.pi * torch.rand(n, 1, generator=generator(), **LIKE)
    # Cells as encoded: from within one turn, sticking out at either end.
    edges = torch.linspace(0, 2 * math.pi, 13, **LIKE).expand(n, -1)
    mass = sum(log_cell(edges[:, i : i + 2], *parts).exp() for i in range(12))
    torch.testing.assert_close(mass, torch.ones(n, **LIKE), atol=1e-8, rtol=0)
    whole = torch.cat([start - math.pi, start + math.pi], 1)
    torch.testing.assert_close(
        log_cell(whole, *parts).exp(), torch.ones(n, **LIKE), atol=1e-4, rtol=0
    )


def test_the_density_of_a_circle_is_periodic():
    zero, turn = torch.zeros(1, **LIKE), torch.full((1,), 2 * math.pi, **LIKE)
    log_weight, mean, deviation = (p[:1] for p in components())
    parts = wrapped(log_weight, mean.remainder(2 * math.pi), deviation.clamp_max(1.0))
    torch.testing.assert_close(log_point(zero, *parts), log_point(turn, *parts), atol=1e-6, rtol=0)
