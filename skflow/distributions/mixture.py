"""Full-covariance Gaussian mixtures."""

from typing import TYPE_CHECKING

import torch
from torch import nn

from skflow.distributions.base import Distribution
from skflow.distributions.normal import LOG_SQRT_2PI

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture as FittedMixture


class GaussianMixture(Distribution):
    r"""Mixture of Gaussians, each with its own full covariance.

    .. math:: p(x) = \sum_k \pi_k \, |\det U_k| \, N((x - \mu_k) U_k; 0, I)

    Each precision is :math:`U_k U_k^T` with :math:`U_k` upper triangular *by construction*, its
    diagonal an exponential: the log-determinant is the sum of that diagonal's logs, whatever
    training does to the rest.
    """

    def __init__(self, n_components: int, n_features: int):
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(n_components))
        self.means = nn.Parameter(torch.zeros(n_components, n_features))
        self.log_diagonal = nn.Parameter(torch.zeros(n_components, n_features))
        self.upper = nn.Parameter(torch.zeros(n_components, n_features, n_features))

    @torch.no_grad()
    def copy_fitted(self, fitted: "FittedMixture") -> None:
        """Take over a fitted scikit-learn mixture with ``covariance_type="full"``."""
        factor = torch.as_tensor(fitted.precisions_cholesky_)
        self.logits.copy_(torch.as_tensor(fitted.weights_).clamp_min(1e-30).log())
        self.means.copy_(torch.as_tensor(fitted.means_))
        self.log_diagonal.copy_(factor.diagonal(dim1=1, dim2=2).log())
        self.upper.copy_(factor.triu(1))

    def _factor(self):
        return self.upper.triu(1) + torch.diag_embed(self.log_diagonal.exp())

    def log_prob(self, x, context=None):
        n_components, d = self.means.shape
        factor = self._factor()  # (K, d, d)
        centre = (self.means[:, None] @ factor)[:, 0]  # (K, d)
        whitened = x @ factor.movedim(1, 0).reshape(d, -1)  # (n, K d)
        whitened = whitened.view(-1, n_components, d) - centre
        log_prob = self.log_diagonal.sum(1) - 0.5 * (whitened * whitened).sum(2)
        return torch.logsumexp(log_prob + self.logits.log_softmax(0), 1) - d * LOG_SQRT_2PI

    def sample(self, n, context=None, generator=None):
        like = {"dtype": self.means.dtype, "device": self.means.device}
        # A uniform against the cumulated weights: a whole draw without torch.multinomial's limits.
        cumulated = self.logits.softmax(0).cumsum(0)[:-1].contiguous()
        component = torch.searchsorted(cumulated, torch.rand(n, generator=generator, **like))
        noise = torch.randn(n, self.means.shape[1], generator=generator, **like)
        eye = torch.eye(noise.shape[1], **like).expand(len(self.means), -1, -1)
        inverse = torch.linalg.solve_triangular(self._factor(), eye, upper=True)
        # Every component's step in one product, then each row's own: no (n, d, d) array.
        steps = (noise @ inverse.movedim(1, 0).reshape(noise.shape[1], -1)).view(
            n, len(self.means), -1
        )
        own = component[:, None, None].expand(-1, 1, noise.shape[1])
        return self.means[component] + steps.gather(1, own)[:, 0]
