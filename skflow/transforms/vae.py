"""A variational autoencoder as a layer: both directions are drawn."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from skflow.distributions.base import Decoder
from skflow.distributions.normal import LOG_SQRT_2PI
from skflow.kernels.affine import bounded_log_scale
from skflow.networks.input_clamp import clamp_inputs
from skflow.networks.mlp import MLP
from skflow.transforms.base import DroppingTransform


class VAE(DroppingTransform):
    r"""``z ~ q(z | x)``, normal with independent columns; going back, ``x ~ p(x | z)``.

    .. math:: V = \log p(x | z) - \log q(z | x)

    A stochastic layer: the likelihood is a bound, the evidence lower bound where a standard normal
    follows. The widths of x and z are free of each other.

    The encoder starts with random means and unit scales, not with the same z for every row: a
    decoder that ignores z and an encoder that ignores x have no reason to change.

    Parameters
    ----------
    n_features, n_latent : int
    decoder : Decoder
        Of ``n_features`` columns; its context is z, and beside it the layer's context.
    hidden_layer_sizes : sequence of int
        Of the encoder's perceptron.
    n_context : int
        Width of the context, 0 for none.
    generator : torch.Generator, optional
        Source of the encoder's initial weights.

    References
    ----------
    Kingma, Welling (2014), "Auto-Encoding Variational Bayes", arXiv:1312.6114.
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.

    Examples
    --------
    >>> import torch
    >>> from skflow.distributions import LocationScale, StandardNormal
    >>> from skflow.transforms import VAE
    >>> layer = VAE(5, 2, LocationScale(StandardNormal(5), n_context=2))
    >>> z, contribution = layer(torch.zeros(3, 5))
    >>> z.shape, layer.inverse(z).shape
    (torch.Size([3, 2]), torch.Size([3, 5]))
    """

    exact = False

    def __init__(
        self,
        n_features: int,
        n_latent: int,
        decoder: Decoder,
        hidden_layer_sizes: Sequence[int] = (64, 64),
        *,
        n_context: int = 0,
        generator: torch.Generator | None = None,
    ):
        super().__init__(n_context)
        if decoder.n_features != n_features:
            raise ValueError(
                f"the decoder is for {decoder.n_features} columns, but x has {n_features}."
            )
        self.n_latent = n_latent
        self.decoder = decoder
        self.encoder = MLP(
            n_features + n_context, 2, n_latent, hidden_layer_sizes, generator=generator
        )
        with torch.no_grad():
            mean_weight = self.encoder.last.weight[:n_latent]
            bound = 1 / math.sqrt(mean_weight.shape[1])
            mean_weight.uniform_(-bound, bound, generator=generator)

    @staticmethod
    def _beside(columns: Tensor, context: Tensor | None) -> Tensor:
        return columns if context is None else torch.cat([columns, context], 1)

    def _encode(self, x, context, noise):
        """Draw z, and the log of its density."""
        mean, raw = self.encoder(clamp_inputs(self._beside(x, context))).mT
        log_scale = bounded_log_scale(raw)
        eps = noise(x, self.n_latent)
        log_q = (-0.5 * eps * eps - log_scale - LOG_SQRT_2PI).sum(1)
        return mean + log_scale.exp() * eps, log_q

    def _forward_in_parts(self, x, context, noise):
        z, log_q = self._encode(x, context, noise)
        return z, -log_q, self.decoder.log_prob(x, self._beside(z, context))

    def _inverse(self, z, context, draw):
        return draw(self.decoder, self._beside(z, context))

    def _initialize(self, x, weight, context, noise):
        z, _ = self._encode(x, context, noise)
        self.decoder.initialize(x, self._beside(z, context), weight)
        return z
