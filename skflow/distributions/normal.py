"""The standard normal."""

import math

import torch
from torch import Tensor

from skflow.distributions.base import Distribution

LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)


class StandardNormal(Distribution):
    """N(0, I) in ``n_features`` dimensions."""

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
