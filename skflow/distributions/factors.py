"""The decoder of factor analysis, and what is known of its factors in closed form."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skflow.distributions.base import Decoder
from skflow.distributions.normal import LOG_SQRT_2PI
from skflow.kernels.affine import bounded_log_scale
from skflow.networks.input_clamp import clamp_inputs
from skflow.networks.mlp import MLP


class FactorDecoder(Decoder):
    r"""``x = W z + b + s (f(z) + exp(g(z)) e)`` with independent normal e.

    Without hidden layers f and g are zero: factor analysis, whose scales do not depend on z. With
    them, zero at first, it is the decoder of a variational autoencoder that begins there.

    Parameters
    ----------
    n_features, n_context : int
    hidden_layer_sizes : sequence of int or None
    floor : float
        Below it no deviation falls, in units of x: else rows near a surface of ``n_context``
        dimensions would have an unbounded density.
    generator : torch.Generator, optional
        Source of the initial weights.
    """

    def __init__(
        self,
        n_features: int,
        n_context: int,
        hidden_layer_sizes: Sequence[int] | None = None,
        *,
        floor: float = 1e-3,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.n_features, self.floor = n_features, floor
        # Without any loadings a factor would never learn: its gradient is zero too.
        loading = torch.randn(n_features, n_context, generator=generator) / n_features
        self.loading = nn.Parameter(loading)
        self.offset = nn.Parameter(torch.zeros(n_features))
        self.log_scale = nn.Parameter(torch.zeros(n_features))
        self.network = None
        if hidden_layer_sizes is not None:
            self.network = MLP(n_context, 2, n_features, hidden_layer_sizes, generator=generator)

    def scale(self) -> Tensor:
        """Deviations of factor analysis, where f and g are zero: shape (n_features,)."""
        return self.floor + self.log_scale.exp()

    @torch.no_grad()
    def set_factors(self, loading: Tensor, offset: Tensor, variance: Tensor) -> None:
        """Take over a fitted factor analysis: columns of W, b (n_features,) and the variances.

        With fewer columns than factors the last ones keep the small loadings they have.
        """
        self.loading[:, : loading.shape[1]] = loading.to(self.loading)
        self.offset.copy_(offset)
        above = (variance.sqrt() - self.floor).clamp_min(self.floor / 100)
        self.log_scale.copy_(above.log())

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Factors of rows x under factor analysis: means (n, k), and the precision's root (k, k).

        The root is the lower Cholesky factor of :math:`I + W^T S^{-2} W`, the same for all rows.
        """
        scaled = self.loading / self.scale()[:, None]
        eye = torch.eye(scaled.shape[1], dtype=scaled.dtype, device=scaled.device)
        root, failed = torch.linalg.cholesky_ex(eye + scaled.T @ scaled)
        # Loadings that diverge are the training loop's to roll back: not finite, but no exception.
        root = torch.where(failed > 0, torch.nan, root)
        residual = (x - self.offset) / self.scale()
        return torch.cholesky_solve((residual @ scaled).T, root).T, root

    def _mean_and_log_scale(self, context):
        mean = context @ self.loading.T + self.offset
        if self.network is None:
            return mean, self.scale().log().expand_as(mean)
        shift, raw = self.network(clamp_inputs(context)).mT
        own = self.log_scale + bounded_log_scale(raw)
        return mean + self.scale() * shift, (self.floor + own.exp()).log()

    def log_prob(self, x, context=None):
        mean, log_scale = self._mean_and_log_scale(context)
        residual = (x - mean) * torch.exp(-log_scale)
        return (-0.5 * residual * residual - log_scale - LOG_SQRT_2PI).sum(1)

    def sample(self, n, context=None, generator=None):
        mean, log_scale = self._mean_and_log_scale(context)
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        return mean + log_scale.exp() * noise

    def mean(self, context):
        return self._mean_and_log_scale(context)[0]
