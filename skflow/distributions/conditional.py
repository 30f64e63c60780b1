"""Conditional Gaussians with correlations: a network turns a context into mean and covariance."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skflow.distributions.base import Decoder
from skflow.distributions.normal import LOG_SQRT_2PI
from skflow.kernels.affine import bounded_log_scale
from skflow.networks.input_clamp import clamp_inputs
from skflow.networks.mlp import MLP

INITIAL_LOADING = 0.1  # a factor that starts at zero would never learn: its gradient is zero too


class ConditionalGaussian(Decoder):
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
        self.n_features = n_features
        self.network = MLP(
            n_context, n_features + 2, n_features, hidden_layer_sizes, generator=generator
        )

    def _mean_and_factor(self, context):
        out = self.network(clamp_inputs(context))  # (2 + d, d, n)
        log_diagonal = bounded_log_scale(out[1]).T
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

    def mean(self, context):
        return self._mean_and_factor(context)[0]


class ConditionalLowRankGaussian(Decoder):
    r"""Covariance :math:`D(c)^2 + F(c) F(c)^T` with a few factors; close to N(0, I) at first.

    The density is that of :math:`D^{-1}(x - m)` under :math:`I + G G^T`, :math:`G = D^{-1} F`, by
    Woodbury's identity.

    Parameters
    ----------
    n_features, n_context : int
    rank : int
        Columns of F.
    hidden_layer_sizes : sequence of int
    generator : torch.Generator, optional
        Source of the initial weights.
    """

    def __init__(
        self,
        n_features: int,
        n_context: int,
        rank: int = 4,
        hidden_layer_sizes: Sequence[int] = (64, 64),
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.n_features = n_features
        self.network = MLP(n_context, 2 + rank, n_features, hidden_layer_sizes, generator=generator)
        loading = torch.randn(n_features, rank, generator=generator) / math.sqrt(rank * n_features)
        self.loading = nn.Parameter(INITIAL_LOADING * loading)

    def _moments(self, context) -> tuple[Tensor, Tensor, Tensor]:
        out = self.network(clamp_inputs(context))  # (2 + rank, d, n)
        loading = self.loading + out[2:].movedim(0, -1).movedim(1, 0)  # (n, d, rank)
        return out[0].T, bounded_log_scale(out[1]).T, loading

    def log_prob(self, x, context=None):
        mean, log_scale, loading = self._moments(context)
        residual = (x - mean) * torch.exp(-log_scale)
        loading = loading * torch.exp(-log_scale)[..., None]
        eye = torch.eye(loading.shape[2], dtype=x.dtype, device=x.device)
        root, failed = torch.linalg.cholesky_ex(eye + loading.mT @ loading)  # (n, rank, rank)
        explained = torch.linalg.solve_triangular(
            root, loading.mT @ residual[..., None], upper=False
        )[..., 0]
        log_det = log_scale.sum(1) + root.diagonal(dim1=1, dim2=2).log().sum(1)
        square = (residual * residual).sum(1) - (explained * explained).sum(1)
        log_prob = -0.5 * square - log_det - self.n_features * LOG_SQRT_2PI
        # Loadings that diverge are the training loop's to roll back: not finite, but no exception.
        return torch.where(failed > 0, torch.nan, log_prob)

    def sample(self, n, context=None, generator=None):
        mean, log_scale, loading = self._moments(context)
        like = {"generator": generator, "dtype": mean.dtype, "device": mean.device}
        own = log_scale.exp() * torch.randn(mean.shape, **like)
        common = loading @ torch.randn(n, loading.shape[2], 1, **like)
        return mean + own + common[..., 0]

    def mean(self, context):
        return self._moments(context)[0]
