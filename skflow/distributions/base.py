"""What a distribution is: a normalised density with a sampler."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Distribution(nn.Module, ABC):
    """A density on R^d, perhaps given a context. Subclasses are final."""

    n_features: int

    @abstractmethod
    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Log-density in nats of the rows of ``x`` (n, d): shape (n,)."""

    def log_prob_per_dimension(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The terms of the chain rule, each column given those before it: shape (n, d).

        They add up to `log_prob`. Where they are not known they are all the same.
        """
        return (self.log_prob(x, context) / x.shape[1])[:, None].expand_as(x)

    @abstractmethod
    def sample(
        self, n: int, context: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw ``n`` rows; with a context of n rows, one draw for each."""


class Decoder(Distribution):
    """A conditional density p(x | z) of what a surjection dropped, the latent z as its context."""

    @abstractmethod
    def mean(self, context: Tensor) -> Tensor:
        """One typical x for each row of context: the mean, or the centre where that is none."""

    @torch.no_grad()
    def initialize(self, x: Tensor, context: Tensor, weight: Tensor | None = None) -> None:
        """Fit what can be fitted in closed form to rows ``x`` and their latents; here nothing."""
