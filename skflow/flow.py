"""Flow: transforms on top of a base distribution."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from skflow.distributions.base import Distribution
from skflow.transforms.base import Transform
from skflow.transforms.compose import Compose
from skflow.transforms.ledger import Ledger
from skflow.transforms.noise import Draw, Noise, fresh_draw, mean_draw, no_noise
from skflow.transforms.training_term import TrainingTerm


class Flow(nn.Module):
    """A density built from transforms and a base distribution.

    Parameters
    ----------
    fixed : Transform or iterable of Transform
        From the data on: maps that training leaves as they are. An empty list for none.
    learned : Transform or iterable of Transform
        From there to the latent side.
    base : Distribution
        The density of the latent variable.

    Attributes
    ----------
    exact : bool
        True if `log_prob` is the log-density, False if it is a lower bound.

    Examples
    --------
    >>> import torch
    >>> from skflow.flow import Flow
    >>> from skflow.distributions import StandardNormal
    >>> from skflow.transforms import Standardize
    >>> flow = Flow(fixed=[], learned=[Standardize(2)], base=StandardNormal(2))
    >>> flow.log_prob(torch.zeros(3, 2)).shape
    torch.Size([3])
    """

    def __init__(
        self,
        fixed: Transform | Iterable[Transform],
        learned: Transform | Iterable[Transform],
        base: Distribution,
    ):
        super().__init__()
        self.fixed = fixed if isinstance(fixed, Transform) else Compose(fixed)
        self.learned = learned if isinstance(learned, Transform) else Compose(learned)
        self.base = base

    @property
    def transform(self) -> Compose:
        """Both parts in one, from the data to the latent side."""
        return Compose([self.fixed, self.learned])

    @property
    def exact(self) -> bool:
        """Whether `log_prob` is the log-density itself."""
        return self.fixed.exact and self.learned.exact

    def forward(
        self, x: Tensor, context: Tensor | None = None, noise: Noise | None = None
    ) -> Tensor:
        """One draw of the likelihood bound: the log-density itself where that is exact."""
        z, of_fixed = self.fixed(x, self.fixed.taken(context), noise)
        z, of_learned = self.learned(z, self.learned.taken(context), noise)
        return self.base.log_prob(z, context) + (of_fixed + of_learned)

    def log_prob(
        self,
        x: Tensor,
        context: Tensor | None = None,
        *,
        n_importance_samples: int = 1,
        noise: Noise | None = None,
    ) -> Tensor:
        """Log-density of the rows of ``x``, in nats, or a lower bound: shape (n,).

        Parameters
        ----------
        x : Tensor of shape (n, d)
        context : Tensor of shape (n, n_context), optional
        n_importance_samples : int, default=1
            Draws that a bound averages over. Its mean rises with their number, towards the
            log-density. An exact flow needs one and makes one.
        noise : Noise, optional
            Where those draws come from; see `skflow.transforms.noise`.

        References
        ----------
        Burda, Grosse, Salakhutdinov (2016), "Importance Weighted Autoencoders", arXiv:1509.00519.
        """
        if self.exact or n_importance_samples == 1:
            return self(x, context, noise)
        total = self(x, context, noise)
        for _ in range(n_importance_samples - 1):
            total = torch.logaddexp(total, self(x, context, noise))
        return total - math.log(n_importance_samples)

    def log_prob_in_parts(
        self, x: Tensor, context: Tensor | None = None, noise: Noise | None = None
    ) -> dict[str, Tensor]:
        """What `log_prob` adds up: each of shape (n,), in nats.

        Returns
        -------
        parts : dict
            "latent": log-density of z under the base; "dropped": of what funnels dropped, given z;
            "jacobian": the log-volume of all maps, and minus the log-density of added noise.
        """
        transform = self.transform
        given = transform.taken(context)
        z, volume, dropped = transform.forward_in_parts(x, given, noise)
        return {"latent": self.base.log_prob(z, context), "dropped": dropped, "jacobian": volume}

    def encode_booked(self, x: Tensor, ledger: Ledger, noise: Noise | None = None) -> Tensor:
        """As `encode`; what the transforms contribute goes into ``ledger``."""
        x = self.fixed.forward_booked(x, None, noise, ledger)
        return self.learned.forward_booked(x, None, noise, ledger)

    def bound_gap(
        self, x: Tensor, context: Tensor | None = None, *, n_draws: int, noise: Noise | None = None
    ) -> Tensor:
        """How far one draw of the bound lies below a close estimate of the log-density: (n,).

        The estimate takes ``n_draws`` draws, and the mean of the bound is over the same ones. With
        draws of every row's own they do not err for all rows alike. 0 where the flow is exact.
        """
        if self.exact:
            return x.new_zeros(len(x))
        draws = torch.stack([self(x, context, noise) for _ in range(n_draws)])
        return draws.logsumexp(0) - math.log(n_draws) - draws.mean(0)

    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw ``n`` rows."""
        z = self.base.sample(n, context, generator)
        return self.decode(z, context, fresh_draw(generator))

    def encode(self, x: Tensor, context: Tensor | None = None, noise: Noise = no_noise) -> Tensor:
        """Latent rows z of data rows ``x``, by default on the mean path."""
        z, _ = self.fixed(x, self.fixed.taken(context), noise)
        return self.learned(z, self.learned.taken(context), noise)[0]

    def decode(self, z: Tensor, context: Tensor | None = None, draw: Draw = mean_draw) -> Tensor:
        """Data rows x of latent rows ``z``; what z leaves open is, by default, at its mean."""
        return self.fixed.inverse_after(self.learned, z, context, draw)

    def take_training_terms(self) -> list[Tensor]:
        """What layers ask for beside the likelihood of the last pass: each of shape (n,)."""
        terms = [m.take() for m in self.modules() if isinstance(m, TrainingTerm)]
        return [term for term in terms if term is not None]
