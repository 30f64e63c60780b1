"""Rows as they come in: frames of any library, masked arrays."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from skflow.data.tables import as_table, plain_array

COLUMNS = {
    "number": [0.5, None, 2.5],
    "whole": [3, 1, 2],
    "flag": [True, None, False],
    "text": ["a", None, "b"],
}


class Stream:
    """A frame of a library that has nothing but Arrow's interface."""

    def __init__(self, table):
        self.__arrow_c_stream__ = table.__arrow_c_stream__


@pytest.mark.parametrize(
    "make",
    [
        pl.DataFrame,
        pa.table,
        lambda columns: pa.table(columns).to_batches()[0],
        lambda columns: Stream(pa.table(columns)),
    ],
    ids=["polars", "pyarrow", "record batch", "arrow stream"],
)
def test_frames_of_any_library_are_pandas_frames(make):
    X = as_table(make(COLUMNS))
    assert isinstance(X, pd.DataFrame)
    assert list(X.columns) == list(COLUMNS)
    for name, values in COLUMNS.items():
        known = X[name].notna().to_numpy()
        assert known.tolist() == [value is not None for value in values]
        assert X[name][known].tolist() == [value for value in values if value is not None]


@pytest.mark.parametrize("X", [pd.DataFrame(COLUMNS), np.eye(3), [[1.0, 2.0]]])
def test_what_needs_nothing_stays_as_it_is(X):
    assert as_table(X) is X


@pytest.mark.parametrize("dtype", [float, np.float32, int, np.uint8, bool, object, "U3"])
def test_masked_cells_are_missing(dtype):
    values = np.array([[1, 0], [0, 1]]).astype(dtype)
    X = as_table(np.ma.MaskedArray(values, mask=[[False, True], [False, False]]))
    assert not isinstance(X, np.ma.MaskedArray)
    assert pd.isna(X).tolist() == [[False, True], [False, False]]
    assert X[1].tolist() == values[1].tolist()
    nothing_masked = as_table(np.ma.MaskedArray(values))
    assert nothing_masked.dtype == values.dtype
    assert not isinstance(nothing_masked, np.ma.MaskedArray)


def test_large_whole_numbers_keep_their_digits_beside_masked_ones():
    X = as_table(np.ma.MaskedArray([[2**30 + 1, 5]], mask=[[False, True]], dtype=np.int32))
    assert X[0, 0] == 2**30 + 1


@pytest.mark.parametrize("series", [pd.Series([1.0, 2.0]), pd.Series(["a", "b"])])
def test_a_series_is_refused(series):
    with pytest.raises(ValueError, match="got a Series; use"):
        as_table(series)


def test_a_lazy_frame_is_refused():
    with pytest.raises(ValueError, match=r"got a LazyFrame; use X.collect"):
        as_table(pl.LazyFrame(COLUMNS))


def test_plain_arrays_are_contiguous_and_writable():
    X = np.arange(12.0).reshape(4, 3)
    assert plain_array(X) is X
    frozen = X.copy()
    frozen.setflags(write=False)
    for view in (X[::-1], X[:, ::-1], X[::2], X.T, frozen, frozen[::-1]):
        plain = plain_array(view)
        assert plain.flags.c_contiguous
        assert plain.flags.writeable
        np.testing.assert_array_equal(plain, view)
