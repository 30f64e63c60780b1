"""Independent Student-t columns: a base with heavy tails."""

import math

import torch
from torch import Tensor, nn

from skflow.distributions.flow_base import FlowBase
from skflow.distributions.location_scale import LocationScale

NEARLY_NORMAL = 50.0  # degrees of freedom


class StudentT(FlowBase):
    """Product of Student-t densities with learned degrees of freedom, one per column.

    Sampling is by Bailey's polar method, exact for every degree of freedom and built from
    uniforms alone.

    References
    ----------
    Bailey (1994), "Polar generation of random variates with the t-distribution",
    Mathematics of Computation 62.
    """

    may_be_turned = False

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

    @torch.no_grad()
    def _of(self, log_degrees: Tensor) -> "StudentT":
        made = StudentT(len(log_degrees)).to(log_degrees)
        made.log_degrees.copy_(log_degrees)
        return made

    @classmethod
    def unfitted(cls, n_features, n_components):
        return cls(n_features)

    def principal_axes(self):
        """The columns themselves, those with the heaviest tails first."""
        return torch.eye(self.n_features).to(self.log_degrees)[
            :, self.log_degrees.argsort(stable=True)
        ]

    def rotated(self, rotation):
        """As for any base, but columns may only be reordered and reflected.

        Raises
        ------
        ValueError
            If the rotation mixes columns: their mixtures are no independent Student-t.
        """
        order = rotation.abs().argmax(0)
        axes = torch.eye(self.n_features).to(rotation)[:, order]
        if not torch.allclose(rotation.abs(), axes, rtol=0, atol=1e-9):
            raise ValueError("independent Student-t columns can be reordered, but not mixed.")
        return self.reordered(order)

    def reordered(self, order):
        return self._of(self.log_degrees[order])

    def marginal(self, n_kept):
        return self._of(self.log_degrees[:n_kept])

    def conditional(self, n_kept, hidden_layer_sizes, generator=None):
        noise = self._of(self.log_degrees[n_kept:])
        rest = LocationScale(noise, n_kept, hidden_layer_sizes, generator=generator)
        return rest.to(self.log_degrees)

    def widened(self, n_added):
        """The product with columns that are nearly normal, by their degrees of freedom."""
        nearly = StudentT(n_added, NEARLY_NORMAL).to(self.log_degrees)
        return self._of(torch.cat([self.log_degrees, nearly.log_degrees]))
