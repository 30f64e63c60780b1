"""The columns of a table as it came: names, dtypes, categories; to numbers and back.

Categories become codes 0, 1, ... in their order, -1 where unknown; missing cells become NaN.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from skflow.data.column_schema import ColumnSchema, labels_of, learn_column
from skflow.data.dtypes import (
    dtype_from_plain,
    dtype_to_plain,
    labels_from_plain,
    labels_to_plain,
)
from skflow.data.selection import in_words
from skflow.data.tables import is_frame


@dataclass(frozen=True)
class TableSchema:
    """All columns of a table."""

    columns: tuple[ColumnSchema, ...]
    is_frame: bool
    dtype: str  # of an array

    def __repr__(self) -> str:
        return f"TableSchema({len(self.columns)} columns: {in_words(self.names)})"

    @property
    def names(self) -> list:
        """Labels of a frame's columns, positions in an array."""
        return [column.name for column in self.columns]

    @classmethod
    def learn(
        cls, X, categorical: Sequence[int] | None, *, numbers_for: str | None = None
    ) -> "TableSchema":
        """Schema of ``X``, a pandas DataFrame or a two-dimensional array.

        Parameters
        ----------
        X : DataFrame or ndarray
        categorical : sequence of int or None
            Positions of categorical columns; None reads them off the dtypes.
        numbers_for : str, optional
            The estimator that takes nothing but numbers: then no column is categorical.

        Raises
        ------
        ValueError
            If a column holds dates or other things that are neither numbers nor categories, or
            what could not be written back.
        """
        framed = is_frame(X)
        if framed:
            try:
                labels_to_plain(X.columns)
            except TypeError as error:
                raise ValueError(f"names of columns must be text or numbers: {error}.") from None
        names = list(X.columns) if framed else range(X.shape[1])
        columns = tuple(
            learn_column(
                _series(X, i),
                name,
                in_frame=framed,
                forced=categorical is not None and i in categorical,
                by_dtype=categorical is None,
                numbers_for=numbers_for,
            )
            for i, name in enumerate(names)
        )
        return cls(columns, framed, "float64" if framed else str(X.dtype))

    def to_plain(self) -> dict:
        """As arrays and plain values."""
        columns = []
        for column in self.columns:
            own = {**asdict(column), "name": None}
            if column.dtype is not None:
                own["dtype"] = dtype_to_plain(column.dtype)
            if column.categories is not None:
                own["categories"] = labels_to_plain(labels_of(column.categories))
            columns.append(own)
        names = labels_to_plain(labels_of(tuple(self.names)))
        return {"columns": columns, "names": names, "is_frame": self.is_frame, "dtype": self.dtype}

    @classmethod
    def from_plain(cls, plain: dict) -> "TableSchema":
        """Undo `to_plain`."""
        columns = []
        for name, own in zip(labels_from_plain(plain["names"]), plain["columns"], strict=True):
            column = ColumnSchema(**{**own, "name": name})
            if column.dtype is not None:
                column = replace(column, dtype=dtype_from_plain(column.dtype))
            if column.categories is not None:
                column = replace(column, categories=tuple(labels_from_plain(column.categories)))
            columns.append(column)
        return cls(tuple(columns), plain["is_frame"], plain["dtype"])

    def read(self, X) -> np.ndarray:
        """Rows as numbers: float64 of shape (n, d)."""
        values = np.empty((len(X), len(self.columns)))
        for i, column in enumerate(self.columns):
            values[:, i] = column.read(_series(X, i))
        return values

    def fill(self, X, values: np.ndarray):
        """``X`` with its missing cells as in ``values``, everything else as it is."""
        if not self.is_frame:
            written = self.write(values)
            X = np.asarray(X)
            known = np.column_stack([_series(X, i).notna() for i in range(X.shape[1])])
            return np.where(known, X, written).astype(written.dtype)
        frame = self.write(values).set_axis(X.index)
        for i, column in enumerate(self.columns):
            own, written = X.iloc[:, i], frame.iloc[:, i]
            known = own.notna().to_numpy()
            if column.categories is None and own.dtype == column.dtype:
                # Large whole numbers are more than a float holds.
                frame.isetitem(i, own.where(known, written))
            elif not np.array_equal(column.read(written)[known], column.read(own)[known]):
                # Of another dtype, that of the flow is not for all values.
                mixed = own.astype(object).where(known, written.astype(object))
                frame.isetitem(i, mixed if column.categories is not None else mixed.infer_objects())
        return frame

    def write(self, values: np.ndarray):
        """Numbers as rows: a DataFrame of the same columns, dtypes and categories, or an array."""
        import pandas as pd

        columns = [column.write(values[:, i]) for i, column in enumerate(self.columns)]
        if self.is_frame:
            frame = pd.concat(columns, axis=1)
            frame.columns = pd.Index(self.names)
            return frame
        if all(column.categories is None for column in self.columns) and self.dtype != "object":
            return values
        table = np.empty(values.shape, dtype=object)
        for i, column in enumerate(columns):
            table[:, i] = column.to_numpy(dtype=object, na_value=np.nan)
        return table if self.dtype == "object" else table.astype(self.dtype)


def _series(X, i: int):
    import pandas as pd

    return X.iloc[:, i] if is_frame(X) else pd.Series(X[:, i])
