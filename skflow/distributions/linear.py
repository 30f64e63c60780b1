"""A linear regression in front of another conditional density."""

import torch
from torch import Tensor, nn

from skflow.distributions.base import Decoder
from skflow.kernels.mixture import triangular_factor
from skflow.kernels.moments import covariance_and_intensity, weighted_mean, weighted_moments


class LinearDecoder(Decoder):
    r"""Another decoder on the whitened residuals of a linear regression of x on the context.

    .. math:: p(x | z) = |\det U| \, p_{inner}(x U + z C - c \mid z)

    with an upper triangular U. `initialize` takes U, C and c from the correlations of (z, x),
    shrunk as Ledoit and Wolf propose: with an inner decoder at N(0, I) that is the Gaussian
    regression. Give it more rows than columns.

    Parameters
    ----------
    inner : Decoder
    n_context : int
    """

    def __init__(self, inner: Decoder, n_context: int):
        super().__init__()
        d = self.n_features = inner.n_features
        self.inner = inner
        self.log_diagonal = nn.Parameter(torch.zeros(d))
        self.upper = nn.Parameter(torch.zeros(d, d))
        self.cross = nn.Parameter(torch.zeros(n_context, d))
        self.centre = nn.Parameter(torch.zeros(d))

    @torch.no_grad()
    def initialize(self, x, context, weight=None):
        joint = torch.cat([context, x], 1)
        mean = weighted_mean(joint, weight)
        # In units of each column, else shrinkage would favour the large ones.
        scale = weighted_moments(joint, weight)[1]
        covariance, intensity = covariance_and_intensity((joint - mean) / scale, weight)
        average = covariance.diagonal().mean().clamp_min(torch.finfo(x.dtype).tiny)
        eye = torch.eye(len(mean), dtype=x.dtype, device=x.device)
        root = torch.linalg.cholesky((1 - intensity) * covariance + intensity * average * eye)
        factor = torch.linalg.solve_triangular(root, eye, upper=False).T / scale[:, None]
        k = context.shape[1]
        self.log_diagonal.copy_(factor.diagonal()[k:].log())
        self.upper.copy_(factor[k:, k:].triu(1))
        self.cross.copy_(factor[:k, k:])
        self.centre.copy_(mean @ factor[:, k:])

    def _factor(self) -> Tensor:
        return triangular_factor(self.log_diagonal, self.upper)

    def log_prob(self, x, context=None):
        residual = x @ self._factor() + context @ self.cross - self.centre
        return self.inner.log_prob(residual, context) + self.log_diagonal.sum()

    def _restored(self, residual, context):
        rows = residual + self.centre - context @ self.cross
        return torch.linalg.solve_triangular(self._factor(), rows, upper=True, left=False)

    def sample(self, n, context=None, generator=None):
        return self._restored(self.inner.sample(n, context, generator), context)

    def mean(self, context):
        return self._restored(self.inner.mean(context), context)
