"""A standard normal whatever the latent row: the factored-out dimensions of the papers."""

from skflow.distributions.base import Decoder
from skflow.distributions.normal import StandardNormal


class StandardDecoder(Decoder):
    """N(0, I) in ``n_features`` dimensions, given anything."""

    def __init__(self, n_features: int):
        super().__init__()
        self.n_features = n_features
        self.noise = StandardNormal(n_features)

    def log_prob(self, x, context=None):
        return self.noise.log_prob(x)

    def sample(self, n, context=None, generator=None):
        return self.noise.sample(n, generator=generator)

    def mean(self, context):
        return context.new_zeros(len(context), self.n_features)
