"""The model of a mixed table: its columns' encoding, and one factor for every variable."""

from dataclasses import dataclass
from typing import final

import torch

from skflow.architectures.plan import Plan, as_plain
from skflow.data.column_plan import ColumnPlan
from skflow.distributions import StandardNormal
from skflow.flow import Flow
from skflow.transforms.tables.autoregression import TableAutoregression
from skflow.transforms.tables.encoding import TableEncoding


def table_flow(encoding: TableEncoding, autoregression: TableAutoregression) -> Flow:
    """The encoding and the autoregression over a standard normal."""
    base = StandardNormal(autoregression.n_latent).double()
    return Flow(encoding, autoregression.double(), base)


@final
@dataclass(frozen=True)
class TablePlan(Plan):
    """A table's flow before it is built.

    Attributes
    ----------
    columns : tuple of ColumnPlan
    groups : tuple of tuple of int
        Exchangeable columns.
    n_classes : int
        Of the latent class model that the factors start as.
    hidden_layer_sizes : tuple of int
    """

    columns: tuple[ColumnPlan, ...]
    groups: tuple[tuple[int, ...], ...]
    n_classes: int
    hidden_layer_sizes: tuple[int, ...]

    def flow(self, generator: torch.Generator | None) -> Flow:
        """Encoding, autoregression and base."""
        encoding = TableEncoding(self.columns, self.groups).double()
        autoregression = TableAutoregression(
            encoding.variables, self.n_classes, self.hidden_layer_sizes, generator=generator
        )
        return table_flow(encoding, autoregression)

    @classmethod
    def from_plain(cls, values: dict) -> "TablePlan":
        """From the fields by name, columns as dicts."""
        columns = [
            ColumnPlan(**{name: as_plain(value) for name, value in column.items()})
            for column in values["columns"]
        ]
        return cls(**{**values, "columns": columns})
