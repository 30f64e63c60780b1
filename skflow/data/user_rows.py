"""Rows of a fit as the user's kind of table, with what belongs to them."""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from skflow.data.rows import Rows
from skflow.data.table_schema import TableSchema


class UserRows:
    """Made when asked for.

    Parameters
    ----------
    rows : Rows
    schema : TableSchema or None
    y : array-like or None
        Of the rows that `read` gives.
    read : callable
        Gives the rows that these are some of, as numbers.
    """

    def __init__(self, rows: Rows, schema: TableSchema | None, y, read: Callable[[], np.ndarray]):
        self._rows, self._schema, self._given_y, self._read = rows, schema, y, read

    @cached_property
    def X(self):
        """A table of the user's kind."""
        values = self._rows.x.numpy()
        return values if self._schema is None else self._schema.write(values)

    @cached_property
    def y(self) -> np.ndarray:
        """Their ``y``; zeros where there is none, as monitors score only where they get one."""
        if self._given_y is None:
            return np.zeros(len(self._rows))
        # The first of equal rows, which stands for the others where repetitions are merged.
        values = self._read()
        position = {values[i].tobytes(): i for i in reversed(range(len(values)))}
        return np.asarray(self._given_y)[[position[row.tobytes()] for row in self._rows.x.numpy()]]

    @property
    def metadata(self) -> dict | None:
        """How many rows each counts as, where they differ."""
        weight = self._rows.weight_array()
        return None if weight is None else {"sample_weight": weight}
