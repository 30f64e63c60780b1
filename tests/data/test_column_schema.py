"""What counts as number, boolean, date and category; what drawn values come back as."""

import datetime
import decimal
import fractions

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from skflow.data.column_schema import learn_column

N = 40
RNG = np.random.default_rng(0)
DAYS = [datetime.date(2020, 1, 1) + datetime.timedelta(int(d)) for d in RNG.integers(0, 9, N)]
STAMPS = pd.Series(pd.to_datetime(DAYS))
ARROW_DAYS = pa.array(DAYS, pa.date32())
DATES = {
    "date": pd.Series(DAYS, dtype=object),
    "date with gaps": pd.Series([None, *DAYS[1:]], dtype=object),
    "date among numbers": pd.Series([1.5, *DAYS[1:]], dtype=object),
    "datetime": pd.Series([datetime.datetime.combine(d, datetime.time()) for d in DAYS], dtype="O"),
    "datetime64": STAMPS,
    "datetime64[s]": STAMPS.astype("M8[s]"),
    "time zone": STAMPS.dt.tz_localize("UTC"),
    "Timestamp": STAMPS.astype(object),
    "numpy's datetime64": pd.Series(list(STAMPS.to_numpy()), dtype=object),
    "timedelta64": STAMPS - STAMPS[0],
    "Timedelta": (STAMPS - STAMPS[0]).astype(object),
    "timedelta": pd.Series([d - DAYS[0] for d in DAYS], dtype=object),
    "Period": pd.Series(pd.period_range("2000-01", periods=N, freq="D")),
    "Period as object": pd.Series(pd.period_range("2000", periods=N, freq="D")).astype(object),
    "time": pd.Series([datetime.time(i % 24) for i in range(N)], dtype=object),
    "arrow timestamp": STAMPS.astype(pd.ArrowDtype(pa.timestamp("us"))),
    "arrow date": pd.Series(pd.arrays.ArrowExtensionArray(ARROW_DAYS)),
    "arrow time": pd.Series(
        pd.arrays.ArrowExtensionArray(pa.array([datetime.time(i % 24) for i in range(N)]))
    ),
    "arrow duration": (STAMPS - STAMPS[0]).astype(pd.ArrowDtype(pa.duration("us"))),
    "complex": pd.Series(np.full(N, 1j)),
    "complex as object": pd.Series([1j, *range(1, N)], dtype=object),
}


def learn(series, *, numbers_for=None, by_dtype=True, forced=False, in_frame=True):
    return learn_column(
        pd.Series(series),
        "c",
        in_frame=in_frame,
        forced=forced,
        by_dtype=by_dtype,
        numbers_for=numbers_for,
    )


@pytest.mark.parametrize("numbers_for", [None, "NormalizingFlow"])
@pytest.mark.parametrize("name", DATES)
def test_dates_are_refused_by_name(name, numbers_for):
    with pytest.raises(ValueError, match=r"column 'c' .* neither numeric nor categorical"):
        learn(DATES[name], numbers_for=numbers_for)


TRUTHS = RNG.uniform(size=N) < 0.4
BOOLEANS = {
    "bool": pd.Series(TRUTHS),
    "boolean": pd.Series(TRUTHS, dtype="boolean"),
    "boolean with gaps": pd.Series([None, *TRUTHS[1:]], dtype="boolean"),
    "bool[pyarrow]": pd.Series(TRUTHS, dtype="bool[pyarrow]"),
    "Sparse[bool]": pd.Series(pd.arrays.SparseArray(TRUTHS)),
    "object": pd.Series(TRUTHS, dtype=object),
    "object with gaps": pd.Series([None, np.nan, *TRUTHS[2:]], dtype=object),
    "numpy's in an object": pd.Series([np.bool_(t) for t in TRUTHS], dtype=object),
}


@pytest.mark.parametrize("name", BOOLEANS)
def test_booleans_are_categories_of_false_and_true(name):
    series = BOOLEANS[name]
    column = learn(series)
    assert column.categories == (False, True)
    written = column.write(column.read(series))
    assert written.dtype == series.dtype
    known = series.notna()
    assert (written[known] == series[known]).all()
    assert written.isna().tolist() == series.isna().tolist()
    if series.dtype == object:
        assert {type(value) for value in written.dropna()} == {bool}


@pytest.mark.parametrize("name", [name for name in BOOLEANS if "gaps" not in name])
def test_booleans_among_numbers_come_back_as_booleans(name):
    series = BOOLEANS[name]
    column = learn(series, numbers_for="NormalizingFlow")
    assert column.categories is None
    np.testing.assert_array_equal(column.read(series), TRUTHS)
    written = column.write(np.where(TRUTHS, 0.7, 0.2))
    assert written.dtype == series.dtype
    assert written.astype(bool).tolist() == TRUTHS.tolist()


WHOLE = RNG.integers(0, 9, N)
NUMBERS = {
    "float32": pd.Series(WHOLE / 4, dtype="float32"),
    "float16": pd.Series(WHOLE / 4, dtype="float16"),
    "other byte order": pd.Series((WHOLE / 4).astype(">f8")),
    "Float32": pd.Series(WHOLE / 4, dtype="Float32"),
    "double[pyarrow]": pd.Series(WHOLE / 4, dtype="double[pyarrow]"),
    "halffloat[pyarrow]": pd.Series(WHOLE / 4).astype(pd.ArrowDtype(pa.float16())),
    "uint8": pd.Series(WHOLE, dtype="uint8"),
    "Int8": pd.Series(WHOLE, dtype="Int8"),
    "int64[pyarrow]": pd.Series(WHOLE, dtype="int64[pyarrow]"),
    "Sparse[float, 0]": pd.Series(pd.arrays.SparseArray(WHOLE / 4, fill_value=0.0)),
    "Sparse[float, nan]": pd.Series(pd.arrays.SparseArray(WHOLE / 4, fill_value=np.nan)),
    "Sparse[int]": pd.get_dummies(pd.Series(WHOLE), sparse=True, dtype=int).iloc[:, 0],
    "decimal[pyarrow]": pd.Series(WHOLE / 4).astype(pd.ArrowDtype(pa.decimal128(8, 2))),
    "Decimal": pd.Series([decimal.Decimal(int(w)) / 4 for w in WHOLE], dtype=object),
    "Fraction": pd.Series([fractions.Fraction(int(w), 4) for w in WHOLE], dtype=object),
    "int as object": pd.Series([int(w) for w in WHOLE], dtype=object),
    "float as object": pd.Series(list(WHOLE / 4), dtype=object),
    "numbers and booleans": pd.Series([True, *map(int, WHOLE[1:])], dtype=object),
}


@pytest.mark.parametrize("numbers_for", [None, "NormalizingFlow"])
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_come_back_in_their_dtype(name, numbers_for):
    series = NUMBERS[name]
    column = learn(series, numbers_for=numbers_for)
    assert column.categories is None
    values = column.read(series)
    np.testing.assert_array_equal(values, [float(v) for v in series])
    written = column.write(values)
    assert written.dtype == series.dtype
    assert [float(v) for v in written] == [float(v) for v in series]
    assert len(column.write(values[:0])) == 0


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("uint8", 300.0, 255),
        ("uint8", -1.0, 0),
        ("Int8", -999.0, -128),
        ("Sparse[int]", 0.6, 1),
        ("float16", 1e9, 65504.0),
        ("decimal[pyarrow]", 1e12, decimal.Decimal("999999.99")),
        ("decimal[pyarrow]", 0.254, decimal.Decimal("0.25")),
        ("Decimal", 0.254, decimal.Decimal("0.25")),
        ("int as object", 2.7, 3),
    ],
)
def test_drawn_numbers_fit_into_their_dtype(name, value, expected):
    (written,) = learn(NUMBERS[name]).write(np.array([value]))
    assert written == expected


@pytest.mark.parametrize("dtype", ["int64", "uint64", "Int64", "int64[pyarrow]"])
def test_the_largest_whole_numbers_do_not_wrap(dtype):
    (written,) = learn(pd.Series([1, 2], dtype=dtype)).write(np.array([1e30]))
    assert written > 2**62


@pytest.mark.parametrize(
    "categories",
    [[0, 1, 2, 3], [3, 0, 2, 1], [0.5, 2.25], pd.array([1, 2, 5], dtype="Int64"), [True, False]],
    ids=str,
)
@pytest.mark.parametrize("ordered", [False, True])
def test_numeric_categories_among_numbers_are_rounded_to(categories, ordered):
    dtype = pd.CategoricalDtype(categories, ordered)
    series = pd.Series(pd.Categorical.from_codes(np.arange(N) % len(categories), dtype=dtype))
    column = learn(series, numbers_for="NormalizingFlow")
    values = column.read(series)
    written = column.write(values + RNG.uniform(-0.2, 0.2, N))
    assert written.dtype == series.dtype
    pd.testing.assert_index_equal(written.cat.categories, series.cat.categories, exact=True)
    assert written.tolist() == series.tolist()
    ends = column.write(np.array([-1e9, 1e9]))
    assert ends.tolist() == [min(dtype.categories), max(dtype.categories)]
    # A user who names other columns as the categorical ones gets the same.
    assert learn(series, by_dtype=False) == column


@pytest.mark.parametrize(
    "categories",
    [["b", "a"], pd.array([2, 1], dtype="Int64"), pd.array(["u", "v"], dtype="string"), [0.5, 3]],
    ids=str,
)
def test_the_fitted_categories_come_back(categories):
    dtype = pd.CategoricalDtype(categories)
    series = pd.Series(pd.Categorical.from_codes([0, 1, 1, -1], dtype=dtype))
    column = learn(series)
    written = column.write(column.read(series))
    assert written.dtype == series.dtype
    pd.testing.assert_index_equal(written.cat.categories, series.cat.categories, exact=True)
    assert written.isna().tolist() == series.isna().tolist()


@pytest.mark.parametrize(
    "dtype",
    [
        object,
        "str",
        "string[python]",
        "string[pyarrow]",
        pd.ArrowDtype(pa.string()),
        pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string())),
        pd.ArrowDtype(pa.binary()),
    ],
    ids=str,
)
def test_text_comes_back_in_its_dtype(dtype):
    series = pd.Series(["x", "y", None, "x"]).astype(dtype)
    column = learn(series)
    assert len(column.categories) == 2
    written = column.write(column.read(series))
    assert written.dtype == series.dtype
    assert written.dropna().tolist() == series.dropna().tolist()
    with pytest.raises(ValueError, match=r"'c' .* NormalizingFlow takes numbers only.*SurVAEFlow"):
        learn(series, numbers_for="NormalizingFlow")


@pytest.mark.parametrize(
    "series",
    [
        pd.Series(pd.Categorical([decimal.Decimal(1), decimal.Decimal(2)])),
        pd.Series(pd.Categorical(DAYS)),
        pd.Series([[1], [2]], dtype=object),
        pd.Series([object(), object()], dtype=object),
        pd.Series([[1], [2]]).astype(pd.ArrowDtype(pa.list_(pa.int64()))),
    ],
)
def test_what_could_not_be_written_or_stored_is_refused_by_name(series):
    with pytest.raises(ValueError, match="column 'c' "):
        learn(series)


def test_a_dtype_that_cannot_be_drawn_in_is_refused_by_name(monkeypatch):
    def failing(series, dtype):
        raise NotImplementedError

    monkeypatch.setattr("skflow.data.column_schema._cast", failing)
    with pytest.raises(ValueError, match=r"column 'c' has dtype float32, in which no rows could"):
        learn(pd.Series([1.5, 2.5], dtype="float32"))


@pytest.mark.parametrize("odd", [1 + 2j, "many", pd.Timestamp("2020"), (1, 2)])
def test_numbers_that_became_something_else(odd):
    column = learn(pd.Series([1.5, 2.5]))
    with pytest.raises(ValueError, match="'c' was numeric"):
        column.read(pd.Series([odd, odd]))
