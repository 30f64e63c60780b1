"""A random order of the points of a set."""

import math
from itertools import permutations

import torch

from skflow.distributions import StandardNormal
from skflow.flow import Flow
from skflow.transforms import LULinear, StochasticPermutation
from skflow.transforms.noise import fresh_noise, mean_draw, no_noise, shared_noise
from tests.contract.table import generator, randomise


def rows(n=10, n_points=3, dim=2, dtype=torch.float64):
    return torch.randn(n, n_points * dim, generator=generator(), dtype=dtype)


def as_sets(x, dim=2):
    """Rows with their points in one order: two rows are the same set if these are equal."""
    points = x.unflatten(1, (-1, dim))
    return points.gather(1, points[..., :1].argsort(1).expand_as(points))


def test_points_keep_their_coordinates_and_nothing_is_added():
    layer, x = StochasticPermutation(3, 2), rows()
    z, contribution = layer(x, noise=fresh_noise(generator()))
    assert not layer.exact
    assert not contribution.any()
    assert not torch.equal(z, x)
    assert torch.equal(as_sets(z), as_sets(x))
    assert torch.equal(as_sets(layer.inverse(z)), as_sets(x))


def test_the_mean_path_keeps_the_order():
    layer, x = StochasticPermutation(3, 2), rows()
    assert torch.equal(layer(x, noise=no_noise)[0], x)
    assert torch.equal(layer.inverse(x, draw=mean_draw), x)


def test_all_orders_are_equally_likely_both_ways():
    layer = StochasticPermutation(3, 1)
    x = torch.tensor([[0.0, 1.0, 2.0]]).expand(12_000, -1)
    orders = torch.tensor(list(permutations(range(3))), dtype=x.dtype)
    for drawn in (layer(x, noise=fresh_noise(generator()))[0], layer.inverse(x)):
        counts = (drawn[:, None] == orders).all(2).sum(0)
        assert ((counts - 2000) ** 2 / 2000).sum() < 25


def test_bounds_rise_to_the_average_over_all_orders():
    rest = randomise(LULinear(3).double(), 1, 0.5)
    base = StandardNormal(3).double()
    flow = Flow([], [StochasticPermutation(3, 1), rest], base)
    x = rows(6, 3, 1)
    each = [Flow([], [rest], base).log_prob(x[:, order]) for order in permutations(range(3))]
    exact = torch.stack(each).logsumexp(0) - math.log(6)
    elbo = torch.stack(each).mean(0)
    draws = flow.log_prob(x.repeat(5000, 1), noise=fresh_noise(generator())).view(5000, -1)
    many = draws.logsumexp(0) - math.log(5000)
    assert (elbo < exact - 1e-3).all()
    torch.testing.assert_close(many, exact, atol=0.1, rtol=0)


def test_shared_noise_gives_all_rows_one_order():
    layer, x = StochasticPermutation(3, 2), rows()
    z, _ = layer(x, noise=shared_noise(generator(2)))
    z1, _ = layer(x[4:5], noise=shared_noise(generator(2)))
    assert torch.equal(z1, z[4:5])


def test_extremes_dtype_and_device_pass():
    layer = StochasticPermutation(2, 1)
    x = torch.tensor([[1e6, -1e6], [0.0, 0.0]], dtype=torch.float32)
    z, contribution = layer(x)
    assert z.dtype == contribution.dtype == layer.inverse(z).dtype == torch.float32
    assert torch.equal(as_sets(z, 1), as_sets(x, 1))
    on_meta = layer(x.to("meta"))
    assert on_meta[0].device.type == on_meta[1].device.type == "meta"
    assert layer.inverse(x.to("meta")).device.type == "meta"
