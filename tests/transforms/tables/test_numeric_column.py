"""Columns of a table as variables, and back; numeric ones alone."""

import math

import pytest
import torch

from skflow.data.column_plan import ColumnPlan
from skflow.distributions.score_mixture import log_normal_mass
from skflow.transforms.noise import fresh_draw
from skflow.transforms.tables.column_edges import circle_edges, lattice_edges, up_to_bounds
from tests.contract.mixed_columns import COLUMNS, chain, plan_of
from tests.contract.table import generator
from tests.transforms.tables.columns import make, there_and_back

LIKE = {"dtype": torch.float64}
NAN, INF = math.nan, math.inf
N = 400


def example(name):
    a, r = chain(3)
    return torch.tensor(COLUMNS[name][1](a[:, 0], r))


def edged(plan, x):
    if plan.kind != "lattice" or plan.n_knots or plan.fine:
        return plan
    edges = (circle_edges if plan.period else lattice_edges)(x.abs() if plan.symmetric else x, plan)
    fields = {k: getattr(plan, k) for k in plan.__dataclass_fields__}
    return ColumnPlan(**fields | {"edges": tuple(edges.tolist())})


@pytest.mark.parametrize("name", sorted(set(COLUMNS) - {"angle", "heaped"}))
def test_values_come_back(name):
    x = example(name)
    column = make(edged(plan_of(name), x), x)
    back = there_and_back(column, x)
    if name == "hours":
        back = x + (back - x + 3.5).remainder(7.0) - 3.5
    torch.testing.assert_close(back, x, atol=1e-7, rtol=1e-7)


@pytest.mark.parametrize("name", sorted(set(COLUMNS) - {"angle", "heaped"}))
def test_missing_values_are_absent_and_contribute_nothing(name):
    x = example(name)
    column = make(edged(plan_of(name), x), x)
    gone = torch.where(torch.arange(N) % 3 == 0, NAN, x)
    variables, contribution = column.encode(gone)
    full, whole = column.encode(x)
    for one, other in zip(variables, full, strict=True):
        assert one[::3].isnan().all()
        kept = ~gone.isnan()
        assert torch.equal(one[kept].nan_to_num(-9.0), other[kept].nan_to_num(-9.0))
    assert (contribution[::3] == 0).all()
    assert torch.equal(contribution[~gone.isnan()], whole[~gone.isnan()])
    assert column.decode(variables, N, fresh_draw(generator())).shape == (N,)


@pytest.mark.parametrize(
    "name", ["bounded_integers", "levels", "integers", "hours", "smooth_bounded"]
)
def test_snapping_a_score_gives_the_cell_that_holds_it(name):
    x = example(name)
    column = make(edged(plan_of(name), x), x)
    if name == "hours":
        u = 2 * math.pi * torch.rand(300, generator=generator(), **LIKE)
    else:
        u = 2 * torch.randn(300, generator=generator(), **LIKE)
    ends = column.snap(u)
    below = ends[:, 1] <= u + 1e-9
    above = u <= ends[:, 2] + 1e-9
    if name == "hours":
        below |= ends[:, 1] + 2 * math.pi <= u
        above |= u <= ends[:, 2]
    assert (below & above).all()
    place = [v.role for v in column.variables].index("value")
    parts = [ends] * len(column.variables)
    value = column.decode(parts, 300, fresh_draw(generator()))
    again = column.encode(value)[0][place]
    torch.testing.assert_close(again, ends, atol=1e-9, rtol=1e-9)


# ------------------------------------------------------------------------- levels


def test_levels_in_order_and_those_never_seen():
    levels = (-1.0, 0.2, 0.3, 7.0, 1e6)
    x = torch.tensor([-1.0] * 5 + [0.2] * 3 + [0.3] + [7.0] * 8, **LIKE)
    column = make(ColumnPlan("levels", levels=levels), x)
    (ends,), contribution = column.encode(torch.tensor(levels, **LIKE))
    torch.testing.assert_close(ends[1:, 1], ends[:-1, 2])  # side by side
    assert ends[0, 1] < -100
    assert ends[-1, 2] > 100
    mass = log_normal_mass(ends[:, 1], ends[:, 2]).exp()
    torch.testing.assert_close(mass, torch.tensor([5.5, 3.5, 1.5, 8.5, 0.5], **LIKE) / 19.5)
    others = torch.tensor([0.25, -30.0, 8.0, 2e6], **LIKE)
    (unknown,), rest = column.encode(others)
    assert unknown.isnan().all()
    torch.testing.assert_close(rest.exp() + contribution[0].exp(), torch.ones(4, **LIKE))


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_levels_of_any_size_are_told_apart(unit):
    levels = unit * torch.tensor([1.0, 1.001, 5.0], **LIKE)
    column = make(ColumnPlan("levels", levels=tuple(levels.tolist())), levels)
    assert torch.equal(there_and_back(column, levels), levels)
    assert column.encode(levels.float().double())[0][0].isfinite().all()  # single precision
    assert column.encode(1.0005 * levels)[0][0].isnan().all()


def test_one_level():
    column = make(ColumnPlan("levels", levels=(4.0,)), torch.full((8,), 4.0, **LIKE))
    assert column.variables == []
    assert (there_and_back(column, torch.full((3,), 4.0, **LIKE)) == 4).all()
    _, contribution = column.encode(torch.tensor([4.0, 5.0], **LIKE))
    assert contribution.exp().sum() == pytest.approx(1)


# ------------------------------------------------------------------------- atoms and lattices


@pytest.mark.parametrize("unit", [1e-12, 1.0, 1e12])
def test_atoms_of_any_unit(unit):
    x = unit * example("atoms")
    atoms = (0.0, 1.5 * unit)
    column = make(ColumnPlan("continuous", atoms=atoms, n_knots=5), x)
    (spike, value), contribution = column.encode(x)
    assert torch.equal(spike[:, 0] == 1, x == 0)
    assert torch.equal(spike[:, 0] == 2, x == 1.5 * unit)
    assert torch.equal(value[:, 0].isnan(), spike[:, 0] > 0)
    assert (contribution[spike[:, 0] > 0] == 0).all()
    torch.testing.assert_close(there_and_back(column, x), x, atol=1e-9 * unit, rtol=1e-9)


def test_atoms_of_a_lattice_have_no_cell_besides_and_the_width_of_one():
    x = example("lattice_atoms")
    plan = edged(plan_of("lattice_atoms"), x)
    column = make(plan, x)
    grid = 0.5 * torch.arange(-400, 401, **LIKE)
    (spike, value), contribution = column.encode(grid)
    assert torch.equal(spike[:, 0] > 0, (grid == 0) | (grid == 2.5))
    free = spike[:, 0] == 0
    mass = log_normal_mass(value[free, 1], value[free, 2]).exp()
    assert abs(mass.sum() - 1) < 1e-6
    # Counting cells of width one half: all levels alike, whether atoms or not.
    torch.testing.assert_close(contribution, torch.full_like(grid, -math.log(0.5)))


def test_values_between_levels_count_as_the_nearest():
    x = example("lattice_atoms")
    column = make(edged(plan_of("lattice_atoms"), x), x)
    for shift in (0.1, -0.2, 1e-4):
        near = column.encode(x + shift)
        exact = column.encode(x)
        for one, other in zip(near[0], exact[0], strict=True):
            assert torch.equal(one.nan_to_num(-9.0), other.nan_to_num(-9.0))


@pytest.mark.parametrize("n_knots", [0, 5])
@pytest.mark.parametrize("bounds", [(0.0, 12.0), (0.5, 10.3), (-3.0, INF), (-INF, 9.99)])
@pytest.mark.parametrize("with_edges", [True, False])
def test_bounds_of_a_lattice_hold_all_mass(n_knots, bounds, with_edges):
    x = torch.randint(1, 9, (200,), generator=generator()).double()
    plan = ColumnPlan("lattice", step=1.0, origin=1.0, bounds=bounds, n_knots=n_knots)
    low, high = plan.limits
    assert low == (math.ceil(bounds[0]) if math.isfinite(bounds[0]) else -INF)
    assert high == (math.floor(bounds[1]) if math.isfinite(bounds[1]) else INF)
    if with_edges:
        plan = edged(ColumnPlan("lattice", step=1.0, origin=1.0, bounds=bounds), x)
    column = make(plan, x)
    grid = torch.arange(-200, 201, **LIKE)
    (ends,), contribution = column.encode(grid)
    mass = (log_normal_mass(ends[:, 1], ends[:, 2]) + contribution).exp()
    assert abs(mass.sum() - 1) < 1e-5
    outside = (grid < bounds[0]) | (grid > bounds[1])
    assert (mass[outside] == 0).all()
    assert (contribution[~outside] == 0).all()
    u = torch.tensor([-1e4, -30.0, 0.0, 30.0, 1e4], **LIKE)
    back = column.decode([u[:, None].expand(-1, 3)], 5, fresh_draw(generator()))
    assert ((back >= bounds[0]) & (back <= bounds[1])).all()
    assert torch.equal(back, back.round())


def test_edges_up_to_the_bounds():
    plan = ColumnPlan("lattice", step=2.0, origin=1.0, bounds=(-4.0, 9.5))
    edges = up_to_bounds(torch.tensor([4.0, 2.0, 6.0, 4.0], **LIKE), plan)
    assert edges.tolist() == [-4.0, 2.0, 4.0, 6.0, 10.0]


@pytest.mark.parametrize("step", [0.5, 1.0, 2.0])
def test_a_symmetric_lattice_whose_sizes_leave_zero_out(step):
    # Sizes 0.5, 1.5, ...: the first cell begins at 0, half a step below the first size.
    x = torch.tensor([-2.5, -0.5, 0.5, 1.5, 1.5, 0.5, -1.5], **LIKE) * step
    plan = ColumnPlan(
        "lattice", step=step, origin=0.5 * step, symmetric=True, bounds=(0.0, INF), n_knots=0
    )
    column = make(plan, x)
    grid = step * (torch.arange(0, 400, **LIKE) + 0.5)
    variables, contribution = column.encode(grid)
    mass = (log_normal_mass(variables[0][:, 1], variables[0][:, 2]) + contribution).exp() * step
    assert abs(mass.sum() - 1) < 1e-4
    torch.testing.assert_close(there_and_back(column, x), x)


def test_signs_of_a_symmetric_column():
    x = torch.tensor([-2.0, 3.0, 0.0, -0.5, NAN, 0.0], **LIKE)
    plan = ColumnPlan("continuous", symmetric=True, bounds=(0.0, INF), atoms=(0.0,))
    column = make(plan, x)
    variables, _ = column.encode(x)
    sign = variables[[v.role for v in column.variables].index("sign")][:, 0]
    assert sign.nan_to_num(-1.0).tolist() == [0.0, 1.0, -1.0, 0.0, -1.0, -1.0]
    assert column.is_zero(variables, 6).tolist() == [False, False, True, False, False, True]


@pytest.mark.parametrize("period", [7.0, 24.0, 1.0])
def test_cells_of_a_circle_are_side_by_side_and_go_round_once(period):
    x = torch.randint(0, 24, (300,), generator=generator()).double()
    plan = ColumnPlan("lattice", step=1.0, period=period)
    column = make(edged(plan, x), x)
    cells = torch.arange(int(period), **LIKE)
    (ends,), contribution = column.encode(cells)
    assert (ends[:, 1] < ends[:, 2]).all()
    assert abs((ends[:, 2] - ends[:, 1]).sum() - 2 * math.pi) < 1e-9
    assert (contribution == 0).all()
    torch.testing.assert_close(column.encode(cells + 5 * period)[0][0], ends)


@pytest.mark.parametrize("name", ["lattice_atoms", "atoms", "integers", "hours", "levels", "angle"])
def test_no_value_to_begin_with(name):
    x = example(name)
    plan = edged(plan_of(name), x)
    if name == "angle":
        plan = ColumnPlan("continuous", period=2.0, edges=tuple(circle_edges(x, plan).tolist()))
    column = make(plan, torch.full((5,), NAN, **LIKE))
    variables, contribution = column.encode(x)
    assert contribution.isfinite().all()
    assert column.decode(variables, N, fresh_draw(generator())).isfinite().all()
