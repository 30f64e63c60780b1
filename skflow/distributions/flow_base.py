"""What the density that a flow starts from says of itself, so that layers can be built on it."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from skflow.distributions.base import Decoder, Distribution


class FlowBase(Distribution):
    """A density that can be turned, cut and widened: a flow on it starts where it is.

    Attributes
    ----------
    isotropic : bool
        N(0, I): the same however it is turned, and every decoder that begins there may begin as
        the conditional density of some of its columns.
    may_be_turned : bool
        Whether it has a density of its own kind for every rotation of its columns.
    """

    isotropic: ClassVar[bool] = False
    may_be_turned: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def unfitted(cls, n_features: int, n_components: int) -> "FlowBase":
        """One for so many columns, and components where it has any; its numbers still to be set."""

    @abstractmethod
    def principal_axes(self) -> Tensor:
        """Axes of the covariance as columns of (d, d), those of the largest variance first."""

    @abstractmethod
    def rotated(self, rotation: Tensor) -> "FlowBase":
        """The density of ``x @ rotation``, for an orthogonal matrix."""

    @abstractmethod
    def reordered(self, order: Tensor) -> "FlowBase":
        """The density of ``x[:, order]``."""

    @abstractmethod
    def marginal(self, n_kept: int) -> "FlowBase":
        """The density of the first columns."""

    @abstractmethod
    def conditional(
        self,
        n_kept: int,
        hidden_layer_sizes: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> Decoder:
        """The density of the other columns given the first, with a network to learn more of it."""

    @abstractmethod
    def widened(self, n_added: int) -> "FlowBase":
        """The product with a standard normal of further columns, or what comes closest to one."""

    def split(
        self,
        n_kept: int,
        hidden_layer_sizes: Sequence[int],
        generator: torch.Generator | None = None,
    ) -> tuple["FlowBase", Decoder]:
        """Marginal and conditional, whose product is the density."""
        return self.marginal(n_kept), self.conditional(n_kept, hidden_layer_sizes, generator)

    def on_principal_axes(self, *, ordered: bool) -> tuple["FlowBase", Tensor | None]:
        """The density of the columns turned to its principal axes, and these.

        The columns stay where they are ``ordered`` by the variance of the data already, as after
        whitening. The axes are None where any will do: the data's own may be taken.
        """
        if self.isotropic and not ordered:
            return self, None
        axes = torch.eye(self.n_features, dtype=torch.float64) if ordered else self.principal_axes()
        return self.rotated(axes), axes
