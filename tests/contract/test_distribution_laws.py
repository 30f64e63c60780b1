"""The laws of a distribution, over every line of the table."""

import numpy as np
import pytest
import torch
from scipy import stats

from skflow.distributions import GaussianMixture, StudentT
from tests.contract.integration import (
    cell_probabilities,
    central_edges,
    chi_square_per_cell,
    grid,
    histogram,
)
from tests.contract.table import DISTRIBUTIONS, generator, randomise

NAMES = sorted(DISTRIBUTIONS)
CONTEXT = torch.tensor([[0.7, -1.2]], dtype=torch.float64)


def make(name, d):
    # Steeper splines have features between the points of the grid.
    scale = 0.2 if name == "conditional_spline" else 0.4
    return randomise(DISTRIBUTIONS[name](d, 2).double(), scale=scale)


def density(distribution, name):
    """Log-density with the one context spread over all rows."""
    if not name.startswith("conditional"):
        return distribution.log_prob
    return lambda x: distribution.log_prob(x, CONTEXT.expand(len(x), -1))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("d", [1, 2])
def test_density_integrates_to_one(name, d):
    distribution = make(name, d)
    reach = 2_000.0 if name == "student_t" and d == 1 else 60.0
    rows, volume = grid([-reach] * d, [reach] * d, 200_000 if d == 1 else 1_500)
    with torch.no_grad():
        total = density(distribution, name)(rows).exp().sum() * volume
    assert abs(total - 1) < 1e-3


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("d", [1, 2])
def test_samples_follow_the_density(name, d):
    distribution = make(name, d)
    n = 20_000
    context = CONTEXT.expand(n, -1) if name.startswith("conditional") else None
    with torch.no_grad():
        samples = distribution.sample(n, context, generator(1))
    edges = central_edges(samples)
    probabilities = cell_probabilities(density(distribution, name), edges, 4_000 if d == 1 else 100)
    assert chi_square_per_cell(histogram(samples, edges), probabilities, n) < 2.5


@pytest.mark.parametrize("name", NAMES)
def test_float64_determinism_and_extremes(name):
    distribution = make(name, 3)
    context = CONTEXT.expand(4, -1)
    first = distribution.sample(4, context, generator(5))
    again = distribution.sample(4, context, generator(5))
    assert first.dtype == torch.float64
    assert first.shape == (4, 3)
    assert torch.equal(first, again)
    x = torch.full((4, 3), 1e6, dtype=torch.float64, requires_grad=True)
    log_prob = distribution.log_prob(x, context)
    assert log_prob.shape == (4,)
    assert log_prob.isfinite().all()
    gradients = torch.autograd.grad(
        log_prob.sum(), [x, *distribution.parameters()], allow_unused=True
    )
    assert all(g is None or g.isfinite().all() for g in gradients)


def test_student_t_is_scipys():
    distribution = StudentT(2, degrees=3.5).double()
    x = np.random.default_rng(0).normal(size=(20, 2)) * 10
    expected = stats.t(3.5).logpdf(x).sum(1)
    np.testing.assert_allclose(distribution.log_prob(torch.tensor(x)).detach(), expected, atol=1e-6)


def test_mixture_takes_over_scikit_learns():
    from sklearn.mixture import GaussianMixture as SklearnMixture

    rng = np.random.default_rng(0)
    X = np.concatenate(
        [rng.normal(size=(100, 3)), 4 + rng.normal(size=(80, 3)) @ rng.normal(size=(3, 3))]
    )
    fitted = SklearnMixture(3, random_state=0).fit(X)
    mixture = GaussianMixture(3, 3).double()
    mixture.copy_fitted(fitted)
    np.testing.assert_allclose(
        mixture.log_prob(torch.tensor(X)).detach(), fitted.score_samples(X), atol=1e-9
    )


def test_mixture_stays_normalised_whatever_training_does_to_its_factors():
    mixture = GaussianMixture(2, 2).double()
    with torch.no_grad():
        mixture.upper.fill_(3.0)  # the lower triangle too: it must not count
    rows, volume = grid([-12, -12], [12, 12], 1_500)
    assert abs(mixture.log_prob(rows).exp().sum() * volume - 1) < 1e-3
