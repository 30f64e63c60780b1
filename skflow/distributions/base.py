"""What a distribution is: a normalised density with a sampler."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Distribution(nn.Module, ABC):
    """A density on R^d, perhaps given a context. Subclasses are final."""

    @abstractmethod
    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-density in nats of the rows of ``x`` (n, d): shape (n,)."""

    @abstractmethod
    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw ``n`` rows; with a context of n rows, one draw for each."""
