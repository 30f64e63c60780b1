"""The toys: densities of mass one that their draws follow, and entropies."""

import numpy as np
import pytest
import torch

from skflow.datasets import TOYS, make_toy, toy_entropy, toy_log_density
from tests.contract.integration import cell_probabilities, chi_square_per_cell, grid, histogram

every_toy = pytest.mark.parametrize("name", TOYS)
# Nats: in closed form, or to the error of a Monte Carlo estimate.
ENTROPIES = {
    "checkerboard": (5 * np.log(2), 1e-12),
    "corners": (np.log(24) - np.log(2) / 3, 1e-12),
    "eight_gaussians": (2.831, 4e-3),
    "four_circles": (2.870, 4e-3),
}


@every_toy
def test_density_has_mass_one_and_draws_follow_it(name):
    points, volume = grid([-6.0] * 2, [6.0] * 2, 600)
    assert abs(np.exp(toy_log_density(name, points.numpy())).sum() * volume - 1) < 1e-3
    n = 30_000
    X = torch.from_numpy(make_toy(name, n, random_state=0))
    edges = [torch.linspace(-4.5, 4.5, 19, dtype=torch.float64)] * 2
    p = cell_probabilities(lambda x: torch.from_numpy(toy_log_density(name, x.numpy())), edges, 20)
    assert chi_square_per_cell(histogram(X, edges), p, n) < 1.5


@every_toy
def test_entropy(name):
    expected, tolerance = ENTROPIES[name]
    assert abs(toy_entropy(name) - expected) < tolerance
    X = make_toy(name, 50_000, random_state=1)
    assert abs(-toy_log_density(name, X).mean() - expected) < 0.02


@every_toy
def test_draws_are_reproducible(name):
    X = make_toy(name, 100, random_state=3)
    assert X.shape == (100, 2)
    np.testing.assert_array_equal(X, make_toy(name, 100, random_state=3))
    assert np.abs(X - make_toy(name, 100, random_state=4)).max() > 0.1
    np.testing.assert_array_equal(X, make_toy(name, 100, random_state=np.random.RandomState(3)))


@every_toy
def test_symmetry(name):
    X = make_toy(name, 1000, random_state=0)
    log_p, turned = (toy_log_density(name, X * np.array(signs)) for signs in ([1, 1], [-1, 1]))
    if name == "checkerboard":
        assert (turned == -np.inf).all()
    else:
        np.testing.assert_allclose(log_p, turned)


@pytest.mark.parametrize("call", [make_toy, lambda name: toy_log_density(name, np.zeros((1, 2)))])
def test_unknown_names(call):
    with pytest.raises(ValueError, match="name must be one of"):
        call("three_moons")
