"""Linear layers drawn from a generator of one's own: torch's draws from the global one."""

import math

import torch
from torch import nn


@torch.no_grad()
def _fill(layer: nn.Module, n_in: int, generator: torch.Generator | None, *, zero: bool) -> None:
    """Torch's default distribution of a layer with ``n_in`` inputs per output, or all zero."""
    for values in (layer.weight, layer.bias):
        if zero:
            values.zero_()
        else:
            bound = 1 / math.sqrt(max(n_in, 1))
            values.uniform_(-bound, bound, generator=generator)


class SeededLinear(nn.Linear):
    """`torch.nn.Linear` with torch's default distribution, or all zero."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        generator: torch.Generator | None = None,
        *,
        zero: bool = False,
    ):
        super().__init__(n_in, n_out)
        _fill(self, n_in, generator, zero=zero)

    def reset_parameters(self) -> None:
        """Draw nothing here: torch calls this from its constructor, on the global generator."""


class SeededConv2d(nn.Conv2d):
    """`torch.nn.Conv2d` that keeps the image's size, torch's default distribution or all zero."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel_size: int,
        generator: torch.Generator | None = None,
        *,
        zero: bool = False,
    ):
        super().__init__(n_in, n_out, kernel_size, padding=kernel_size // 2)
        _fill(self, n_in * kernel_size**2, generator, zero=zero)

    def reset_parameters(self) -> None:
        """Draw nothing here: see `SeededLinear`."""
