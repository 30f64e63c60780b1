"""A mixture of Gaussians given a latent: the other half of a joint mixture."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skflow.distributions.base import Decoder
from skflow.distributions.mixture import GaussianMixture
from skflow.distributions.normal import LOG_SQRT_2PI
from skflow.kernels.affine import bounded_log_scale
from skflow.kernels.mixture import triangular_factor
from skflow.networks.input_clamp import clamp_inputs
from skflow.networks.mlp import MLP

INITIAL_SPREAD = 0.1  # of the components' centres: equal ones would stay equal


class ConditionalMixture(Decoder):
    r"""Conditional density of the last columns under a Gaussian mixture of all, bent by a network.

    A joint component with the factor U of `GaussianMixture` is the product of one of the first
    columns z (the gate) and one of the others given z, read off the blocks of U:

    .. math:: p(x | z) = \sum_k r_k(z) \, |\det U^{xx}_k| \, N(x U^{xx}_k + z U^{zx}_k - c_k; 0, I),

    with responsibilities :math:`r_k(z)` from the gate. A network, zero at first, shifts and scales
    x and moves the log-responsibilities.

    Parameters
    ----------
    n_components, n_features, n_context : int
    hidden_layer_sizes : sequence of int
    generator : torch.Generator, optional
        Source of the initial weights.

    See Also
    --------
    GaussianMixture.conditional : Makes one from a joint mixture. Made by itself, it is close to
        N(0, I).
    """

    def __init__(
        self,
        n_components: int,
        n_features: int,
        n_context: int,
        hidden_layer_sizes: Sequence[int] = (64, 64),
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.n_features = n_features
        self.gate = GaussianMixture(n_components, n_context)
        centre = torch.randn(n_components, n_features, generator=generator)
        self.centre = nn.Parameter(INITIAL_SPREAD * centre)
        self.log_diagonal = nn.Parameter(torch.zeros(n_components, n_features))
        self.upper = nn.Parameter(torch.zeros(n_components, n_features, n_features))
        self.cross = nn.Parameter(torch.zeros(n_components, n_context, n_features))
        self.network = MLP(
            n_context, 1, 2 * n_features + n_components, hidden_layer_sizes, generator=generator
        )

    def _given(self, context: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Shift (n, d), log-scale (n, d), log-responsibilities (n, K), whitened means (n, K, d)."""
        d = self.n_features
        out = self.network(clamp_inputs(context))[0].T
        log_gate = self.gate.component_log_prob(context) + out[:, 2 * d :]
        means = self.centre - torch.einsum("nc,kcd->nkd", context, self.cross)
        return out[:, :d], bounded_log_scale(out[:, d : 2 * d]), log_gate.log_softmax(1), means

    def _factor(self) -> Tensor:
        return triangular_factor(self.log_diagonal, self.upper)

    def log_prob(self, x, context=None):
        shift, log_scale, log_gate, means = self._given(context)
        u = (x - shift) * torch.exp(-log_scale)
        n_components, d = self.centre.shape
        whitened = (u @ self._factor().movedim(1, 0).reshape(d, -1)).view(-1, n_components, d)
        square = ((whitened - means) ** 2).sum(2)
        log_prob = torch.logsumexp(log_gate + self.log_diagonal.sum(1) - 0.5 * square, 1)
        return log_prob - log_scale.sum(1) - d * LOG_SQRT_2PI

    def _unwhitened(self, rows: Tensor) -> Tensor:
        """Solve ``u U_k = row`` for every component: (n, K, d) to (n, K, d)."""
        solved = torch.linalg.solve_triangular(
            self._factor(), rows.movedim(1, 0), upper=True, left=False
        )
        return solved.movedim(0, 1)

    def sample(self, n, context=None, generator=None):
        shift, log_scale, log_gate, means = self._given(context)
        like = {"generator": generator, "dtype": shift.dtype, "device": shift.device}
        # A uniform against the cumulated weights: see `GaussianMixture.sample`.
        cumulated = log_gate.exp().cumsum(1)[:, :-1].contiguous()
        component = torch.searchsorted(cumulated, torch.rand(n, 1, **like))
        noise = torch.randn(n, 1, self.n_features, **like)
        own = component[..., None].expand(-1, -1, self.n_features)
        u = self._unwhitened(means + noise).gather(1, own)[:, 0]
        return shift + log_scale.exp() * u

    def mean(self, context):
        shift, log_scale, log_gate, means = self._given(context)
        u = (log_gate.exp()[..., None] * self._unwhitened(means)).sum(1)
        return shift + log_scale.exp() * u
