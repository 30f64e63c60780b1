"""Flow: transforms on top of a base distribution."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from skflow.distributions.base import Distribution
from skflow.transforms.base import Compose, TrainingTerm, Transform


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

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """`log_prob`, under the name that wrappers of modules hook into."""
        return self.log_prob(x, context)

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-density of the rows of ``x``, in nats: shape (n,)."""
        z, contribution = self.transform(x, context)
        return self.base.log_prob(z, context) + contribution

    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw ``n`` rows."""
        return self.transform.inverse(self.base.sample(n, context, generator), context)

    def encode(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Latent rows z of data rows ``x``."""
        return self.transform(x, context)[0]

    def decode(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """Data rows x of latent rows ``z``."""
        return self.transform.inverse(z, context)

    def take_training_terms(self) -> list[Tensor]:
        """What layers ask for beside the likelihood of the last pass: each of shape (n,)."""
        terms = [m.take() for m in self.modules() if isinstance(m, TrainingTerm)]
        return [term for term in terms if term is not None]
