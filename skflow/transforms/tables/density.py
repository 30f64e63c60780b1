"""The density of a mixed table, column by column."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from skflow.transforms.noise import Draw
from skflow.transforms.tables.autoregression import TableAutoregression
from skflow.transforms.tables.encoding import TableEncoding


@dataclass(frozen=True)
class TableDensity:
    """What the two parts of a table's flow say of single columns.

    Parameters
    ----------
    encoding : TableEncoding
    autoregression : TableAutoregression
    """

    encoding: TableEncoding
    autoregression: TableAutoregression

    def _variables_of(self, columns: Sequence[int]) -> Tensor:
        """Which variables belong to the columns."""
        autoregression = self.autoregression
        return torch.isin(
            autoregression.column_of,
            torch.tensor(list(columns), dtype=torch.long, device=autoregression.column_of.device),
        )

    def log_prob_by_column(self, x: Tensor, given: Sequence[int] = ()) -> Tensor:
        """Log-density of each column given the ``given`` ones and those before it, (n, d).

        Zero for the given columns and, but for the chance of being missing, for missing cells.
        """
        encoding, autoregression = self.encoding, self.autoregression
        encoded, contribution, owner = encoding.forward_by_column(x)
        ends = encoded.view(len(x), len(encoding.variables), 3)
        visible = ~ends[..., 0].isnan()
        revealed = visible & self._variables_of(given)
        terms = autoregression.log_prob_by_variable(ends, visible, revealed)
        contribution = contribution.clone()
        contribution[:, list(given)] = 0.0
        by_column = contribution.index_add(1, autoregression.column_of, terms)
        return torch.zeros_like(by_column).scatter(1, owner, by_column)

    def complete(self, x: Tensor, z: Tensor, draw: Draw) -> Tensor:
        """Fill in the missing cells (NaN) of rows, given the others and that these exist."""
        encoding, autoregression = self.encoding, self.autoregression
        encoded, _, _ = encoding.forward_by_column(x)
        ends = encoded.view(len(x), len(encoding.variables), 3).clone()
        ends[:, autoregression.is_present] = 1.0
        ends = autoregression.complete(ends, z, draw, encoding.snap, encoding.signless)
        return torch.where(x.isnan(), encoding.inverse(ends.flatten(1), draw=draw), x)
