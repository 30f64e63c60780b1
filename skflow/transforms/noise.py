"""Where stochastic layers take their randomness from: the caller says, layer by layer the same.

Data to latent, a layer asks a `Noise` for standard normal numbers. Latent to data, it asks a `Draw`
for a value of a distribution.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from skflow.distributions.base import Decoder


class Noise(Protocol):
    """Gives standard normal numbers for the rows of a tensor."""

    def __call__(self, x: Tensor, n_numbers: int) -> Tensor:
        """Shape (len(x), n_numbers), device and dtype of ``x``."""


Draw = Callable[[Decoder, Tensor], Tensor]
"""From a distribution and n rows of context to one value for each row."""


def fresh_noise(generator: torch.Generator | None = None) -> Noise:
    """New numbers for every row."""

    def noise(x, n_numbers):
        shape = x.shape[0], n_numbers
        return torch.randn(shape, generator=generator, dtype=x.dtype, device=x.device)

    return noise


def shared_noise(generator: torch.Generator) -> Noise:
    """New numbers at every call, the same for all rows: no row's score depends on the others.

    With a generator on the CPU they are the same on every device.
    """

    def noise(x, n_numbers):
        row = torch.randn(
            n_numbers, generator=generator, dtype=torch.float64, device=generator.device
        )
        return row.to(x).expand(x.shape[0], -1)

    return noise


def no_noise(x: Tensor, n_numbers: int) -> Tensor:
    """Zeros: the mean path."""
    return x.new_zeros(x.shape[0], n_numbers)


def fresh_draw(generator: torch.Generator | None = None) -> Draw:
    """A random value."""
    return lambda distribution, context: distribution.sample(len(context), context, generator)


def mean_draw(distribution: Decoder, context: Tensor) -> Tensor:
    """The distribution's mean, or its centre where it says so."""
    return distribution.mean(context)
