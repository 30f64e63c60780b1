"""A linear layer drawn from a generator of one's own: torch's draws from the global one."""

import math

import torch
from torch import nn


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
        with torch.no_grad():
            for values in (self.weight, self.bias):
                if zero:
                    values.zero_()
                else:
                    bound = 1 / math.sqrt(max(n_in, 1))
                    values.uniform_(-bound, bound, generator=generator)

    def reset_parameters(self) -> None:
        """Draw nothing here: torch calls this from its constructor, on the global generator."""
