"""Full-covariance Gaussian mixtures."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from skflow.distributions.flow_base import FlowBase
from skflow.kernels.mixture import (
    LOG_SQRT_2PI,
    component_log_prob,
    triangular_factor,
    whitened,
)
from skflow.kernels.moments import oriented
from skflow.kernels.registry import mixture_log_prob

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture as FittedMixture


class GaussianMixture(FlowBase):
    r"""Mixture of Gaussians, each with its own full covariance.

    .. math:: p(x) = \sum_k \pi_k \, |\det U_k| \, N((x - \mu_k) U_k; 0, I)

    Each precision is :math:`U_k U_k^T` with :math:`U_k` upper triangular *by construction*, its
    diagonal an exponential: the log-determinant is the sum of that diagonal's logs, whatever
    training does to the rest.
    """

    def __init__(self, n_components: int, n_features: int):
        super().__init__()
        self.n_features = n_features
        self.logits = nn.Parameter(torch.zeros(n_components))
        self.means = nn.Parameter(torch.zeros(n_components, n_features))
        self.log_diagonal = nn.Parameter(torch.zeros(n_components, n_features))
        self.upper = nn.Parameter(torch.zeros(n_components, n_features, n_features))

    @torch.no_grad()
    def copy_fitted(self, fitted: "FittedMixture") -> None:
        """Take over a fitted scikit-learn mixture with ``covariance_type="full"``."""
        self.logits.copy_(torch.as_tensor(fitted.weights_).clamp_min(1e-30).log())
        self.means.copy_(torch.as_tensor(fitted.means_))
        self.set_factor(torch.as_tensor(fitted.precisions_cholesky_))

    @torch.no_grad()
    def set_factor(self, factor: Tensor) -> None:
        """Set all U, upper triangular with a positive diagonal: shape (K, d, d)."""
        self.log_diagonal.copy_(factor.diagonal(dim1=1, dim2=2).log())
        self.upper.copy_(factor.triu(1))

    def factor(self) -> Tensor:
        """All U: shape (K, d, d)."""
        return triangular_factor(self.log_diagonal, self.upper)

    def _weights(self):
        return self.logits.log_softmax(0), self.means, self.log_diagonal, self.upper

    def component_log_prob(self, x: Tensor) -> Tensor:
        """Log of every component's weight times its density: shape (n, K)."""
        return component_log_prob(x, *self._weights())

    def log_prob(self, x, context=None):
        return mixture_log_prob(x, *self._weights())

    def log_prob_per_dimension(self, x, context=None):
        # U is upper triangular: column j of x U is a matter of the columns up to j alone.
        white = whitened(x, self.means, self.factor())
        terms = self.log_diagonal - 0.5 * white.square() - LOG_SQRT_2PI
        so_far = self.logits.log_softmax(0)[:, None] + terms.cumsum(2)
        so_far = torch.logsumexp(so_far, 1)  # of the first column, the first two, ...
        return torch.cat([so_far[:, :1], so_far.diff(dim=1)], 1)

    def sample(self, n, context=None, generator=None):
        like = {"dtype": self.means.dtype, "device": self.means.device}
        # A uniform against the cumulated weights: a whole draw without torch.multinomial's limits.
        cumulated = self.logits.softmax(0).cumsum(0)[:-1].contiguous()
        component = torch.searchsorted(cumulated, torch.rand(n, generator=generator, **like))
        noise = torch.randn(n, self.means.shape[1], generator=generator, **like)
        eye = torch.eye(noise.shape[1], **like).expand(len(self.means), -1, -1)
        inverse = torch.linalg.solve_triangular(self.factor(), eye, upper=True)
        # Every component's step in one product, then each row's own: no (n, d, d) array.
        steps = (noise @ inverse.movedim(1, 0).reshape(noise.shape[1], -1)).view(
            n, len(self.means), -1
        )
        own = component[:, None, None].expand(-1, 1, noise.shape[1])
        return self.means[component] + steps.gather(1, own)[:, 0]

    @torch.no_grad()
    def covariance(self) -> Tensor:
        """Covariance of the whole mixture: shape (d, d)."""
        weights = self.logits.softmax(0)
        inverse = torch.linalg.inv(self.factor())
        within = (weights[:, None, None] * (inverse.mT @ inverse)).sum(0)
        centred = self.means - weights @ self.means
        return within + centred.T @ (weights[:, None] * centred)

    @classmethod
    def unfitted(cls, n_features, n_components):
        return cls(n_components, n_features)

    def principal_axes(self):
        return oriented(torch.linalg.eigh(self.covariance()).eigenvectors.flip(1))

    @torch.no_grad()
    def rotated(self, rotation):
        turned = GaussianMixture(*self.means.shape).to(self.means)
        turned.logits.copy_(self.logits)
        turned.means.copy_(self.means @ rotation)
        # The covariance is A^T A with A = U^-1 R; of A = Q T the new U is T^-1.
        root = torch.linalg.qr(torch.linalg.solve_triangular(
            self.factor(), rotation.expand(len(self.means), -1, -1), upper=True
        )).R  # fmt: skip
        root = root * root.diagonal(dim1=1, dim2=2).sign()[..., None]
        eye = torch.eye(len(rotation), dtype=root.dtype, device=root.device)
        turned.set_factor(torch.linalg.solve_triangular(root, eye.expand_as(root), upper=True))
        return turned

    def reordered(self, order):
        eye = torch.eye(self.n_features, dtype=self.means.dtype, device=self.means.device)
        return self.rotated(eye[:, order])

    @torch.no_grad()
    def marginal(self, n_kept):
        kept = GaussianMixture(len(self.means), n_kept).to(self.means)
        kept.logits.copy_(self.logits)
        kept.means.copy_(self.means[:, :n_kept])
        kept.set_factor(self.factor()[:, :n_kept, :n_kept])
        return kept

    @torch.no_grad()
    def conditional(self, n_kept, hidden_layer_sizes, generator=None):
        from skflow.distributions.conditional_mixture import ConditionalMixture  # has one of these

        n_components, n_features = self.means.shape
        factor = self.factor()
        rest = ConditionalMixture(
            n_components, n_features - n_kept, n_kept, hidden_layer_sizes, generator=generator
        ).to(self.means)
        rest.gate.load_state_dict(self.marginal(n_kept).state_dict())
        rest.log_diagonal.copy_(self.log_diagonal[:, n_kept:])
        rest.upper.copy_(factor[:, n_kept:, n_kept:].triu(1))
        rest.cross.copy_(factor[:, :n_kept, n_kept:])
        rest.centre.copy_((self.means[:, None] @ factor)[:, 0, n_kept:])
        return rest

    @torch.no_grad()
    def widened(self, n_added):
        d = self.n_features
        wide = GaussianMixture(len(self.means), d + n_added).to(self.means)
        wide.logits.copy_(self.logits)
        wide.means[:, :d] = self.means
        wide.log_diagonal[:, :d] = self.log_diagonal
        wide.upper[:, :d, :d] = self.upper
        return wide
