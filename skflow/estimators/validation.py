"""What a flow asks of its input, with errors that say what to do."""

from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skflow._compat import _check_sample_weight
from skflow.data.table_schema import TableSchema
from skflow.data.tables import as_table, is_frame, plain_array, unmasked


def check_numbers(
    estimator, X, *, reset: bool, min_rows: int = 1
) -> tuple[np.ndarray, TableSchema | None]:
    """Complete rows of numbers, validated as scikit-learn does; and the schema of a frame."""
    X, who = as_table(X), type(estimator).__name__
    if is_frame(X):
        validate_data(estimator, check_table(X, min_rows), reset=reset, skip_check_array=True)
        schema = None if reset else getattr(estimator, "_schema", None)
        schema = TableSchema.learn(X, None, numbers_for=who) if schema is None else schema
        values = schema.read(X)
    else:
        schema = None
        if getattr(getattr(X, "dtype", None), "kind", "") in (
            "m",
            "M",
        ):  # numpy would take them for numbers
            raise ValueError(f"X has dtype {X.dtype}; turn dates into numbers, such as seconds.")
        try:
            values = validate_data(
                estimator,
                X,
                dtype=np.float64,
                reset=reset,
                ensure_all_finite=False,
                ensure_min_samples=min_rows,
            )
        except ValueError as error:
            if "could not convert" not in str(error):
                raise
            raise ValueError(
                f"X holds values that are no numbers ({error}), and {who} takes numbers only. Use "
                "SurVAEFlow, which models categories and text as they are."
            ) from error
    check_finite(estimator, values, "X")
    return plain_array(values), schema


def check_table(X, min_rows: int):
    """A DataFrame as it is, anything else as a two-dimensional array of numbers or objects."""
    if sparse.issparse(X):
        raise TypeError("Sparse data was passed, but dense data is required: use X.toarray().")
    if not is_frame(X):
        return check_array(
            X,
            dtype=None,
            ensure_all_finite=False,
            ensure_min_samples=min_rows,
            ensure_min_features=1,
        )
    for what, size, least in (("sample", len(X), min_rows), ("feature", X.shape[1], 1)):
        if size < least:
            raise ValueError(
                f"Found array with {size} {what}(s) (shape={X.shape}) while a minimum of {least} "
                "is required."
            )
    return X


def check_finite(estimator, X: np.ndarray, name: str) -> None:
    """Raise for missing or infinite values."""
    if np.isfinite(X).all():
        return
    who = type(estimator).__name__
    if np.isnan(X).any():
        raise ValueError(
            f"Input {name} contains NaN: {who} takes complete numeric rows only. Impute first, as "
            "with sklearn.impute.KNNImputer, or use SurVAEFlow, which models missing values."
        )
    raise ValueError(f"Input {name} contains infinity; remove or clip those rows before {who}.")


def check_weight(sample_weight, X: np.ndarray, *, least: int = 2) -> np.ndarray | None:
    """Weights of shape (n,), None where all rows weigh the same; ``least`` must be positive."""
    if sample_weight is None:
        return None
    weight = _check_sample_weight(
        unmasked(sample_weight), X, dtype=np.float64, ensure_non_negative=True
    )
    if not weight.sum() > 0:
        raise ValueError("sample_weight is zero for every row; at least one must be positive.")
    if (weight > 0).sum() < min(least, len(X)):
        raise ValueError("sample_weight is positive for 1 sample only; a density needs two.")
    return weight


def check_count(n, name: str) -> int:
    """A whole number of at least 1."""
    if not isinstance(n, Integral) or isinstance(n, bool):
        raise TypeError(f"{name} must be a whole number, such as 100; got {n!r}.")
    if n < 1:
        raise ValueError(f"{name} must be at least 1, got {n}.")
    return int(n)
