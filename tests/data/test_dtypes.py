"""Dtypes and labels as plain values, and back."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from skflow.data.dtypes import (
    dtype_from_plain,
    dtype_to_plain,
    is_plain,
    labels_from_plain,
    labels_to_plain,
)

DTYPES = [
    np.dtype("float64"),
    np.dtype("float16"),
    np.dtype(">f8"),
    np.dtype("uint8"),
    np.dtype(object),
    np.dtype("M8[s]"),
    pd.Int8Dtype(),
    pd.Float32Dtype(),
    pd.BooleanDtype(),
    pd.StringDtype("python"),
    pd.StringDtype("pyarrow"),
    pd.StringDtype("python", np.nan),
    pd.StringDtype("pyarrow", np.nan),
    pd.SparseDtype(float, 0.0),
    pd.SparseDtype(float, np.nan),
    pd.SparseDtype(int, 3),
    pd.SparseDtype(bool, False),
    pd.ArrowDtype(pa.decimal128(8, 2)),
    pd.ArrowDtype(pa.dictionary(pa.int8(), pa.string())),
    pd.ArrowDtype(pa.bool_()),
    pd.CategoricalDtype(["b", "a"]),
    pd.CategoricalDtype([3, 1], ordered=True),
    pd.CategoricalDtype(pd.array([1, 2], dtype="Int64")),
    pd.CategoricalDtype(pd.array(["u", "v"], dtype="string")),
    pd.CategoricalDtype(pd.Index([True, "a", 1.5], dtype=object)),
    pd.CategoricalDtype(pd.IntervalIndex.from_breaks([0.0, 0.5, 2.0], closed="left")),
    pd.CategoricalDtype(pd.DatetimeIndex(["2020-01-01", "2021-01-01"])),
]


def is_made_of_plain_values(value):
    if isinstance(value, tuple):
        return all(is_made_of_plain_values(one) for one in value)
    plain = isinstance(value, str | bytes | bool | int | float | np.number | type(None))
    return plain or (type(value) is np.ndarray and value.dtype != object)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes_come_back(dtype):
    plain = dtype_to_plain(dtype)
    assert is_made_of_plain_values(plain)
    back = dtype_from_plain(plain)
    assert back == dtype
    assert type(back) is type(dtype)
    if isinstance(dtype, pd.CategoricalDtype):
        pd.testing.assert_index_equal(back.categories, dtype.categories, exact=True)
        assert back.ordered == dtype.ordered


@pytest.mark.parametrize(
    "labels", [["a", "b"], [0, 1, 2], [("a", 1), ("b", 2)], [1.5, "a", None, True, ("t", ("u",))]]
)
def test_labels_come_back(labels):
    plain = labels_to_plain(pd.Index(labels, dtype=object, tupleize_cols=False))
    assert is_made_of_plain_values(plain)
    assert list(labels_from_plain(plain)) == labels


@pytest.mark.parametrize(
    "value",
    [datetime.date(2020, 1, 1), decimal.Decimal("1.5"), ("a", object()), pd.Timestamp("2020")],
)
def test_other_things_are_no_labels(value):
    assert not is_plain(value)
    with pytest.raises(TypeError, match="cannot be stored"):
        labels_to_plain(pd.Index([value], dtype=object, tupleize_cols=False))
