"""Sums over signs and orders: mass one on the image, golden values, and a limit on their size."""

import math

import pytest
import torch

from skflow.distributions import FibreSum, LocationScale, StandardNormal
from skflow.flow import Flow
from skflow.transforms import GenerativeAbs, LULinear, Standardize
from tests.contract.integration import (
    cell_probabilities,
    central_edges,
    chi_square_per_cell,
    grid,
    histogram,
)
from tests.contract.table import generator, randomise

FORGETS = ["signs", "order"]


def inner(d=2, n_context=0):
    if n_context:
        made = LocationScale(StandardNormal(d), n_context, (8,), generator=generator())
        return randomise(made.double(), 4, 0.5)
    shift = Standardize(d).double()
    shift.mean.copy_(torch.linspace(-0.5, 0.8, d))
    return Flow([], [shift, randomise(LULinear(d).double(), 4, 0.3)], StandardNormal(d).double())


@pytest.mark.parametrize("forgets", FORGETS)
def test_mass_one_on_the_image_and_samples_follow(forgets):
    made = FibreSum(inner(), 2, forgets)
    # The image's border runs along the grid or through the corners of its cells.
    points, volume = grid([-8.0] * 2, [8.0] * 2, 500)
    with torch.no_grad():
        p = made.log_prob(points).exp()
        samples = made.sample(20_000, generator=generator(1))
    on_diagonal = (points[:, 0] == points[:, 1]) & (forgets == "order")
    assert abs((p * torch.where(on_diagonal, 0.5, 1.0)).sum() * volume - 1) < 1e-3
    assert (made.log_prob(samples) > -math.inf).all()
    edges = central_edges(samples)
    if forgets == "signs":
        probabilities = cell_probabilities(made.log_prob, edges, 20)
        assert chi_square_per_cell(histogram(samples, edges), probabilities, 20_000) < 2


def test_one_column_of_three():
    made, whole = FibreSum(inner(3), 3, "signs", [1]), inner(3)
    x = torch.randn(10, 3, generator=generator(), dtype=torch.float64)
    x[:, 1] = x[:, 1].abs()
    reflected = x * torch.tensor([1.0, -1.0, 1.0])
    expected = torch.logaddexp(whole.log_prob(x), whole.log_prob(reflected))
    torch.testing.assert_close(made.log_prob(x), expected)
    assert (made.log_prob(reflected) == -math.inf).all()


def test_sorted_columns_leave_the_others_where_they_are():
    made, whole = FibreSum(inner(3), 3, "order", [0, 2]), inner(3)
    x = torch.randn(10, 3, generator=generator(), dtype=torch.float64)
    x[:, [0, 2]] = x[:, [0, 2]].sort(1).values
    expected = torch.logaddexp(whole.log_prob(x), whole.log_prob(x[:, [2, 1, 0]]))
    torch.testing.assert_close(made.log_prob(x), expected)
    assert (made.log_prob(x[:, [2, 1, 0]]) == -math.inf).all()


@pytest.mark.parametrize(("forgets", "n", "size"), [("signs", 8, 256), ("order", 5, 120)])
def test_the_largest_sums_of_a_symmetric_density(forgets, n, size):
    base = StandardNormal(n).double()
    x = torch.arange(n, dtype=torch.float64)[None] / n
    gain = FibreSum(base, n, forgets).log_prob(x) - base.log_prob(x)
    torch.testing.assert_close(gain, torch.full_like(gain, math.log(size)))


@pytest.mark.parametrize(("forgets", "n", "size"), [("signs", 9, 512), ("order", 6, 720)])
def test_larger_sums_are_refused(forgets, n, size):
    with pytest.raises(ValueError, match=f"{size} terms .* at most {n - 1} columns"):
        FibreSum(StandardNormal(n), n, forgets)


@pytest.mark.parametrize("columns", [[], [0, 0], [3]])
def test_columns_must_be_different_ones(columns):
    with pytest.raises(ValueError, match="different columns"):
        FibreSum(StandardNormal(3), 3, "signs", columns)


def test_a_bound_cannot_be_summed():
    bound = Flow([], [GenerativeAbs(2)], StandardNormal(2))
    with pytest.raises(ValueError, match="must be exact"):
        FibreSum(bound, 2)


def test_what_it_forgets_must_be_known():
    with pytest.raises(ValueError, match="'signs' or 'order'"):
        FibreSum(StandardNormal(2), 2, "names")


@pytest.mark.parametrize("forgets", FORGETS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_rows_and_dtypes(forgets, dtype):
    made = FibreSum(inner(), 2, forgets).to(dtype)
    x = torch.tensor([[0.0, 1e6], [1e6, 1e6], [0.0, 0.0]], dtype=dtype, requires_grad=True)
    log_p = made.log_prob(x)
    assert log_p.dtype == made.sample(3).dtype == dtype
    assert log_p.isfinite().all()
    assert all(
        g.isfinite().all() for g in torch.autograd.grad(log_p.sum(), [x, *made.parameters()])
    )
    torch.testing.assert_close(made.log_prob(x[1:2]), log_p[1:2])


@pytest.mark.parametrize("forgets", FORGETS)
def test_every_member_gets_the_context_of_its_row(forgets):
    made = FibreSum(inner(2, 3), 2, forgets)
    context = torch.randn(6, 3, generator=generator(), dtype=torch.float64)
    x = made.sample(6, context, generator(1))
    together = made.log_prob(x, context)
    one_by_one = [made.log_prob(x[i : i + 1], context[i : i + 1]) for i in range(6)]
    torch.testing.assert_close(together, torch.cat(one_by_one))
    assert (together - made.log_prob(x, context.flip(0))).abs().max() > 1e-3


@pytest.mark.parametrize("forgets", FORGETS)
def test_on_another_device(forgets):
    made = FibreSum(inner(), 2, forgets).to("meta")
    x = torch.ones(3, 2, dtype=torch.float64, device="meta")
    assert made.log_prob(x).device.type == made.sample(3).device.type == "meta"
