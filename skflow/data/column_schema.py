"""One column of a table as it came: its dtype and categories; to numbers and back."""

from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np

from skflow.data.dtypes import dtype_from_plain, dtype_to_plain, labels_to_plain

NUMBERS = (Real, Decimal, np.bool_)
UNWRITABLE = (TypeError, ValueError, OverflowError, NotImplementedError)


@dataclass(frozen=True)
class ColumnSchema:
    """One column.

    Attributes
    ----------
    name : object
        Its label in a DataFrame, its position in an array.
    dtype : dtype or None
        In a DataFrame.
    categories : tuple or None
        None for numbers.
    ordered : bool
    levels : tuple of float
        Of a category dtype that is read as numbers: its categories.
    scalar : {"", "bool", "int", "decimal"}
        Of an object column of numbers, where all are of one kind: what they are written as.
    places : int
        Digits after the point of an object column of decimals.
    """

    name: Any
    dtype: Any
    categories: tuple | None = None
    ordered: bool = False
    levels: tuple[float, ...] = ()
    scalar: str = ""
    places: int = 0

    def read(self, series) -> np.ndarray:
        """Codes of the categories, or numbers; NaN where missing: float64 of shape (n,)."""
        return _numbers(series, self.name) if self.categories is None else self._codes(series)

    def _codes(self, series) -> np.ndarray:
        import pandas as pd

        missing = series.isna().to_numpy()
        index = pd.Index(self.categories, dtype=object, tupleize_cols=False)
        codes = index.get_indexer(pd.Index(series.astype(object), tupleize_cols=False))
        return np.where(missing, np.nan, codes.astype(float))

    def write(self, values: np.ndarray):
        """A Series from its numbers; of a dtype that cannot miss cells, where some do, another."""
        import pandas as pd

        missing = np.isnan(values)
        if self.categories is not None or self.levels:
            return self._written_levels(values, missing)
        if self.scalar:
            return pd.Series([self._as_object(value) for value in values], dtype=object)
        if self.dtype is None:
            return pd.Series(values)
        types, plain = pd.api.types, _numpy_dtype(self.dtype)
        if types.is_bool_dtype(plain):
            values = np.where(missing, np.nan, values > 0.5)
        elif types.is_integer_dtype(plain):
            values = np.rint(values).clip(*_whole_limits(plain))
        elif types.is_float_dtype(plain):
            values = values.clip(np.finfo(plain).min, np.finfo(plain).max)
        elif decimals := _decimals(self.dtype):
            digits, places = decimals
            most = float(10 ** (digits - places)) - float(10.0**-places)
            # Fifteen digits at most are exact on the way.
            values = values.round(places).clip(-most, most)
        return _cast(pd.Series(values), self.dtype)

    def _written_levels(self, values: np.ndarray, missing: np.ndarray):
        import pandas as pd

        if self.levels:
            order = np.argsort(self.levels)
            known = np.asarray(self.levels)[order]
            nearest = np.searchsorted((known[1:] + known[:-1]) / 2, values)
            return pd.Series(
                pd.Categorical.from_codes(np.where(missing, -1, order[nearest]), dtype=self.dtype)
            )
        codes = np.where(missing, -1, values).astype(int)
        if isinstance(self.dtype, pd.CategoricalDtype):
            return pd.Series(pd.Categorical.from_codes(codes, dtype=self.dtype))
        levels = np.empty(len(self.categories or ()) + 1, dtype=object)
        levels[:-1] = list(self.categories or ())
        levels[-1] = np.nan if self.dtype == np.float64 else None
        found = pd.Series(levels[codes], dtype=object)
        return found if self.dtype is None else _cast(found, self.dtype)

    def _as_object(self, value: float):
        if np.isnan(value):
            return None if self.scalar == "bool" else np.nan
        if self.scalar == "bool":
            return bool(value > 0.5)
        return round(value) if self.scalar == "int" else Decimal(f"{value:.{self.places}f}")


def learn_column(
    series, name, *, in_frame: bool, forced: bool, by_dtype: bool, numbers_for: str | None
) -> ColumnSchema:
    """Look at a column.

    Parameters
    ----------
    series : Series
    name : object
    in_frame : bool
        Whether its dtype is to be kept.
    forced : bool
        Whether the user says that it is categorical.
    by_dtype : bool
        Whether other columns may be categorical by their dtype.
    numbers_for : str or None
        The estimator that takes nothing but numbers.

    Raises
    ------
    ValueError
        If it holds dates, or other things that are neither numbers nor categories, or what could
        not be written back.
    """
    import pandas as pd

    types = set(map(type, series.dropna())) if series.dtype == object else set()
    dtype = series.dtype if in_frame else None
    if not forced:
        _refuse_dates(series.dtype, types, name)
    kinds = pd.api.types
    category = isinstance(series.dtype, pd.CategoricalDtype)
    truths = kinds.is_bool_dtype(series.dtype) or (types and _all_of(types, (bool, np.bool_)))
    if category:
        labels = series.cat.categories
        numeric = _all_of(set(map(type, labels)), NUMBERS)
        column = ColumnSchema(name, dtype, tuple(labels), bool(series.cat.ordered))
    else:
        numeric = kinds.is_numeric_dtype(series.dtype) or kinds.is_bool_dtype(series.dtype)
        numeric = numeric or (series.dtype == object and _all_of(types, NUMBERS))
        column = ColumnSchema(name, dtype)
    if forced or (by_dtype and not numbers_for and (category or truths or not numeric)):
        if not category:
            levels = (False, True) if truths and not forced else _levels(series, name)
            column = ColumnSchema(name, dtype, levels)
        _check_labels(column)
    elif not numeric:
        raise ValueError(_no_numbers(name, numbers_for))
    elif category:
        column = ColumnSchema(name, dtype, levels=tuple(float(label) for label in labels))
    else:
        column = ColumnSchema(name, dtype, **_scalar(series, types))
    _check_writable(column, series)
    return column


def _all_of(types: set[type], kinds: tuple[type, ...]) -> bool:
    return all(issubclass(one, kinds) for one in types)


def _refuse_dates(dtype, types: set[type], name) -> None:
    import pandas as pd

    kinds = pd.api.types
    odd = kinds.is_datetime64_any_dtype(dtype) or kinds.is_timedelta64_dtype(dtype)
    odd = odd or isinstance(dtype, pd.PeriodDtype) or kinds.is_complex_dtype(dtype)
    if isinstance(dtype, pd.ArrowDtype):
        import pyarrow as pa

        odd = pa.types.is_temporal(dtype.pyarrow_dtype)
    what = f"has dtype {dtype}"
    dates = date, time, timedelta, np.datetime64, np.timedelta64, pd.Period, complex
    held = sorted(one.__name__ for one in types if issubclass(one, dates))
    if held:
        what = f"holds values of type {held[0]}"
    if odd or held:
        raise ValueError(
            f"column {name!r} {what}, which is neither numeric nor categorical; turn it into "
            "numbers, such as seconds or parts of the date."
        )


def _no_numbers(name, numbers_for: str | None) -> str:
    if numbers_for is None:
        return f"column {name!r} holds values that are no numbers; name it in categorical_features."
    return (
        f"column {name!r} holds values that are no numbers, and {numbers_for} takes numbers only. "
        "Use SurVAEFlow, which models categories and text as they are, or encode the column, as "
        "with sklearn.preprocessing.OneHotEncoder."
    )


def _levels(series, name) -> tuple:
    """The distinct values of a column, in order."""
    import pandas as pd

    cannot = ValueError(f"column {name!r} holds values that cannot be categories.")
    try:
        levels = pd.unique(series.dropna())
    except (TypeError, NotImplementedError):  # lists, arrays and the like
        raise cannot from None
    try:
        return tuple(sorted(levels))
    except TypeError:  # of several types
        try:
            return tuple(sorted(levels, key=lambda level: (type(level).__name__, str(level))))
        except TypeError:
            raise cannot from None


def labels_of(categories: tuple):
    """Categories as an Index that keeps what they are."""
    import pandas as pd

    if categories and _all_of(set(map(type, categories)), (pd.Interval, date)):
        return pd.Index(list(categories))
    return pd.Index(list(categories), dtype=object, tupleize_cols=False)


def _check_labels(column: ColumnSchema) -> None:
    try:
        labels_to_plain(labels_of(column.categories or ()))
    except TypeError as error:
        raise ValueError(
            f"column {column.name!r} holds values that cannot be categories ({error}); turn them "
            "into text or numbers."
        ) from None


def _check_writable(column: ColumnSchema, series) -> None:
    """Refuse now what would fail when the first rows are drawn."""
    if column.dtype is None:
        return
    values = column.read(series.dropna().head(1))
    try:
        written = column.write(np.append(values, [np.nan] * bool(series.isna().any())))
        kept = dtype_from_plain(dtype_to_plain(column.dtype))
    except UNWRITABLE:
        kept = written = None
    if written is None or not (len(written) == 0 or written.dtype == column.dtype == kept):
        raise ValueError(
            f"column {column.name!r} has dtype {column.dtype}, in which no rows could be drawn; "
            "convert it, as by astype(float) or astype('category')."
        )


def _scalar(series, types: set[type]) -> dict:
    """What the numbers of an object column are."""
    if not types:
        return {}
    if _all_of(types, (bool, np.bool_)):
        return {"scalar": "bool"}
    if _all_of(types, (Decimal,)):
        exponents = [value.as_tuple().exponent for value in series.dropna()]
        return {"scalar": "decimal", "places": max(0, -min(map(int, exponents)))}
    if _all_of(types, (Integral,)) and not any(issubclass(one, bool) for one in types):
        return {"scalar": "int"}
    return {}


def _numbers(series, name) -> np.ndarray:
    import pandas as pd

    kinds = pd.api.types
    real = kinds.is_numeric_dtype(series.dtype) and not kinds.is_complex_dtype(series.dtype)
    if real or kinds.is_bool_dtype(series.dtype):
        return series.to_numpy(dtype=float, na_value=np.nan)
    missing = series.isna().to_numpy()
    values = np.full(len(series), np.nan)
    try:
        values[~missing] = [float(value) for value in series.astype(object)[~missing]]
    except (TypeError, ValueError):
        raise ValueError(
            f"column {name!r} was numeric when the flow was fitted, but now holds other values: "
            "give numbers."
        ) from None
    return values


def _numpy_dtype(dtype):
    """The numpy dtype behind a dtype of numbers."""
    import pandas as pd

    if isinstance(dtype, pd.SparseDtype):
        return dtype.subtype
    return getattr(dtype, "numpy_dtype", dtype)


def _whole_limits(dtype: np.dtype) -> tuple[float, float]:
    """Smallest and largest whole number of a dtype, of those that a float64 holds."""
    limits = np.iinfo(dtype)
    high = float(limits.max)
    return float(limits.min), high if int(high) <= limits.max else float(np.nextafter(high, 0))


def _decimals(dtype) -> tuple[int, int] | None:
    """Digits, and digits after the point, of pyarrow's decimals."""
    import pandas as pd

    if isinstance(dtype, pd.ArrowDtype) and hasattr(dtype.pyarrow_dtype, "scale"):
        return dtype.pyarrow_dtype.precision, dtype.pyarrow_dtype.scale
    return None


def _cast(series, dtype):
    """To ``dtype``, where missing cells allow it."""
    import pandas as pd

    if series.isna().any() and not pd.api.types.is_extension_array_dtype(dtype):
        types = pd.api.types
        if types.is_integer_dtype(dtype) or types.is_bool_dtype(dtype):
            return series
    return series.astype(dtype)
