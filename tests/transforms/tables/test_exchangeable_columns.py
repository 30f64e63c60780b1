"""Groups of columns whose order means nothing: densities, draws, and whose each value is."""

import math
from itertools import permutations

import pytest
import torch

from skflow.distributions import StandardNormal
from skflow.flow import Flow
from skflow.transforms import Compose, Coupling
from skflow.transforms.noise import fresh_draw
from skflow.transforms.tables.exchangeable_columns import ExchangeableColumns
from tests.contract.table import SPLINE, generator, randomise

NAN = math.nan


def rows(n, d, seed=0):
    return torch.randn(n, d, generator=generator(seed), dtype=torch.float64)


def make(groups, d):
    layer = ExchangeableColumns(groups).double()
    layer.initialize(rows(200, d, 7))
    return layer


@pytest.mark.parametrize("group", [[0, 1, 2], [1, 2, 4], [4, 0, 2], [3, 1, 2, 0]])
def test_every_value_belongs_to_the_column_it_came_from(group):
    layer = make([group], 5)
    x = rows(30, 5)
    z, contribution, owner = layer.forward_by_owner(x)
    assert torch.equal(owner.sort(1).values, torch.arange(5).expand(30, 5))
    # Put back to whom it belongs, the smallest values and gaps are those of the sorted group.
    back = torch.empty_like(x)
    back.scatter_(1, owner, layer.inverse(z, draw=lambda d, c: ascending(c)))
    torch.testing.assert_close(back, x)
    torch.testing.assert_close(contribution.sum(1), layer(x)[1])


def ascending(context):
    return torch.arange(context.shape[1]).expand_as(context)


def test_owners_of_a_group_of_three_by_hand():
    layer = make([[0, 2, 3]], 4)
    x = torch.tensor([[30.0, 7.0, 10.0, 20.0], [2.0, 7.0, 3.0, 1.0]], dtype=torch.float64)
    # Sorted: 10, 20, 30 of columns 2, 3, 0; and 1, 2, 3 of columns 3, 0, 2.
    assert layer.forward_by_owner(x)[2].tolist() == [[2, 1, 3, 0], [3, 1, 0, 2]]


def test_contributions_are_the_gaps_own():
    layer = make([[0, 1, 2]], 3)
    x = rows(5, 3)
    _, contribution, _ = layer.forward_by_owner(x)
    ordered = x.sort(1).values
    _, volume = layer.cones[0].forward_per_dimension(ordered)
    expected = volume - math.log(6) / 3
    torch.testing.assert_close(contribution, expected)
    jacobian = torch.stack(
        [torch.autograd.functional.jacobian(lambda r: layer(r[None])[0][0], row) for row in x]
    )
    log_det = torch.linalg.slogdet(jacobian)[1] - math.log(6)
    torch.testing.assert_close(layer(x)[1], log_det)


def test_all_orders_have_the_same_density():
    inner = randomise(Coupling(4, SPLINE, generator=generator()).double(), scale=0.2)
    flow = Flow([], [Compose([make([[0, 1, 3]], 4), inner])], StandardNormal(4).double())
    x = rows(10, 4)
    density = flow.log_prob(x)
    for order in permutations([0, 1, 3]):
        other = x.clone()
        other[:, [0, 1, 3]] = x[:, list(order)]
        torch.testing.assert_close(flow.log_prob(other), density)


def test_all_orders_are_drawn_alike_and_other_columns_stay():
    layer = make([[0, 1, 3]], 4)
    z = rows(1, 4).expand(12_000, -1)
    x = layer.inverse(z, draw=fresh_draw(generator(2)))
    torch.testing.assert_close(x[:, 2], z[:, 2])
    orders = x[:, [0, 1, 3]].argsort(1) @ torch.tensor([9, 3, 1])
    counts = orders.unique(return_counts=True)[1]
    assert len(counts) == 6
    assert ((counts - 2_000) ** 2 / 2_000).sum() < 20.5  # 0.999 quantile of five degrees of freedom


def test_a_group_with_a_missing_cell_is_missing_as_a_whole():
    layer = make([[0, 1, 2]], 4)
    x = rows(2, 4)
    x[1, 1] = NAN
    z, contribution, _ = layer.forward_by_owner(x)
    assert z[1, :3].isnan().all()
    assert z[1, 3] == x[1, 3]
    assert contribution[1].tolist() == [0.0] * 4
    assert z[0].isfinite().all()
