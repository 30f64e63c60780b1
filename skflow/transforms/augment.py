"""Widening: columns of noise are added on the way to the latent side."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skflow.distributions.normal import LOG_SQRT_2PI
from skflow.kernels.affine import bounded_log_scale
from skflow.networks.input_clamp import clamp_inputs
from skflow.networks.mlp import MLP
from skflow.transforms.base import Transform


class Augment(Transform):
    r"""``z = (x, u)`` with Gaussian noise u that a network may fit to x.

    .. math:: u \sim q(u | x) = N(\mu(x), \mathrm{diag}(\sigma(x)^2)), \qquad V = -\log q(u | x).

    A generative surjection: the inverse drops u, whatever it is, so the likelihood is a bound. The
    noise has the whole line as its support; with a bounded one, the bound would never close,
    however many importance samples one takes.

    Parameters
    ----------
    n_features, n_added : int
    hidden_layer_sizes : sequence of int
    network : Module, optional
        In place of the perceptron: from x (n, n_features) to mean and log-scale (2, n_added, n).
    n_context : int
        Width of the context, 0 for none.
    generator : torch.Generator, optional
        Source of the initial weights.

    References
    ----------
    Huang, Dinh, Courville (2020), "Augmented Normalizing Flows", arXiv:2002.07101.
    Chen, Lu, Chenli, Zhu, Tian (2020), "VFlow", arXiv:2002.09741.
    """

    exact = False

    def __init__(
        self,
        n_features: int,
        n_added: int,
        hidden_layer_sizes: Sequence[int] = (64, 64),
        *,
        network: nn.Module | None = None,
        n_context: int = 0,
        generator: torch.Generator | None = None,
    ):
        super().__init__(n_context)
        self.n_features = n_features
        self.n_added = n_added
        if network is None:
            network = MLP(
                n_features + n_context, 2, n_added, hidden_layer_sizes, generator=generator
            )
        self.network = network

    def _forward(self, x, context, noise):
        seen = x if context is None else torch.cat([x, context], 1)
        mean, raw = self.network(clamp_inputs(seen))
        log_scale = bounded_log_scale(raw).T
        eps = noise(x, self.n_added)
        u = mean.T + log_scale.exp() * eps
        log_q = (-0.5 * eps * eps - log_scale - LOG_SQRT_2PI).sum(1)
        return torch.cat([x, u], 1), -log_q

    def _inverse(self, z, context, draw):
        return z[:, : self.n_features]


class ConstantScale(nn.Module):
    """For `Augment`: noise of mean zero and one learned scale, whatever x is."""

    def __init__(self, n_added: int, scale: float):
        super().__init__()
        self.n_added = n_added
        self.log_scale = nn.Parameter(torch.tensor(scale).log())

    def forward(self, x: Tensor) -> Tensor:
        shape = self.n_added, x.shape[0]
        return torch.stack([x.new_zeros(shape), self.log_scale.expand(shape)])
