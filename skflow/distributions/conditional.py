"""Conditional Gaussians: a network turns a context into a mean and a spread."""

from collections.abc import Sequence

import torch

from skflow.distributions.base import Distribution
from skflow.distributions.normal import LOG_SQRT_2PI
from skflow.networks.mlp import MLP
from skflow.transforms.families import MAX_LOG_SCALE


def _bounded(raw):
    return MAX_LOG_SCALE * torch.tanh(raw / MAX_LOG_SCALE)


class ConditionalDiagonalGaussian(Distribution):
    """N(mean(c), diag(scale(c)^2)); N(0, I) at first.

    Parameters
    ----------
    n_features, n_context : int
    hidden_layer_sizes : sequence of int
    generator : torch.Generator, optional
        Source of the initial weights.
    """

    def __init__(
        self,
        n_features: int,
        n_context: int,
        hidden_layer_sizes: Sequence[int] = (64, 64),
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.network = MLP(n_context, 2, n_features, hidden_layer_sizes, generator=generator)

    def _mean_and_log_scale(self, context):
        mean, raw = self.network(context)
        return mean.T, _bounded(raw).T

    def log_prob(self, x, context=None):
        mean, log_scale = self._mean_and_log_scale(context)
        residual = (x - mean) * torch.exp(-log_scale)
        return (-0.5 * residual * residual - log_scale - LOG_SQRT_2PI).sum(1)

    def sample(self, n, context=None, generator=None):
        mean, log_scale = self._mean_and_log_scale(context)
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        return mean + log_scale.exp() * noise


class ConditionalGaussian(Distribution):
    """Full covariance: the residual is whitened by an upper triangle that depends on the context.

    As in `GaussianMixture`, triangular by construction; N(0, I) at first.

    Parameters
    ----------
    n_features, n_context : int
    hidden_layer_sizes : sequence of int
    generator : torch.Generator, optional
        Source of the initial weights.
    """

    def __init__(
        self,
        n_features: int,
        n_context: int,
        hidden_layer_sizes: Sequence[int] = (64, 64),
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.network = MLP(
            n_context, n_features + 2, n_features, hidden_layer_sizes, generator=generator
        )

    def _mean_and_factor(self, context):
        out = self.network(context)  # (2 + d, d, n)
        log_diagonal = _bounded(out[1]).T
        upper = out[2:].movedim(-1, 0).triu(1)
        return out[0].T, log_diagonal, upper + torch.diag_embed(log_diagonal.exp())

    def log_prob(self, x, context=None):
        mean, log_diagonal, factor = self._mean_and_factor(context)
        residual = ((x - mean)[:, None] @ factor)[:, 0]
        return (-0.5 * residual * residual + log_diagonal - LOG_SQRT_2PI).sum(1)

    def sample(self, n, context=None, generator=None):
        mean, _, factor = self._mean_and_factor(context)
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        step = torch.linalg.solve_triangular(factor, noise[:, None], upper=True, left=False)
        return mean + step[:, 0]
