"""Flow: transforms on top of a base distribution."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from skflow.distributions.base import Distribution
from skflow.transforms.base import Compose, TrainingTerm, Transform
from skflow.transforms.noise import Draw, Noise, fresh_draw, mean_draw, no_noise


class Flow(nn.Module):
    """A density built from transforms and a base distribution.

    Parameters
    ----------
    transforms : iterable of Transform
        From the data to the latent side.
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
    >>> flow = Flow([Standardize(2)], StandardNormal(2))
    >>> flow.log_prob(torch.zeros(3, 2)).shape
    torch.Size([3])
    """

    def __init__(self, transforms: Iterable[Transform], base: Distribution):
        super().__init__()
        self.transform = Compose(transforms)
        self.base = base

    @property
    def exact(self) -> bool:
        """Whether `log_prob` is the log-density itself."""
        return self.transform.exact

    def forward(
        self, x: Tensor, context: Tensor | None = None, noise: Noise | None = None
    ) -> Tensor:
        """One draw of the likelihood bound: the log-density itself where that is exact."""
        z, contribution = self.transform(x, context, noise)
        return self.base.log_prob(z, context) + contribution

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
        z, volume, dropped = self.transform.forward_in_parts(x, context, noise)
        return {"latent": self.base.log_prob(z, context), "dropped": dropped, "jacobian": volume}

    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw ``n`` rows."""
        z = self.base.sample(n, context, generator)
        return self.transform.inverse(z, context, fresh_draw(generator))

    def encode(self, x: Tensor, context: Tensor | None = None, noise: Noise = no_noise) -> Tensor:
        """Latent rows z of data rows ``x``, by default on the mean path."""
        return self.transform(x, context, noise)[0]

    def decode(self, z: Tensor, context: Tensor | None = None, draw: Draw = mean_draw) -> Tensor:
        """Data rows x of latent rows ``z``; what z leaves open is, by default, at its mean."""
        return self.transform.inverse(z, context, draw)

    def take_training_terms(self) -> list[Tensor]:
        """What layers ask for beside the likelihood of the last pass: each of shape (n,)."""
        terms = [m.take() for m in self.modules() if isinstance(m, TrainingTerm)]
        return [term for term in terms if term is not None]
