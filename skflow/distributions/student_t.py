"""Independent Student-t columns: a base with heavy tails."""

import math

import torch
from torch import nn

from skflow.distributions.base import Distribution


class StudentT(Distribution):
    """Product of Student-t densities with learned degrees of freedom, one per column.

    Sampling is by Bailey's polar method, exact for every degree of freedom and built from
    uniforms alone.

    References
    ----------
    Bailey (1994), "Polar generation of random variates with the t-distribution",
    Mathematics of Computation 62.
    """

    def __init__(self, n_features: int, degrees: float = 5.0):
        super().__init__()
        self.n_features = n_features
        self.log_degrees = nn.Parameter(torch.full((n_features,), math.log(degrees)))

    def log_prob(self, x, context=None):
        return self.log_prob_per_dimension(x).sum(1)

    def log_prob_per_dimension(self, x, context=None):
        nu = self.log_degrees.exp()
        constant = torch.lgamma((nu + 1) / 2) - torch.lgamma(nu / 2)
        constant = constant - 0.5 * (self.log_degrees + math.log(math.pi))
        # hypot keeps x = 1e30 finite where x * x would not be.
        radius = torch.hypot(torch.ones_like(x), x / nu.sqrt())
        return constant - (nu + 1) * radius.log()

    def sample(self, n, context=None, generator=None):
        nu = self.log_degrees.exp()
        u, v = torch.rand(
            2, n, len(nu), generator=generator, dtype=nu.dtype, device=nu.device
        ).unbind()
        radius = (nu * torch.expm1(-2 / nu * torch.log1p(-u))).sqrt()
        return radius * torch.cos(2 * math.pi * v)
