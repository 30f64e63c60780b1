"""What a transform is: a map from data x to latent z that knows its likelihood contribution."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from skflow.transforms.ledger import Ledger
from skflow.transforms.noise import Draw, Noise, fresh_draw, fresh_noise


class Transform(nn.Module, ABC):
    r"""A map from the data side x to the latent side z.

    .. math:: \log p(x) = \mathrm{E}_{q(z|x)}[\log p(z) + V(x, z) + E(x, z)]

    Bijections and inference surjections are exact (E = 0). In training mode a layer may give a
    contribution of which only the gradient is to be trusted; in evaluation mode it is what it says.

    Users call `forward`, `inverse` and `initialize`. These check the context and fill in where
    randomness comes from, once, and call the methods of the same names with an underscore, which
    are the mathematics. Subclasses are final and give `_forward` and `_inverse`, and `_initialize`
    where data set some of their numbers.

    Parameters
    ----------
    n_context : int, default=0
        Width of the context that the layer takes; 0 for none.

    Attributes
    ----------
    exact : bool
        Whether the contribution is the likelihood itself (True) or a bound on it.

    References
    ----------
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.
    """

    exact: bool = True

    def __init__(self, n_context: int = 0):
        super().__init__()
        self.n_context = n_context

    # -- what users call ----------------------------------------------------------------------

    def forward(
        self, x: Tensor, context: Tensor | None = None, noise: Noise | None = None
    ) -> tuple[Tensor, Tensor]:
        """Map ``x`` of shape (n, d) to z; also the contribution V of shape (n,), in nats.

        Where z is not a function of x it is drawn with ``noise``, by default from torch's global
        generator.
        """
        self._check_context(x, context)
        return self._forward(x, context, fresh_noise() if noise is None else noise)

    def inverse(self, z: Tensor, context: Tensor | None = None, draw: Draw | None = None) -> Tensor:
        """The generative direction, from z to x; what z leaves open is drawn with ``draw``."""
        self._check_context(z, context)
        return self._inverse(z, context, fresh_draw() if draw is None else draw)

    def inverse_after(
        self, following: "Transform", z: Tensor, context: Tensor | None, draw: Draw
    ) -> Tensor:
        """The inverse of this transform after that of ``following``, the one behind it.

        Each takes the context if it takes one. Who knows what values there are may guide how they
        are drawn.
        """
        for step in (self, following):
            step._check_context(z, step.taken(context))
        return self._inverse_after(following, z, context, draw)

    @torch.no_grad()
    def initialize(
        self,
        x: Tensor,
        weight: Tensor | None = None,
        context: Tensor | None = None,
        noise: Noise | None = None,
    ) -> Tensor:
        """Set data-dependent parameters from rows ``x``; return z.

        A row of weight w counts as w equal rows.
        """
        self._check_context(x, context)
        return self._initialize(x, weight, context, fresh_noise() if noise is None else noise)

    def forward_in_parts(
        self, x: Tensor, context: Tensor | None = None, noise: Noise | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `forward`, the contribution in two: what volume gives, and log p(dropped | z)."""
        self._check_context(x, context)
        return self._forward_in_parts(x, context, fresh_noise() if noise is None else noise)

    def forward_booked(
        self, x: Tensor, context: Tensor | None, noise: Noise | None, ledger: Ledger
    ) -> Tensor:
        """As `forward`; the contribution goes into ``ledger``, to whom it belongs."""
        self._check_context(x, context)
        return self._forward_booked(x, context, fresh_noise() if noise is None else noise, ledger)

    # -- the mathematics ----------------------------------------------------------------------

    @abstractmethod
    def _forward(self, x: Tensor, context: Tensor | None, noise: Noise) -> tuple[Tensor, Tensor]:
        """See `forward`; the context is there if and only if the layer takes one."""

    @abstractmethod
    def _inverse(self, z: Tensor, context: Tensor | None, draw: Draw) -> Tensor:
        """See `inverse`."""

    def _inverse_after(
        self, following: "Transform", z: Tensor, context: Tensor | None, draw: Draw
    ) -> Tensor:
        """See `inverse_after`."""
        z = following._inverse(z, following.taken(context), draw)
        return self._inverse(z, self.taken(context), draw)

    def _initialize(
        self, x: Tensor, weight: Tensor | None, context: Tensor | None, noise: Noise
    ) -> Tensor:
        return self._forward(x, context, noise)[0]

    def _forward_in_parts(
        self, x: Tensor, context: Tensor | None, noise: Noise
    ) -> tuple[Tensor, Tensor, Tensor]:
        z, contribution = self._forward(x, context, noise)
        return z, contribution, torch.zeros_like(contribution)

    def _forward_booked(
        self, x: Tensor, context: Tensor | None, noise: Noise, ledger: Ledger
    ) -> Tensor:
        z, contribution = self._forward(x, context, noise)
        ledger.spread(contribution)
        if z.shape != x.shape:
            ledger.open(z.shape[1])
        return z

    # -- the context --------------------------------------------------------------------------

    def _check_context(self, rows: Tensor, context: Tensor | None) -> None:
        wanted = (len(rows), self.n_context) if self.n_context else None
        given = None if context is None else tuple(context.shape)
        if given != wanted:
            takes = "no context" if wanted is None else f"a context of shape {wanted}"
            got = "none" if given is None else f"one of shape {given}"
            raise ValueError(f"{type(self).__name__} takes {takes}, got {got}.")

    def taken(self, context: Tensor | None) -> Tensor | None:
        """The context as this layer takes it: none if it takes none."""
        return context if self.n_context else None


class DimensionwiseTransform(Transform):
    """A transform whose contribution is a sum over dimensions.

    Subclasses give `_forward_per_dimension` in place of `_forward`.
    """

    def forward_per_dimension(
        self, x: Tensor, context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As `forward`, the contribution kept apart by dimension: shape (n, d)."""
        self._check_context(x, context)
        return self._forward_per_dimension(x, context)

    @abstractmethod
    def _forward_per_dimension(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        """See `forward_per_dimension`."""

    def _forward(self, x, context, noise):
        z, contributions = self._forward_per_dimension(x, context)
        return z, contributions.sum(1)

    def _forward_booked(self, x, context, noise, ledger):
        z, contributions = self._forward_per_dimension(x, context)
        ledger.book(contributions)
        return z


class DroppingTransform(Transform):
    """A transform that drops a part of x, of which it has the density given z.

    Subclasses give `_forward_in_parts` in place of `_forward`.
    """

    @abstractmethod
    def _forward_in_parts(self, x, context, noise):
        """See `forward_in_parts`."""

    def _forward(self, x, context, noise):
        z, volume, log_dropped = self._forward_in_parts(x, context, noise)
        return z, volume + log_dropped
