"""A density of sequences of points: each from a mixture that depends on the points before it."""

import math

import torch
from torch import Tensor, nn

from skflow.distributions.base import Distribution
from skflow.distributions.normal import LOG_SQRT_2PI
from skflow.kernels.families import bounded_log_scale
from skflow.networks.causal_transformer import CausalTransformer

INITIAL_CENTRES = 1.0


class PointSequence(Distribution):
    r"""Mixtures of Gaussians whose weights, means and scales a transformer moves.

    .. math:: p(x) = \prod_i \sum_k w_k(x_{<i}) N(x_i; m_k(x_{<i}), \Sigma_k(x_{<i}))

    The transformer is zero at first: all points are from one mixture, independently.

    Parameters
    ----------
    n_points, n_dims, n_components : int
    see : Module, optional
        From rows to the points (n, points, dims) that the transformer is to see in their place;
        point i may depend on the first i points of the row only.
    width, n_heads, n_layers : int
        Of the transformer.
    generator : torch.Generator, optional
    """

    def __init__(
        self,
        n_points: int,
        n_dims: int,
        n_components: int,
        *,
        see: nn.Module | None = None,
        width: int = 64,
        n_heads: int = 4,
        n_layers: int = 3,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.n_features = n_points * n_dims
        self.shape = n_points, n_dims
        self.see = see
        centres = torch.randn(n_components, n_dims, generator=generator)
        self.means = nn.Parameter(INITIAL_CENTRES * centres)
        self.log_weights = nn.Parameter(torch.full((n_components,), -math.log(n_components)))
        # Lower triangle of the covariances' roots, the diagonal as logs.
        self.roots = nn.Parameter(torch.zeros(n_components, n_dims, n_dims))
        self.network = CausalTransformer(
            n_points,
            n_dims,
            n_components * (1 + 2 * n_dims),
            width=width,
            n_heads=n_heads,
            n_layers=n_layers,
            generator=generator,
        )

    @torch.no_grad()
    def copy_fitted(self, mixture) -> None:
        """Take over scikit-learn's fitted mixture with full covariances."""
        like = self.means
        root = torch.linalg.cholesky(torch.as_tensor(mixture.covariances_).to(like))
        diagonal = root.diagonal(dim1=1, dim2=2)
        self.means.copy_(torch.as_tensor(mixture.means_).to(like))
        self.log_weights.copy_(torch.as_tensor(mixture.weights_).to(like).log())
        self.roots.copy_(root.tril(-1) + torch.diag_embed(diagonal.log()))

    def _components(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-weights (n, points, K), means (.., K, dims), and roots (.., K, dims, dims)."""
        points = rows.view(-1, *self.shape) if self.see is None else self.see(rows)
        n_components, n_dims = self.means.shape
        out = self.network(points)
        weight, shift, scale = out.split(
            [n_components, n_components * n_dims, n_components * n_dims], -1
        )
        diagonal = self.roots.diagonal(dim1=1, dim2=2).exp()
        own = self.roots.tril(-1) + torch.diag_embed(diagonal)
        shape = *out.shape[:2], n_components, n_dims
        root = own * bounded_log_scale(scale.view(shape)).exp()[..., None]
        mean = self.means + diagonal * shift.view(shape)
        return (self.log_weights + weight).log_softmax(-1), mean, root

    def log_prob(self, x, context=None):
        log_weight, mean, root = self._components(x)
        points = x.view(-1, *self.shape)
        difference = points[:, :, None] - mean
        # Forward substitution by hand: two or three coordinates, very many points.
        residual: list[Tensor] = []
        for i in range(self.shape[1]):
            known = sum((root[..., i, j] * residual[j] for j in range(i)), start=torch.zeros(()))
            residual.append((difference[..., i] - known) / root[..., i, i])
        square = torch.stack(residual).square().sum(0)
        log_det = root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        terms = log_weight - 0.5 * square - log_det - self.shape[1] * LOG_SQRT_2PI
        return terms.logsumexp(-1).sum(1)

    def sample(self, n, context=None, generator=None):
        like = {"generator": generator, "dtype": self.means.dtype, "device": self.means.device}
        rows = torch.zeros(n, self.n_features, **{k: like[k] for k in ("dtype", "device")})
        points = rows.view(n, *self.shape)
        for i in range(self.shape[0]):
            log_weight, mean, root = (part[:, i] for part in self._components(rows))
            cumulated = log_weight.exp().cumsum(1)[:, :-1].contiguous()
            component = torch.searchsorted(cumulated, torch.rand(n, 1, **like))[:, 0]
            every = torch.arange(n, device=rows.device)
            noise = torch.randn(n, self.shape[1], 1, **like)
            points[:, i] = mean[every, component] + (root[every, component] @ noise)[..., 0]
        return rows
