"""What a flow asks of its input, with errors that say what to do."""

import numpy as np
from scipy import sparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from skflow._compat import _check_sample_weight
from skflow.data.schema import TableSchema
from skflow.data.tables import as_table, is_frame, plain_array


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


def check_weight(sample_weight, X: np.ndarray) -> np.ndarray | None:
    """Weights of shape (n,), None where all rows weigh the same."""
    if sample_weight is None:
        return None
    weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if not weight.sum() > 0:
        raise ValueError("sample_weight is zero for every row; at least one must be positive.")
    if (weight > 0).sum() < 2 and len(X) > 1:
        raise ValueError("sample_weight is positive for 1 sample only; a density needs two.")
    return weight


def check_bounds(bounds, d: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Lower and upper bound per column from pairs or from {column: pair}, None without any."""
    if bounds is None:
        return None
    pairs = dict(bounds) if isinstance(bounds, dict) else dict(enumerate(bounds))
    if not isinstance(bounds, dict) and len(pairs) != d:
        raise ValueError(f"bounds has {len(pairs)} pairs for {d} columns; give one for each.")
    lower, upper = np.full(d, -np.inf), np.full(d, np.inf)
    for column, pair in pairs.items():
        if not (isinstance(column, int | np.integer) and 0 <= column < d):
            raise ValueError(f"bounds names column {column!r}; give a position from 0 to {d - 1}.")
        if pair is None:
            continue
        if not (isinstance(pair, tuple | list | np.ndarray) and len(pair) == 2):
            raise ValueError(f"bounds of column {column}: {pair!r} is no pair (lower, upper).")
        low, high = pair
        lower[column] = -np.inf if low is None else low
        upper[column] = np.inf if high is None else high
        if not lower[column] < upper[column]:
            raise ValueError(f"bounds of column {column}: {low} is not below {high}.")
    return lower, upper


def check_within(bounds: tuple[np.ndarray, np.ndarray] | None, X: np.ndarray, name: str) -> None:
    """Raise if rows to learn from lie where the density is zero."""
    if bounds is None:
        return
    lower, upper = bounds
    outside = ((lower > X) | (upper < X)).any(0)
    if outside.any():
        raise ValueError(
            f"columns {np.flatnonzero(outside).tolist()} of {name} hold values outside their "
            "bounds; widen the bounds or drop those rows."
        )
