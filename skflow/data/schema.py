"""The columns of a table as it came: names, dtypes, categories; to numbers and back.

Categories become codes 0, 1, ... in their order, -1 where unknown; missing cells become NaN. A
schema is made of plain values, so it pickles as such.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ColumnSchema:
    """One column: its name and dtype in a DataFrame, None in an array, and its categories."""

    name: object
    dtype: str | None
    categories: tuple | None = None  # None for numbers
    ordered: bool = False


@dataclass(frozen=True)
class TableSchema:
    """All columns of a table."""

    columns: tuple[ColumnSchema, ...]
    is_frame: bool
    dtype: str  # of an array

    @classmethod
    def learn(cls, X, categorical: Sequence[int] | None) -> "TableSchema":
        """Schema of ``X``, a DataFrame or a two-dimensional array.

        ``categorical`` are the positions of categorical columns; None reads them off the dtypes.

        Raises
        ------
        ValueError
            If a column holds dates or other things that are neither numbers nor categories.
        """
        is_frame = hasattr(X, "iloc")
        n_columns = X.shape[1]
        columns = []
        for i in range(n_columns):
            series = _series(X, i)
            name = X.columns[i] if is_frame else i
            forced = categorical is not None and i in categorical
            dtype = str(series.dtype) if is_frame else None
            levels, ordered = _categories(series, name, forced, categorical is None)
            columns.append(ColumnSchema(name, dtype, levels, ordered))
        return cls(tuple(columns), is_frame, "float64" if is_frame else str(X.dtype))

    def read(self, X) -> np.ndarray:
        """Rows as numbers: float64 of shape (n, d)."""
        values = np.empty((len(X), len(self.columns)))
        for i, column in enumerate(self.columns):
            series = _series(X, i)
            if column.categories is None:
                values[:, i] = _as_numbers(series, column.name)
            else:
                values[:, i] = _codes(series, column.categories)
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
            own = X.iloc[:, i]
            if column.categories is None and str(own.dtype) == column.dtype:
                # Large whole numbers are more than a float holds.
                frame.isetitem(i, own.where(own.notna(), frame.iloc[:, i]))
            elif column.categories is not None and (values[:, i] < 0).any():
                own = own.astype(object)
                frame.isetitem(i, own.where(own.notna(), frame.iloc[:, i].astype(object)))
        return frame

    def write(self, values: np.ndarray):
        """Numbers as rows: a DataFrame of the same columns, dtypes and categories, or an array."""
        import pandas as pd

        columns = [_column(values[:, i], column) for i, column in enumerate(self.columns)]
        if self.is_frame:
            frame = pd.concat(columns, axis=1)
            frame.columns = pd.Index([column.name for column in self.columns])
            return frame
        if all(column.categories is None for column in self.columns) and self.dtype != "object":
            return values
        table = np.empty(values.shape, dtype=object)
        for i, column in enumerate(columns):
            table[:, i] = column.to_numpy(dtype=object, na_value=np.nan)
        return table if self.dtype == "object" else table.astype(self.dtype)


def _series(X, i: int):
    import pandas as pd

    return X.iloc[:, i] if hasattr(X, "iloc") else pd.Series(X[:, i])


def _categories(series, name, forced: bool, by_dtype: bool) -> tuple[tuple | None, bool]:
    """Categories of a column and whether they have an order; None for a column of numbers."""
    import pandas as pd

    if isinstance(series.dtype, pd.CategoricalDtype):
        if by_dtype or forced:
            return tuple(series.cat.categories), bool(series.cat.ordered)
        series = series.astype(object)
    known = series.dropna()
    if not forced:
        if pd.api.types.is_bool_dtype(series.dtype):
            return ((False, True), False) if by_dtype else (None, False)
        types = pd.api.types
        kinds = types.is_datetime64_any_dtype, types.is_timedelta64_dtype, types.is_complex_dtype
        if any(kind(series.dtype) for kind in kinds):
            raise ValueError(
                f"column {name!r} has dtype {series.dtype}, which is neither numeric nor "
                "categorical; turn it into numbers, such as seconds or parts of the date."
            )
        if types.is_numeric_dtype(series.dtype):
            return None, False
        if all(isinstance(value, int | float | np.number) for value in known):
            return None, False
        if not by_dtype:
            raise ValueError(
                f"column {name!r} holds values that are no numbers; name it in "
                "categorical_features."
            )
    levels = pd.unique(known)
    try:
        levels = sorted(levels)
    except TypeError:  # of several types
        try:
            levels = sorted(levels, key=lambda level: (type(level).__name__, str(level)))
        except TypeError as error:
            raise ValueError(f"column {name!r} holds values that cannot be categories.") from error
    return tuple(levels), False


def _codes(series, categories: tuple) -> np.ndarray:
    import pandas as pd

    missing = series.isna().to_numpy()
    index = pd.Index(categories, dtype=object) if categories else pd.Index([], dtype=object)
    codes = index.get_indexer(pd.Index(series.astype(object)))
    return np.where(missing, np.nan, codes.astype(float))


def _as_numbers(series, name) -> np.ndarray:
    import pandas as pd

    try:
        return pd.to_numeric(series.astype(object).where(series.notna(), np.nan)).to_numpy(float)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"column {name!r} was numeric when the flow was fitted, but now holds {error}."
        ) from error


def _column(values: np.ndarray, column: ColumnSchema):
    """One column of a DataFrame from its numbers."""
    import pandas as pd

    missing = np.isnan(values)
    if column.categories is not None:
        codes = np.where(missing, -1, values).astype(int)
        levels = np.empty(len(column.categories) + 1, dtype=object)
        levels[:-1] = list(column.categories)
        levels[-1] = None if column.dtype != "float64" else np.nan
        if column.dtype == "category":
            dtype = pd.CategoricalDtype(list(column.categories), column.ordered)
            return pd.Series(pd.Categorical.from_codes(codes, dtype=dtype))
        values_of = pd.Series(levels[codes])
        return values_of if column.dtype in (None, "object") else _cast(values_of, column.dtype)
    if column.dtype is None:
        return pd.Series(values)
    kind = pd.api.types.pandas_dtype(column.dtype)
    if pd.api.types.is_integer_dtype(kind):
        limits = np.iinfo(getattr(kind, "numpy_dtype", kind))
        values = np.rint(values).clip(limits.min, limits.max)
    elif pd.api.types.is_bool_dtype(kind):
        values = np.where(missing, np.nan, values > 0.5)
    return _cast(pd.Series(values), column.dtype)


def _cast(series, dtype: str):
    """To ``dtype``, where missing cells allow it."""
    import pandas as pd

    if series.isna().any() and not pd.api.types.is_extension_array_dtype(dtype):
        kind = pd.api.types.pandas_dtype(dtype)
        if pd.api.types.is_integer_dtype(kind) or pd.api.types.is_bool_dtype(kind):
            return series
    return series.astype(dtype)
