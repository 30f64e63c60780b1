"""How a column's own distribution is followed at the start of a mixed table."""

import numpy as np
import torch

from skflow.data.column_plan import ColumnPlan
from skflow.starts.table import with_edges, with_splines


def test_heaps_on_a_fine_lattice_get_their_own_frequencies():
    """Weights of a survey, say: whole numbers up to a million, of which some come again and again.

    A spline cannot follow them, and its density must not count for more than the mass of cells.
    """
    rng = np.random.default_rng(0)
    popular = rng.integers(1, 1_000_000, 100)
    values = np.where(rng.uniform(size=6_000) < 0.12, rng.choice(popular, 6_000), 0)
    values = np.where(values == 0, rng.integers(1, 1_000_000, 6_000), values).astype(float)
    x = torch.tensor(values)[:, None]
    (plan,) = with_edges([ColumnPlan("lattice", step=1.0, origin=values.min())], x)
    assert plan.fine
    (chosen,) = with_splines([plan], x, np.random.RandomState(0))
    assert chosen.edges
    assert not chosen.fine
