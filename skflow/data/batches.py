"""Where the training loop's batches come from: an object that gives those of one epoch."""

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from skflow.data.rows import Rows


class Batches(Protocol):
    """Rows for the training loop, epoch by epoch, on its device and in its precision.

    Weights have mean 1 over an epoch.
    """

    def __len__(self) -> int:
        """Batches of an epoch."""

    def epoch(self, number: int) -> Iterator[Rows]:
        """The batches of epoch ``number``, counted from 1."""

    @property
    def recent(self) -> Rows:
        """Rows of the last epoch, as many as are at hand."""


class MemoryBatches:
    """Batches of rows that fit into the device's memory: slices of them in a random order.

    Parameters
    ----------
    draw_rows : callable
        From the number of an epoch to its rows: the same data, perhaps with fresh noise.
    n_rows, batch_size : int
    weight : Tensor of shape (n_rows,), or None
        Of mean 1.
    generator : torch.Generator
        On the device of the rows; draws their order.
    """

    def __init__(
        self,
        draw_rows: Callable[[int], Tensor],
        n_rows: int,
        batch_size: int,
        weight: Tensor | None,
        generator: torch.Generator,
    ):
        self._draw_rows = draw_rows
        self._n_batches = max(1, round(n_rows / batch_size))
        self._weight = weight
        self._generator = generator
        self._recent: Rows | None = None

    def __len__(self) -> int:
        return self._n_batches

    def epoch(self, number: int) -> Iterator[Rows]:
        """Draw the rows and their order; give them batch by batch."""
        x = self._draw_rows(number)
        self._recent = Rows(x, self._weight)
        # One batch is the whole table: drawing its order would only change the rounding.
        order = (
            torch.randperm(len(x), generator=self._generator, device=x.device)
            if self._n_batches > 1
            else torch.arange(len(x), device=x.device)
        )
        for batch in order.tensor_split(self._n_batches):
            yield self._recent[batch]

    @property
    def recent(self) -> Rows:
        """All rows, as the last epoch drew them."""
        if self._recent is None:
            raise RuntimeError("no epoch has been drawn yet")
        return self._recent
