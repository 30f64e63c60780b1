"""What a transform is: a map from data x to latent z that knows its likelihood contribution."""

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from skflow.transforms.ledger import Ledger
from skflow.transforms.noise import Draw, Noise


class Transform(nn.Module, ABC):
    r"""A map from the data side x to the latent side z.

    .. math:: \log p(x) = \mathrm{E}_{q(z|x)}[\log p(z) + V(x, z) + E(x, z)]

    Subclasses are final. They give `forward` and `inverse`; bijections and inference
    surjections are exact (E = 0). In training mode a layer may give a contribution of which only
    the gradient is to be trusted; in evaluation mode it is what it says.

    Attributes
    ----------
    exact : bool
        Whether the contribution is the likelihood itself (True) or a bound on it.

    References
    ----------
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.
    """

    exact: bool = True

    @abstractmethod
    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Map ``x`` of shape (n, d) to z; also the contribution V of shape (n,), in nats."""

    @abstractmethod
    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """The generative direction, from z to x."""

    def inverse_after(
        self, following: "Transform", z: Tensor, context: Tensor | None, draw: Draw | None
    ) -> Tensor:
        """The inverse of this transform after that of ``following``, which comes behind it.

        A transform that knows what values there are may guide how they are drawn.
        """
        return inverse_with(self, inverse_with(following, z, context, draw), context, draw)

    def forward_in_parts(
        self, x: Tensor, context: Tensor | None = None, noise: Noise | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `forward`, the contribution in two: what volume gives, and log p(dropped | z)."""
        z, contribution = forward_with(self, x, context, noise)
        return z, contribution, torch.zeros_like(contribution)

    def forward_booked(
        self, x: Tensor, context: Tensor | None, noise: Noise | None, ledger: Ledger
    ) -> Tensor:
        """As `forward`; the contribution goes into ``ledger``, to whom it belongs."""
        z, contribution = forward_with(self, x, context, noise)
        ledger.spread(contribution)
        if z.shape != x.shape:
            ledger.open(z.shape[1])
        return z

    @torch.no_grad()
    def initialize(
        self, x: Tensor, weight: Tensor | None = None, context: Tensor | None = None
    ) -> Tensor:
        """Set data-dependent parameters from rows ``x`` and their weights; return z."""
        return self.forward(x, context)[0]


class DimensionwiseTransform(Transform):
    """A transform whose contribution is a sum over dimensions."""

    @abstractmethod
    def forward_per_dimension(
        self, x: Tensor, context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """As `forward`, the contribution kept apart by dimension: shape (n, d)."""

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, contributions = self.forward_per_dimension(x, context)
        return z, contributions.sum(1)

    def forward_booked(self, x, context, noise, ledger):
        z, contributions = self.forward_per_dimension(x, context)
        ledger.book(contributions)
        return z


class StochasticTransform(Transform):
    """A transform that draws in one of its directions, or wraps others that may.

    Both directions take one argument more, which says where the randomness comes from; without it
    torch's global generator is used.
    """

    @abstractmethod
    def forward(
        self, x: Tensor, context: Tensor | None = None, noise: Noise | None = None
    ) -> tuple[Tensor, Tensor]:
        """As `Transform.forward`; z is drawn with ``noise`` where it is not a function of x."""

    @abstractmethod
    def inverse(self, z: Tensor, context: Tensor | None = None, draw: Draw | None = None) -> Tensor:
        """As `Transform.inverse`; what z leaves open is drawn with ``draw``."""

    @torch.no_grad()
    def initialize(
        self,
        x: Tensor,
        weight: Tensor | None = None,
        context: Tensor | None = None,
        noise: Noise | None = None,
    ) -> Tensor:
        """As `Transform.initialize`; z is drawn with ``noise`` where it is no function of x."""
        return self.forward(x, context, noise)[0]


def forward_with(
    step: Transform, x: Tensor, context: Tensor | None, noise: Noise | None
) -> tuple[Tensor, Tensor]:
    """Run any transform forward, with noise if it takes some."""
    if isinstance(step, StochasticTransform):
        return step(x, context, noise)
    return step(x, context)


def initialize_with(
    step: Transform,
    x: Tensor,
    weight: Tensor | None,
    context: Tensor | None,
    noise: Noise | None,
) -> Tensor:
    """Initialise any transform, with noise if it takes some."""
    if isinstance(step, StochasticTransform):
        return step.initialize(x, weight, context, noise)
    return step.initialize(x, weight, context)


def inverse_with(step: Transform, z: Tensor, context: Tensor | None, draw: Draw | None) -> Tensor:
    """Run any transform backward, with draws if it takes some."""
    if isinstance(step, StochasticTransform):
        return step.inverse(z, context, draw)
    return step.inverse(z, context)


class Compose(StochasticTransform):
    """Several transforms, the first one nearest to the data."""

    def __init__(self, transforms: Iterable[Transform]):
        super().__init__()
        self.steps = nn.ModuleList(transforms)

    @property
    def exact(self) -> bool:  # type: ignore[override]
        return all(step.exact for step in self.steps)

    def forward(self, x, context=None, noise=None):
        total = x.new_zeros(x.shape[0])
        for step in self.steps:
            x, contribution = forward_with(step, x, context, noise)
            total = total + contribution
        return x, total

    def forward_in_parts(self, x, context=None, noise=None):
        volume, dropped = x.new_zeros(x.shape[0]), x.new_zeros(x.shape[0])
        for step in self.steps:
            x, more_volume, more_dropped = step.forward_in_parts(x, context, noise)
            volume, dropped = volume + more_volume, dropped + more_dropped
        return x, volume, dropped

    def forward_booked(self, x, context, noise, ledger):
        for step in self.steps:
            x = step.forward_booked(x, context, noise, ledger)
        return x

    def inverse(self, z, context=None, draw=None):
        for step in reversed(self.steps):
            z = inverse_with(step, z, context, draw)
        return z

    @torch.no_grad()
    def initialize(self, x, weight=None, context=None, noise=None):
        for step in self.steps:
            x = initialize_with(step, x, weight, context, noise)
        return x


class TrainingTerm(nn.Module):
    """A loss that a layer asks for beside the likelihood, such as a reconstruction.

    The layer's pass in training mode leaves it in ``pending``, one number per row in nats; the
    flow collects it and the loop adds it to the loss. It is no part of any contribution.
    """

    pending: Tensor | None = None

    def take(self) -> Tensor | None:
        """Give away what the last pass left."""
        term, self.pending = self.pending, None
        return term

    def train(self, mode: bool = True):
        """Switch mode; a term that nobody took is dropped."""
        self.pending = None
        return super().train(mode)
