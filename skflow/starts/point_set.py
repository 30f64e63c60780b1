"""Where sets of points start: every point of one mixture, independent of the others."""

import numpy as np
import torch
from torch import Tensor

from skflow.data.rows import Rows
from skflow.flow import Flow
from skflow.kernels.moments import weighted_moments
from skflow.starts.start_recipe import StartRecipe
from skflow.training.one_thread import one_thread
from skflow.transforms.noise import fresh_noise

MIXTURE_POINTS = 20_000  # a plane needs no more to fit the first mixture


@one_thread()
@torch.no_grad()
def initialize_set_flow(
    flow: Flow, x: Tensor, weight: Tensor | None, generator: torch.Generator
) -> None:
    """Set what data set at the start from sets ``x``, laid out flat, and their weights."""
    fixed, learned = flow.fixed, flow.learned
    base = flow.base
    z = learned.initialize(fixed.initialize(x, weight), weight, noise=fresh_noise(generator))
    if base.view is not None:
        base.view.cone.load_state_dict(learned.steps[0].cone.state_dict())
        centre, spread = weighted_moments(z, weight)
        base.centre.copy_(centre.view_as(base.centre))
        base.spread.copy_(spread.view_as(base.spread))
    per_point = None if weight is None else weight.repeat_interleave(base.n_points)
    rng = np.random.RandomState(int(torch.randint(2**31 - 1, (), generator=generator)))
    units = (z.view(len(z), base.n_points, base.dim) - base.centre) / base.spread
    rows = Rows(units.flatten(0, 1), per_point)
    rows = rows[rng.permutation(len(rows))[:MIXTURE_POINTS]]
    recipe = StartRecipe(base.dim, base="mixture", n_mixture_components=len(base.mixture.logits))
    mixture = recipe.fit_base(rows, rng.randint(2**31 - 1))
    if mixture is not None:  # else the points hardly differ: standard normal ones do
        base.mixture.load_state_dict(mixture.state_dict())
