"""Where images of levels start: marginal maps of the pixels, a Gaussian on top."""

import torch
from torch import Tensor

from skflow.flow import Flow
from skflow.transforms.noise import fresh_noise

INITIAL_ROWS = 8192  # of levels with noise: with fewer the marginal maps follow the noise


@torch.no_grad()
def initialize_image_flow(
    flow: Flow, x: Tensor, weight: Tensor | None, generator: torch.Generator
) -> None:
    """Set what data set at the start from images ``x`` and their weights.

    As ``Compose.initialize``, but every image gives several rows of noise to the marginal
    maps: few images say enough about the levels, not about the noise within them. The noise comes
    from ``generator``; scores at the same numbers would look too good.
    """
    fixed, learned = flow.fixed, flow.learned
    pixels, scales = learned.steps
    noise = fresh_noise(generator)
    repeats = max(1, INITIAL_ROWS // len(x))
    levels = fixed.initialize(x, weight)
    repeated = None if weight is None else weight.repeat(repeats)
    pixels.initialize(levels.repeat(repeats, 1), repeated, noise=noise)
    # Once each from here on: a repeated image is no new one, and shrinkage counts rows.
    scales.initialize(pixels(levels, noise=noise)[0], weight, noise=noise)
