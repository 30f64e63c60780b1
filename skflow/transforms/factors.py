"""Low-dimensional priors as layers: factor analysis, and the autoencoder that begins there."""

from collections.abc import Sequence

import torch
from torch import Tensor

from skflow.distributions.factors import FactorDecoder
from skflow.distributions.normal import LOG_SQRT_2PI
from skflow.kernels.affine import bounded_log_scale
from skflow.networks.input_clamp import clamp_inputs
from skflow.networks.mlp import MLP
from skflow.transforms.base import DroppingTransform


class Factors(DroppingTransform):
    r"""x is described by few factors z and noise: ``x = W z + b + s e``, and z is drawn given x.

    .. math:: V = \log p(x | z) - \log q(z | x)

    Without hidden layers q is the posterior of factor analysis, so with a standard normal behind
    it :math:`\log N(z) + V` is :math:`\log N(x; b, W W^T + \mathrm{diag}(s^2))` whatever z: the
    layer takes the posterior's mean and is exact, at O(d k^2) a row.

    With hidden layers, networks that are zero at first bend the decoder's mean and deviations, and
    the posterior's: a variational autoencoder that begins at factor analysis with the right
    posterior. From there on the likelihood is a bound.

    Parameters
    ----------
    n_features, n_latent : int
    hidden_layer_sizes : sequence of int or None
        Of the networks; None for factor analysis.
    floor : float
        Of the decoder's deviations; see `FactorDecoder`.
    generator : torch.Generator, optional
        Source of the initial weights.

    References
    ----------
    Das, Abbeel, Spanos (2019), "Dimensionality Reduction Flows", arXiv:1908.01686, version 1: a
    learned prior from a low-dimensional noise space, there variational.

    Examples
    --------
    >>> import torch
    >>> from skflow.transforms import Factors
    >>> layer = Factors(5, 2)
    >>> z, contribution = layer(torch.zeros(3, 5))
    >>> z.shape, contribution.shape, layer.exact
    (torch.Size([3, 2]), torch.Size([3]), True)
    """

    def __init__(
        self,
        n_features: int,
        n_latent: int,
        hidden_layer_sizes: Sequence[int] | None = None,
        *,
        floor: float = 1e-3,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.decoder = FactorDecoder(
            n_features, n_latent, hidden_layer_sizes, floor=floor, generator=generator
        )
        self.encoder = None
        if hidden_layer_sizes is not None:
            self.encoder = MLP(n_features, 2, n_latent, hidden_layer_sizes, generator=generator)

    @property
    def exact(self) -> bool:  # type: ignore[override]
        return self.encoder is None

    def _encode(self, x: Tensor, noise) -> tuple[Tensor, Tensor]:
        """The latent row, and the log of its density given x."""
        mean, root = self.decoder.posterior(x)
        log_q = root.diagonal().log().sum() - mean.shape[1] * LOG_SQRT_2PI
        if self.encoder is None:
            return mean, log_q
        shift, raw = self.encoder(clamp_inputs(x)).mT
        log_scale = bounded_log_scale(raw)
        eps = noise(x, mean.shape[1])
        step = torch.linalg.solve_triangular(root.T, (log_scale.exp() * eps).T, upper=True).T
        return mean + shift + step, log_q - (0.5 * eps * eps + log_scale).sum(1)

    def _forward_in_parts(self, x, context, noise):
        z, log_q = self._encode(x, noise)
        return z, (-log_q).expand(len(x)), self.decoder.log_prob(x, z)

    def _inverse(self, z, context, draw):
        return draw(self.decoder, z)
