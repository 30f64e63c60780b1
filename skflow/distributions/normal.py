"""The standard normal."""

import torch
from torch import Tensor

from skflow.distributions.flow_base import FlowBase
from skflow.distributions.location_scale import LocationScale
from skflow.kernels.mixture import LOG_SQRT_2PI


class StandardNormal(FlowBase):
    """N(0, I) in ``n_features`` dimensions."""

    isotropic = True
    anchor: Tensor

    def __init__(self, n_features: int):
        super().__init__()
        self.n_features = n_features
        # Carries device and dtype for `sample`.
        self.register_buffer("anchor", torch.zeros(1), persistent=False)

    def log_prob(self, x, context=None):
        return -0.5 * (x * x).sum(1) - self.n_features * LOG_SQRT_2PI

    def log_prob_per_dimension(self, x, context=None):
        return -0.5 * x * x - LOG_SQRT_2PI

    def sample(self, n, context=None, generator=None):
        like = {"dtype": self.anchor.dtype, "device": self.anchor.device}
        return torch.randn(n, self.n_features, generator=generator, **like)

    @classmethod
    def unfitted(cls, n_features, n_components):
        return cls(n_features)

    def principal_axes(self):
        return torch.eye(self.n_features, dtype=self.anchor.dtype, device=self.anchor.device)

    def rotated(self, rotation):
        return self

    def reordered(self, order):
        return self

    def marginal(self, n_kept):
        return StandardNormal(n_kept).to(self.anchor)

    def conditional(self, n_kept, hidden_layer_sizes, generator=None):
        noise = StandardNormal(self.n_features - n_kept)
        rest = LocationScale(noise, n_kept, hidden_layer_sizes, generator=generator)
        return rest.to(self.anchor)

    def widened(self, n_added):
        return StandardNormal(self.n_features + n_added).to(self.anchor)
