"""Independent noise, moved and scaled: a network turns a context into a mean and a spread."""

from collections.abc import Sequence

import torch
from torch import nn

from skflow.distributions.base import Decoder, Distribution
from skflow.kernels.affine import bounded_log_scale
from skflow.networks.input_clamp import clamp_inputs
from skflow.networks.mlp import MLP


class LocationScale(Decoder):
    """``x = mean(c) + scale(c) * e``, the noise e from any distribution; x = e at first.

    Parameters
    ----------
    noise : Distribution
        `StandardNormal` makes this the Gaussian with a diagonal covariance, `StudentT` its
        heavy-tailed relative.
    n_context : int
    hidden_layer_sizes : sequence of int
    network : Module, optional
        In place of the perceptron: from the context (n, n_context) to (2, n_features, n).
    generator : torch.Generator, optional
        Source of the initial weights.
    """

    def __init__(
        self,
        noise: Distribution,
        n_context: int,
        hidden_layer_sizes: Sequence[int] = (64, 64),
        *,
        network: nn.Module | None = None,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.noise = noise
        self.n_features = noise.n_features
        if network is None:
            network = MLP(n_context, 2, self.n_features, hidden_layer_sizes, generator=generator)
        self.network = network

    def _mean_and_log_scale(self, context):
        mean, raw = self.network(clamp_inputs(context))
        return mean.T, bounded_log_scale(raw).T

    def log_prob(self, x, context=None):
        mean, log_scale = self._mean_and_log_scale(context)
        return self.noise.log_prob((x - mean) * torch.exp(-log_scale)) - log_scale.sum(1)

    def sample(self, n, context=None, generator=None):
        mean, log_scale = self._mean_and_log_scale(context)
        return mean + log_scale.exp() * self.noise.sample(n, generator=generator)

    def mean(self, context):
        return self._mean_and_log_scale(context)[0]
