"""Pandas dtypes and labels as plain values, and back: what an estimator's state may hold."""

import numpy as np

PLAIN = (str, bytes, bool, int, float, np.number, np.bool_, type(None))


def is_plain(value) -> bool:
    """Whether a label is text, a number, or a tuple of these."""
    if isinstance(value, tuple):
        return all(is_plain(one) for one in value)
    return isinstance(value, PLAIN) and not isinstance(value, np.timedelta64)


def dtype_to_plain(dtype) -> str | tuple:
    """A dtype as text where pandas reads it back from that, else as a tagged tuple."""
    import pandas as pd

    if isinstance(dtype, pd.CategoricalDtype):
        return "category", labels_to_plain(dtype.categories), bool(dtype.ordered)
    if isinstance(dtype, pd.SparseDtype):
        return "sparse", dtype_to_plain(dtype.subtype), np.asarray(dtype.fill_value).item()
    if isinstance(dtype, pd.StringDtype):
        return "string", dtype.storage, dtype.na_value is not pd.NA
    if isinstance(dtype, pd.ArrowDtype):
        import pyarrow as pa

        return "arrow", pa.schema([("", dtype.pyarrow_dtype)]).serialize().to_pybytes()
    if pd.api.types.pandas_dtype(str(dtype)) != dtype:
        raise TypeError(f"dtype {dtype} cannot be stored")
    return str(dtype)


def dtype_from_plain(plain: str | tuple):
    """Undo `dtype_to_plain`."""
    import pandas as pd

    if isinstance(plain, str):
        return pd.api.types.pandas_dtype(plain)
    kind, *parts = plain
    if kind == "category":
        return pd.CategoricalDtype(labels_from_plain(parts[0]), parts[1])
    if kind == "sparse":
        return pd.SparseDtype(dtype_from_plain(parts[0]), parts[1])
    if kind == "string":
        return pd.StringDtype(parts[0], np.nan if parts[1] else pd.NA)
    import pyarrow as pa

    return pd.ArrowDtype(pa.ipc.read_schema(pa.py_buffer(parts[0])).field(0).type)


def labels_to_plain(index) -> tuple:
    """A pandas Index as plain values.

    Raises
    ------
    TypeError
        If it holds anything but text, numbers, tuples of these, intervals of numbers, or dates
        without a time zone.
    """
    import pandas as pd

    if isinstance(index, pd.IntervalIndex):
        ends = labels_to_plain(index.left), labels_to_plain(index.right)
        return "interval", *ends, index.closed
    if isinstance(index.dtype, np.dtype) and index.dtype.kind in "biufmM":
        return "numpy", index.to_numpy(copy=True)
    values = tuple(index.astype(object))
    odd = next((value for value in values if not is_plain(value)), None)
    if odd is not None:
        raise TypeError(f"labels of type {type(odd).__name__} cannot be stored")
    return "labels", dtype_to_plain(index.dtype), values


def labels_from_plain(plain: tuple):
    """Undo `labels_to_plain`."""
    import pandas as pd

    kind, *parts = plain
    if kind == "interval":
        left, right = (labels_from_plain(part) for part in parts[:2])
        return pd.IntervalIndex.from_arrays(left, right, parts[2])
    if kind == "numpy":
        return pd.Index(parts[0])
    return pd.Index(list(parts[1]), dtype=dtype_from_plain(parts[0]), tupleize_cols=False)
