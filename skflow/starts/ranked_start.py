"""A start turned to what is ranked: the first dimensions of its space are those to keep."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from skflow.data.rows import Rows
from skflow.flow import Flow
from skflow.starts.dimension_ranking import GeneratorNorms, principal_directions
from skflow.starts.start_recipe import Start
from skflow.transforms import Compose, FixedRotation, Permutation


def on_ranked_directions(start: Start, rows: Rows, *, by: str) -> Start:
    """The start on the directions that say most about x, by "entropy" or by "variance"."""
    d = start.base.n_features
    directions = torch.eye(d, dtype=torch.float64)
    if start.base.may_be_turned:
        directions = principal_directions(start, rows)
    turned = start.base.rotated(directions)
    orientation = FixedRotation(d).double()
    orientation.matrix.copy_(directions)
    norms = GeneratorNorms(Flow([*start.fixed.steps, orientation], [], turned), rows)
    explained = norms.explained_entropy() if by == "entropy" else norms.explained_variance()
    order = explained.argsort(descending=True, stable=True)
    orientation.matrix.copy_(directions[:, order])
    fixed = Compose([*start.fixed.steps, orientation])
    return Start(replace(start.recipe, orientation="directions"), fixed, turned.reordered(order))


def on_ranked_columns(start: Start, contribution: Tensor) -> Start:
    """The start on its columns, those of the largest contribution first."""
    order = contribution.argsort(descending=True, stable=True)
    fixed = Compose([*start.fixed.steps, Permutation(len(order), order=order)])
    recipe = replace(start.recipe, orientation="columns")
    return Start(recipe, fixed, start.base.reordered(order))


def given_ranks(first, n_features: int) -> Tensor:
    """Ranks of a user's own order: ``first`` are positions, the others follow as they are."""
    first = np.asarray(first).tolist()
    named = [i for i in first if type(i) is int and 0 <= i < n_features]
    if len(set(named)) != len(first):
        raise ValueError(
            f"factor_out must name different columns by their positions, 0 to "
            f"{n_features - 1}, got {first}."
        )
    rest = [i for i in range(n_features) if i not in set(first)]
    return -torch.tensor([*first, *rest]).argsort().double()
