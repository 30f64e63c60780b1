"""A linear layer drawn from a generator of one's own: torch's draws from the global one."""

import math

import torch
from torch import nn


def seeded_linear(
    n_in: int, n_out: int, generator: torch.Generator | None = None, *, zero: bool = False
) -> nn.Linear:
    """`torch.nn.Linear` with torch's default distribution, or all zero."""
    layer = nn.utils.skip_init(nn.Linear, n_in, n_out)
    bound = 0.0 if zero else 1 / math.sqrt(max(n_in, 1))
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.uniform_(-bound, bound, generator=generator)
    return layer
