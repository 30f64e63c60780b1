"""A shift and a scale in front of another conditional density."""

import torch

from skflow.distributions import Decoder
from skflow.transforms.elementwise import ActNorm


class StandardizedDecoder(Decoder):
    """Another decoder on columns that `initialize` brings to mean zero and variance one.

    Parameters
    ----------
    inner : Decoder
    n_positions : int, default=1
        Columns that share their shift and scale: see `ActNorm`.
    """

    def __init__(self, inner: Decoder, n_positions: int = 1):
        super().__init__()
        self.n_features = inner.n_features
        self.inner = inner
        self.units = ActNorm(inner.n_features, n_positions)

    @torch.no_grad()
    def initialize(self, x, context, weight=None):
        self.inner.initialize(self.units.initialize(x, weight), context, weight)

    def log_prob(self, x, context=None):
        x, log_det = self.units(x)
        return self.inner.log_prob(x, context) + log_det

    def sample(self, n, context=None, generator=None):
        return self.units.inverse(self.inner.sample(n, context, generator))

    def mean(self, context):
        return self.units.inverse(self.inner.mean(context))
