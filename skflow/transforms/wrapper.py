"""Transforms made of other transforms."""

from abc import abstractmethod

from torch import Tensor

from skflow.transforms.base import Transform
from skflow.transforms.books import Books, RowParts, RowTotal
from skflow.transforms.noise import Noise


class Wrapper(Transform):
    """A transform that runs others.

    Subclasses give `_run` in place of `_forward`: whoever asks, for the total contribution, for
    its parts or for everybody's account, the layers inside are asked the same.
    """

    @abstractmethod
    def _run(self, x: Tensor, context: Tensor | None, noise: Noise, books: Books) -> Tensor:
        """The latent rows; the layers inside are run by ``books``, which keep what they give."""

    def _forward(self, x, context, noise):
        books = RowTotal()
        z = self._run(x, context, noise, books)
        return z, books.total_of(x)

    def _forward_in_parts(self, x, context, noise):
        books = RowParts(x)
        z = self._run(x, context, noise, books)
        return z, books.volume, books.dropped

    def _forward_booked(self, x, context, noise, ledger):
        return self._run(x, context, noise, ledger)
