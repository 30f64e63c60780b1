"""Rows as they come in: frames of any library, masked arrays, anything else."""

import numpy as np

from skflow.data.parquet import is_parquet


def is_frame(X) -> bool:
    """Whether ``X`` is a pandas DataFrame, or as good as one."""
    return hasattr(X, "iloc")


def as_table(X):
    """``X`` with its missing cells as NaN, in one of two forms.

    A frame becomes a pandas DataFrame, whatever library it is of: polars, pyarrow, or any that has
    ``to_pandas`` or Arrow's interface. Masked cells of an array become NaN. All else stays
    as it is.

    Raises
    ------
    ValueError
        If ``X`` is a Series, a LazyFrame or a file.
    """
    if is_parquet(X):
        raise ValueError(
            f"Expected rows in memory, got {X!r}; read them first, as with pandas.read_parquet. "
            "score_samples, score, decision_function and predict take files as they are."
        )
    if type(X).__name__ == "LazyFrame":
        raise ValueError("Expected a DataFrame, got a LazyFrame; use X.collect().")
    X = unmasked(X)
    if not is_frame(X):
        has_names = any(hasattr(X, names) for names in ("columns", "column_names"))
        if has_names and hasattr(X, "to_pandas"):
            X = X.to_pandas()
        elif hasattr(X, "__arrow_c_stream__") and not hasattr(X, "__array__"):
            import pyarrow as pa

            X = pa.table(X).to_pandas()
    if is_frame(X) and X.ndim != 2:
        raise ValueError("Expected a DataFrame, got a Series; use X.to_frame().")
    return X


def unmasked(X):
    """Of a masked array the values, NaN where masked; anything else as it is."""
    if not isinstance(X, np.ma.MaskedArray):
        return X
    if not np.ma.getmaskarray(X).any():
        return np.asarray(X)
    # Text and objects have no NaN of their own.
    dtype = np.result_type(X.dtype, np.float32) if X.dtype.kind in "biuf" else object
    return np.ma.filled(X.astype(dtype), np.nan)


def plain_array(X) -> np.ndarray:
    """Numbers in memory that torch takes as it is: contiguous and writable."""
    return np.require(X, requirements=["C", "W"])
