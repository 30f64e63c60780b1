"""Rows on their way from a table to a flow."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Rows:
    """Rows (n, d), and what belongs to each.

    Attributes
    ----------
    x : Tensor of shape (n, d)
    weight : Tensor of shape (n,), or None
        How many rows each counts as; None where all weigh the same.
    context : Tensor of shape (n, n_context), or None
        What the density of a row is conditional on.
    """

    x: Tensor
    weight: Tensor | None = None
    context: Tensor | None = None

    @classmethod
    def of(cls, X: np.ndarray, weight: np.ndarray | None = None) -> "Rows":
        """The rows of ``X`` whose weight is not 0, in tensors of their own."""
        if weight is None:
            return cls(torch.tensor(X))
        kept = weight > 0
        if (weight[kept] == weight[kept][0]).all():  # a mask, not weights
            return cls(torch.tensor(X[kept]))
        return cls(torch.tensor(X[kept]), torch.tensor(weight[kept]))

    def __len__(self) -> int:
        return len(self.x)

    @property
    def n_effective(self) -> int:
        """How many rows these count as, for all rules that depend on their number."""
        return len(self) if self.weight is None else max(1, round(float(self.weight.sum())))

    def weight_array(self) -> np.ndarray | None:
        """The weights in NumPy's form."""
        return None if self.weight is None else self.weight.numpy()

    def __getitem__(self, index) -> "Rows":
        return self._each(lambda part: part[index])

    def to(self, *args) -> "Rows":
        """To another device or dtype."""
        return self._each(lambda part: part.to(*args))

    def split(self, n: int) -> "list[Rows]":
        """Pieces of at most ``n`` rows, in their order."""
        return [self[i : i + n] for i in range(0, len(self), n)]

    def evenly(self, most: int) -> "Rows":
        """At most so many rows, spread evenly over all of them."""
        return self[np.linspace(0, len(self) - 1, min(len(self), most)).astype(int)]

    def _each(self, function) -> "Rows":
        parts = (self.x, self.weight, self.context)
        return Rows(*(None if part is None else function(part) for part in parts))

    def weight_of_mean_one(self) -> Tensor | None:
        """Weights in units of their mean: a weight's unit must not matter, nor underflow."""
        if self.weight is None:
            return None
        scaled = self.weight / self.weight.max()
        return scaled / scaled.mean()

    def mean(self, values: Tensor) -> float:
        """Weighted mean of one value per row."""
        if self.weight is None:
            return float(values.mean())
        return float((values * self.weight).sum() / self.weight.sum())

    def standard_error(self, values: Tensor) -> float:
        """Of `mean`, for rows drawn at random."""
        variance = self.mean((values - self.mean(values)).square())
        return (variance / max(1, self.n_effective - 1)) ** 0.5
