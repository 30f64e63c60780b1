"""What layers take from the rows that reach them: principal axes, and of images scales too."""

import torch

from skflow.data.rows import Rows
from skflow.flow import Flow
from skflow.kernels.moments import ledoit_wolf_intensity, weighted_mean
from skflow.transforms import OrthogonalTransform
from skflow.transforms.noise import fresh_noise

INITIAL_ROWS = 5_000  # images that the layers take their first scales and axes from


@torch.no_grad()
def set_axes(flow: Flow, rows: Rows) -> None:
    """Layers of a table continue the start; under a normal a rotation takes the data's axes."""
    for layer in flow.learned.modules():
        if isinstance(layer, OrthogonalTransform) and layer.by_data:
            layer.initialize(flow.fixed(rows.x)[0], rows.weight)


@torch.no_grad()
def set_scales_and_axes(flow: Flow, rows: Rows, generator: torch.Generator) -> None:
    """Initialise the layers of images, one after the other.

    Few images span few directions. With noise the rows have the covariance that Ledoit and Wolf
    estimate, and no direction is without spread.
    """
    n = len(rows)
    order = torch.randperm(n, generator=generator).repeat(-(-INITIAL_ROWS // n))
    some = rows[order[:INITIAL_ROWS]]
    z, _ = flow.fixed(some.x)
    mean = weighted_mean(z, some.weight)
    encoded, weight = flow.fixed(rows.x)[0], rows.weight
    intensity = ledoit_wolf_intensity(encoded - weighted_mean(encoded, weight), weight)
    spread = (z - mean).square().mean().sqrt()
    noise = fresh_noise(generator)
    z = mean + (1 - intensity) ** 0.5 * (z - mean)
    z = z + intensity**0.5 * spread * noise(z, z.shape[1])
    flow.learned.initialize(z, some.weight, noise=noise)
