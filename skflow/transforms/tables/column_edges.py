"""Edges between which the values of a column are counted."""

import math

import torch
from torch import Tensor

from skflow.data.column_plan import ColumnPlan
from skflow.kernels.moments import n_rows
from skflow.transforms.marginal import weighted_quantiles

MAX_EDGES, MIN_EDGES, ROWS_PER_EDGE = 256, 32, 8


def all_edges(values: Tensor, step: float) -> Tensor:
    """Edges of the cells around distinct lattice values."""
    cells = torch.cat([values - step / 2, values + step / 2]).sort().values
    return cells[torch.cat([torch.tensor([True]), cells.diff() > step / 4])]


def lattice_edges(x: Tensor, plan: ColumnPlan, weight: Tensor | None = None) -> Tensor:
    """Edges between which the values of a lattice column are counted.

    All cells that hold data where those are few for the number of rows, else edges at quantiles;
    the cells of atoms in any case.
    """
    lattice = plan.origin + plan.step * ((x - plan.origin) / plan.step).round()
    edges = all_edges(lattice.unique(), plan.step)
    n = n_rows(x, weight)
    most = max(MIN_EDGES, min(MAX_EDGES, int(n) // ROWS_PER_EDGE))
    if len(edges) > 2 * most:
        levels = torch.linspace(0, 1, most, dtype=x.dtype)
        ordered, index = lattice.sort()
        place = (levels * (n - 1)).round()
        if weight is None:
            place = place.long()
        else:
            so_far = weight[index].cumsum(0)
            place = torch.searchsorted(so_far, place, right=True).clamp_max(len(x) - 1)
        picked = ordered[place].unique()
        ends = torch.stack([edges[0], edges[-1]])
        edges = torch.cat([ends, picked + plan.step / 2])
    extra = [edges]
    if plan.atoms:
        extra.append(all_edges(torch.tensor(plan.atoms, dtype=x.dtype), plan.step))
    return up_to_bounds(torch.cat(extra), plan)


def up_to_bounds(edges: Tensor, plan: ColumnPlan) -> Tensor:
    """Edges of a lattice in order, each once, and those at its bounds."""
    low, high = plan.limits
    ends = [end for end in (low - plan.step / 2, high + plan.step / 2) if math.isfinite(end)]
    merged = torch.cat([edges, edges.new_tensor(ends)]).sort().values
    return merged[torch.cat([torch.tensor([True]), merged.diff() > plan.step / 4])]


def _quantiles(x: Tensor, levels: Tensor, weight: Tensor | None) -> Tensor:
    """Interpolated between rows, the smallest at level 0 and the largest at 1."""
    if weight is None:
        return x.quantile(levels)
    n = n_rows(x, weight)
    mid_ranks = (levels * (n - 1) + 0.5) / n
    return weighted_quantiles(x[:, None], mid_ranks, weight)[0]


def circle_edges(x: Tensor, plan: ColumnPlan, weight: Tensor | None = None) -> Tensor:
    """Edges at quantiles of one period, on the boundaries of cells for a lattice."""
    step = plan.step
    start = plan.origin - step / 2 if step else float(x.min())
    position = (x - start).remainder(plan.period)
    most = max(8, min(MAX_EDGES, int(n_rows(x, weight)) // ROWS_PER_EDGE))
    if step:
        n_cells = round(plan.period / step)
        inner = step * torch.arange(1, n_cells, dtype=x.dtype)
        if n_cells > most:
            inner = inner[:: -(-n_cells // most)]
    else:
        levels = torch.linspace(0, 1, min(most, 32) + 1, dtype=x.dtype)[1:-1]
        inner = _quantiles(position, levels, weight).unique()
        inner = inner[(inner > 0) & (inner < plan.period)]
    ends = torch.tensor([0.0, plan.period], dtype=x.dtype)
    return start + torch.cat([ends[:1], inner, ends[1:]])
