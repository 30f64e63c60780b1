"""The frame a flow was fitted on: its columns and dtypes, as plain values."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FrameTemplate:
    """Names and dtypes of a pandas DataFrame's columns."""

    columns: tuple
    dtypes: tuple[str, ...]

    @classmethod
    def of(cls, X) -> "FrameTemplate | None":
        """Template of ``X``, None where it is no pandas DataFrame."""
        if not (hasattr(X, "columns") and hasattr(X, "dtypes") and hasattr(X, "iloc")):
            return None
        return cls(tuple(X.columns), tuple(str(dtype) for dtype in X.dtypes))

    def fill(self, values: np.ndarray):
        """Put ``values`` (n, d) into a DataFrame of these dtypes; integers are rounded to."""
        import pandas as pd

        frame = {}
        for i, (name, dtype) in enumerate(zip(self.columns, self.dtypes, strict=True)):
            column = values[:, i]
            kind = pd.api.types.pandas_dtype(dtype)
            if pd.api.types.is_bool_dtype(kind):
                column = column > 0.5
            elif pd.api.types.is_integer_dtype(kind):
                column = np.rint(column)
                limits = np.iinfo(getattr(kind, "numpy_dtype", kind))
                column = column.clip(limits.min, limits.max)
            frame[name] = pd.Series(column).astype(dtype)
        return pd.DataFrame(frame)
