"""Normal scores of single columns: monotone, invertible, with tails, bounds and forbidden cells."""

import math

import pytest
import torch

from skflow.transforms.tables.column_scores import FAR, CircularScores, EdgeScores, SmoothScores
from tests.contract.table import generator

LIKE = {"dtype": torch.float64}
INF = math.inf


def values(bounds=(-INF, INF), n=500, seed=0):
    x = torch.randn(n, generator=generator(seed), **LIKE)
    x = x + 0.5 * x.exp()
    low, high = bounds
    if math.isfinite(low) and math.isfinite(high):
        return low + (high - low) * torch.sigmoid(x)
    if math.isfinite(low):
        return low + x.exp()
    return high - x.exp() if math.isfinite(high) else x


BOUNDS = [(-INF, INF), (0.5, INF), (-INF, -2.0), (-1.0, 4.0)]


def smooth(n_knots, bounds):
    scores = SmoothScores(n_knots, bounds).double()
    scores.initialize(values(bounds))
    return scores


def line(bounds, n=4001):
    low, high = max(bounds[0], -200.0), min(bounds[1], 200.0)
    # Not on the bounds, and not nearer than single values can be told apart.
    t = torch.linspace(1e-6, 1 - 1e-6, n, **LIKE)
    return low + (high - low) * t


@pytest.mark.parametrize("n_knots", [0, 5, 16])
@pytest.mark.parametrize("bounds", BOUNDS)
def test_smooth_scores_rise_and_know_their_derivative(n_knots, bounds):
    scores, x = smooth(n_knots, bounds), line(bounds).requires_grad_()
    u, volume = scores(x)
    assert (u.diff() > 0).all()
    (slope,) = torch.autograd.grad(u.sum(), x)
    torch.testing.assert_close(volume, slope.log(), atol=1e-8, rtol=0)


@pytest.mark.parametrize("n_knots", [0, 5, 16])
@pytest.mark.parametrize("bounds", BOUNDS)
def test_smooth_scores_come_back(n_knots, bounds):
    scores = smooth(n_knots, bounds)
    for x in (values(bounds), line(bounds)):
        u = scores(x)[0]
        torch.testing.assert_close(scores.inverse(u), x, atol=1e-7, rtol=1e-7)
        torch.testing.assert_close(scores(scores.inverse(u))[0], u, atol=1e-6, rtol=1e-6)
    far = scores.inverse(torch.tensor([-60.0, 60.0], **LIKE))
    assert far.isfinite().all()
    assert (far >= bounds[0]).all()
    assert (far <= bounds[1]).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_knots", [0, 8])
def test_tails_grow_as_a_logarithm(n_knots, dtype):
    scores = smooth(n_knots, (-INF, INF)).to(dtype)
    x = torch.tensor([-1e12, -1e6, -1e3, 1e3, 1e6, 1e12], dtype=dtype).requires_grad_()
    u, volume = scores(x)
    assert volume.isfinite().all()
    assert torch.autograd.grad(u.sum() + volume.sum(), x)[0].isfinite().all()
    assert (u.diff() > 0).all()
    assert u.abs().max() < 40
    assert abs(float((u[5] - u[4]).detach()) - math.log(1e6)) < 0.1


@pytest.mark.parametrize("bounds", BOUNDS[1:])
def test_there_is_nothing_outside_the_bounds(bounds):
    scores = smooth(6, bounds)
    for bound, out in ((bounds[0], -0.1), (bounds[1], 0.1)):
        if math.isfinite(bound):
            assert scores(torch.tensor([bound + out], **LIKE))[1] == -INF
            assert scores(torch.tensor([bound], **LIKE))[1].isfinite()


@pytest.mark.parametrize("n_knots", [0, 6])
def test_a_constant_and_two_values_have_finite_scores(n_knots):
    for x in (torch.full((20,), 3.0, **LIKE), torch.tensor([1.0, 1.0, 2.0], **LIKE)):
        scores = SmoothScores(n_knots).double()
        scores.initialize(x)
        u, volume = scores(torch.tensor([-5.0, 1.0, 1.5, 3.0, 70.0], **LIKE))
        assert u.isfinite().all()
        assert volume.isfinite().all()
        assert (u.diff() >= 0).all()


# ------------------------------------------------------------------------- edges

LATTICE = torch.arange(-4, 7, **LIKE) + 0.5


def edged(low=True, high=True, forbidden=None, prior=None, weight=None, x=None):
    scores = EdgeScores(len(LATTICE), open_low=low, open_high=high).double()
    if x is None:
        x = torch.randint(-3, 7, (300,), generator=generator()).double()
    none = torch.zeros(len(LATTICE) - 1, dtype=torch.bool)
    scores.initialize(x, LATTICE, none if forbidden is None else forbidden, weight, prior)
    return scores


def mass(scores, low=-1_000_000, high=1_000_000):
    """Mass of every cell around the whole numbers of a standard normal score, and below, above."""
    inner = torch.arange(-60, 61, **LIKE)
    edges = torch.cat([torch.tensor([low], **LIKE), inner + 0.5, torch.tensor([high], **LIKE)])
    return torch.special.ndtr(scores(edges)).diff()


@pytest.mark.parametrize("low", [True, False])
@pytest.mark.parametrize("high", [True, False])
def test_edge_scores_rise_and_hold_all_mass(low, high):
    scores = edged(low, high)
    x = torch.linspace(-300, 300, 6001, **LIKE)
    u = scores(x)
    assert (u.diff() >= 0).all()
    inside = (x > LATTICE[0]) & (x < LATTICE[-1])
    assert (u[inside].diff() > 0).all()
    total = mass(scores).sum()
    assert abs(total - 1) < 1e-3  # the farthest score is some fourteen above the last one
    assert (scores(x[:1] * 1e6) == -FAR) == (not low)
    assert (scores(x[-1:] * 1e6) == FAR) == (not high)


def test_edge_scores_count_cells():
    x = torch.cat([torch.full((30,), 1.0), torch.full((70,), 4.0)]).double()
    scores = edged(x=x)
    cell = torch.tensor([1.0, 4.0, 0.0], **LIKE)
    p = torch.special.ndtr(scores(cell + 0.5)) - torch.special.ndtr(scores(cell - 0.5))
    n = 100 + 0.5 * 12
    torch.testing.assert_close(p, torch.tensor([30.5, 70.5, 0.5], **LIKE) / n)
    ends = torch.special.ndtr(scores(LATTICE[[0, -1]]))
    torch.testing.assert_close(ends, torch.tensor([0.5 / n, 1 - 0.5 / n], **LIKE))
    twice = edged(x=x, weight=torch.full((100,), 2.0, **LIKE))
    torch.testing.assert_close(twice.cumulated, edged(x=torch.cat([x, x])).cumulated)


def test_edge_scores_follow_a_prior():
    prior = torch.arange(1, len(LATTICE) + 2, **LIKE)
    scores = edged(prior=prior, x=torch.full((10,), 0.0, **LIKE))
    counts = prior.clone()
    counts[4] += 10  # of the cell around 0
    expected = counts.cumsum(0)[:-1] / counts.sum()
    torch.testing.assert_close(torch.special.ndtr(scores(LATTICE)), expected)


def test_forbidden_cells_have_no_mass():
    forbidden = torch.zeros(len(LATTICE) - 1, dtype=torch.bool)
    forbidden[[0, 4, 9]] = True
    scores = edged(forbidden=forbidden, x=torch.tensor([-2.0, -1.0, 2.0, 2.0, 4.0], **LIKE))
    p = torch.special.ndtr(scores(LATTICE)).diff()
    assert (p[forbidden] == 0).all()
    assert (p[~forbidden] > 0).all()
    u = torch.linspace(-3, 3, 4001, **LIKE)
    back = (scores.inverse(u) + 3.0).round().long()
    inside = (back >= 0) & (back < len(forbidden))
    assert inside.float().mean() > 0.5
    # The edge itself belongs to either side.
    on_edge = ((scores.inverse(u) - 0.5).remainder(1.0) - 0.5).abs() > 0.5 - 1e-9
    assert not forbidden[back[inside & ~on_edge]].any()


@pytest.mark.parametrize("low", [True, False])
@pytest.mark.parametrize("high", [True, False])
def test_edge_scores_come_back(low, high):
    scores = edged(low, high)
    first, last = (-50.0 if low else -3.4), (50.0 if high else 6.4)
    x = torch.linspace(first, last, 997, **LIKE)
    torch.testing.assert_close(scores.inverse(scores(x)), x, atol=1e-8, rtol=1e-8)
    far = scores.inverse(torch.tensor([-50.0, -9.0, 9.0, 50.0], **LIKE))
    assert far.isfinite().all()
    assert (far.diff() >= 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_edge_scores_far_out(dtype):
    u = edged().to(dtype)(torch.tensor([-1e12, -1e6, 1e6, 1e12], dtype=dtype))
    assert u.isfinite().all()
    assert (u.diff() > 0).all()
    assert u.abs().max() < 40


def test_edge_scores_without_a_value():
    scores = edged(x=torch.zeros(0, **LIKE))
    assert abs(mass(scores).sum() - 1) < 1e-3
    torch.testing.assert_close(scores.cumulated.diff(), torch.full((10,), 1 / 12, **LIKE))


# ------------------------------------------------------------------------- circles


def circle(period=5.0, start=-1.3, n=300):
    cuts = torch.rand(9, generator=generator(2), **LIKE).sort().values * period
    edges = start + torch.cat([torch.zeros(1, **LIKE), cuts, torch.tensor([period], **LIKE)])
    scores = CircularScores(len(edges), period).double()
    x = torch.randn(n, generator=generator(), **LIKE)
    scores.initialize(x + 3 * period, edges)
    return scores


def test_angles_go_round_once_and_know_their_derivative():
    scores = circle()
    x = (-1.3 + torch.linspace(0, 5, 2000, **LIKE)[1:-1]).requires_grad_()
    u, volume = scores(x)
    assert (u.diff() > 0).all()
    assert (u >= 0).all()
    assert (u <= 2 * math.pi).all()
    (slope,) = torch.autograd.grad(u.sum(), x)
    torch.testing.assert_close(volume, slope.log(), atol=1e-10, rtol=0)
    width = 5 / 200_000
    middle = -1.3 + width * (torch.arange(200_000, **LIKE) + 0.5)
    assert abs(scores(middle)[1].exp().sum() * width - 2 * math.pi) < 1e-3


def test_turns_do_not_matter_and_angles_come_back():
    scores = circle()
    x = -1.3 + 5 * torch.rand(500, generator=generator(4), **LIKE)
    u, volume = scores(x)
    for turns in (-7, 1, 1000):
        other = scores(x + 5 * turns)
        torch.testing.assert_close(other[0], u, atol=1e-8, rtol=0)
        torch.testing.assert_close(other[1], volume, atol=1e-8, rtol=0)
        torch.testing.assert_close(scores.inverse(u + 2 * math.pi * turns), x, atol=1e-8, rtol=0)
    assert scores(torch.tensor([1e9, -1e9], **LIKE))[0].isfinite().all()
