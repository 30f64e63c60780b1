"""How a wrapper runs its layers: it hands them to books, which keep what the layers contribute."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor

from skflow.transforms.noise import Noise

if TYPE_CHECKING:
    from skflow.transforms.base import Transform


class Books(ABC):
    """Run layers and keep their contributions, as a total, in parts or by dimension (`Ledger`)."""

    @abstractmethod
    def run(self, step: "Transform", x: Tensor, context: Tensor | None, noise: Noise) -> Tensor:
        """The latent rows of a layer; it gets the context if it takes one."""

    @abstractmethod
    def drop(self, log_prob: Tensor) -> None:
        """Add the log-density (n,) of what is dropped."""

    @abstractmethod
    def part(self, dimensions: Tensor | slice) -> "Books":
        """Books of some dimensions alone; what is kept there is not kept here."""

    @abstractmethod
    def join(self, *parts: "Books") -> None:
        """Go on with parts, side by side."""

    @abstractmethod
    def close(self, going_on: "Books", closing: "Books") -> None:
        """Go on with one part; nothing is added to the other any more."""


class RowTotal(Books):
    """All contributions of a row in one sum."""

    def __init__(self) -> None:
        self._total: Tensor | None = None

    def total_of(self, x: Tensor) -> Tensor:
        """The sum (n,) for the rows ``x``."""
        return x.new_zeros(len(x)) if self._total is None else self._total

    def _add(self, contribution: Tensor | None) -> None:
        if contribution is not None:
            self._total = contribution if self._total is None else self._total + contribution

    def run(self, step, x, context, noise):
        z, contribution = step._forward(x, step.taken(context), noise)
        self._add(contribution)
        return z

    def drop(self, log_prob):
        self._add(log_prob)

    def part(self, dimensions):
        return RowTotal()

    def join(self, *parts):
        together = RowTotal()
        for part in parts:
            together._add(part._total)
        self._add(together._total)

    def close(self, going_on, closing):
        self.join(going_on, closing)


class RowParts(Books):
    """Contributions of a row in two sums.

    Parameters
    ----------
    x : Tensor of shape (n, ...)

    Attributes
    ----------
    volume, dropped : Tensor of shape (n,)
        What volume gives, and the log-density of what was dropped, given z.
    """

    def __init__(self, x: Tensor):
        self.volume, self.dropped = x.new_zeros(len(x)), x.new_zeros(len(x))

    def run(self, step, x, context, noise):
        z, volume, dropped = step._forward_in_parts(x, step.taken(context), noise)
        self.volume, self.dropped = self.volume + volume, self.dropped + dropped
        return z

    def drop(self, log_prob):
        self.dropped = self.dropped + log_prob

    def part(self, dimensions):
        return RowParts(self.volume)

    def join(self, *parts):
        for part in parts:
            self.volume = self.volume + part.volume
            self.dropped = self.dropped + part.dropped

    def close(self, going_on, closing):
        self.join(going_on, closing)
