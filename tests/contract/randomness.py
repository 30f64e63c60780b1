"""Generators by seed, and parameters that are not those of the start."""

import torch


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@torch.no_grad()
def randomise(module, seed=0, scale=0.4):
    """Give every parameter a random, non-trivial value."""
    g = generator(seed)
    for parameter in module.parameters():
        noise = torch.randn(parameter.shape, generator=g, dtype=torch.float64)
        parameter.add_(scale * noise.to(parameter))
    return module
