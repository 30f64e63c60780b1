"""Tables as they come: columns to numbers and back."""

import pickle

import numpy as np
import pandas as pd
import pytest

from skflow.data.table_schema import TableSchema

ORDERED = pd.CategoricalDtype(["low", "mid", "high"], ordered=True)


def frame():
    return pd.DataFrame(
        {
            "kind": pd.Categorical(["a", "b", None, "a"], categories=["c", "a", "b"]),
            "grade": pd.Categorical(["mid", "high", "low", None], dtype=ORDERED),
            "object": np.array(["x", "y", None, "x"], dtype=object),
            "string": pd.array(["u", None, "v", "u"], dtype="string"),
            "str": pd.Series(["p", "q", "q", None], index=[7, 3, 5, 9]),
            "bool": [True, False, True, True],
            "boolean": pd.array([True, None, False, True], dtype="boolean"),
            "int": np.array([3, -1, 7, 3], dtype=np.int32),
            "Int64": pd.array([3, None, 7, 3], dtype="Int64"),
            "float": [0.5, np.nan, -2.25, 3.0],
            "float32": np.array([0.5, np.nan, -2.25, 3.0], dtype=np.float32),
            "Float64": pd.array([0.5, None, -2.25, 3.0], dtype="Float64"),
            "numbers": np.array([1, 2.5, np.nan, 4], dtype=object),
            "interval": pd.cut([1.0, 5.0, 9.0, np.nan], 3),
        },
        index=[7, 3, 5, 9],
    )


CATEGORIES = {
    "kind": ("c", "a", "b"),
    "grade": ("low", "mid", "high"),
    "object": ("x", "y"),
    "string": ("u", "v"),
    "str": ("p", "q"),
    "bool": (False, True),
    "boolean": (False, True),
}


def test_columns_of_a_frame():
    X = frame()
    schema = TableSchema.learn(X, None)
    assert schema.is_frame
    for column in schema.columns:
        assert column.dtype == X[column.name].dtype
        if column.name != "interval":
            assert column.categories == CATEGORIES.get(column.name)
        assert column.ordered == (column.name in ("grade", "interval"))


def test_reading_gives_codes_numbers_and_nan():
    X = frame()
    values = pd.DataFrame(TableSchema.learn(X, None).read(X), columns=X.columns)
    assert np.array_equal(values["kind"], [1, 2, np.nan, 1], equal_nan=True)
    assert np.array_equal(values["grade"], [1, 2, 0, np.nan], equal_nan=True)
    assert np.array_equal(values["boolean"], [1, np.nan, 0, 1], equal_nan=True)
    assert np.array_equal(values["Int64"], [3, np.nan, 7, 3], equal_nan=True)
    assert np.array_equal(values["numbers"], [1, 2.5, np.nan, 4], equal_nan=True)
    assert values.isna().to_numpy().tolist() == X.isna().to_numpy().tolist()


def test_what_was_read_is_written_as_it_was():
    X = frame()
    schema = TableSchema.learn(X, None)
    back = schema.write(schema.read(X)).set_axis(X.index)
    pd.testing.assert_frame_equal(back, X, check_categorical=True)


def test_a_schema_is_plain():
    X = frame()
    schema = TableSchema.learn(X, None)
    assert pickle.loads(pickle.dumps(schema)) == schema


@pytest.mark.parametrize("name", list(frame().columns))
def test_cells_are_filled_and_known_ones_kept(name):
    X = frame()
    schema = TableSchema.learn(X, None)
    values = schema.read(X)
    filled = np.where(np.isnan(values), 1.0, values)
    complete = schema.fill(X, filled)
    known = X[name].notna()
    assert (complete.index == X.index).all()
    assert complete[name].dtype == X[name].dtype
    assert complete[name].notna().all()
    assert (complete[name][known] == X[name][known]).all()


def test_unknown_categories_are_kept_when_filling():
    X = frame()
    schema = TableSchema.learn(X, None)
    other = X.copy()
    other["object"] = np.array(["new", "y", None, "x"], dtype=object)
    other["kind"] = pd.Categorical(["new", "b", None, "a"])
    values = schema.read(other)
    assert values[0, 0] == -1
    assert values[0, 2] == -1
    complete = schema.fill(other, np.where(np.isnan(values), 0.0, values))
    assert complete["object"].tolist() == ["new", "y", "x", "x"]
    assert complete["kind"].tolist() == ["new", "b", "c", "a"]


def test_categories_in_another_order_are_the_same():
    X = frame()
    schema = TableSchema.learn(X, None)
    other = X.copy()
    other["kind"] = X["kind"].cat.reorder_categories(["b", "c", "a"])
    other["object"] = X["object"].astype("category")
    np.testing.assert_array_equal(schema.read(other), schema.read(X))


@pytest.mark.parametrize(
    "column",
    [
        pd.date_range("2020-01-01", periods=3),
        pd.date_range("2020-01-01", periods=3, tz="UTC"),
        pd.to_timedelta([1, 2, 3], unit="s"),
        np.array([1j, 2.0, 3.0]),
    ],
)
def test_dates_and_other_things_are_refused(column):
    with pytest.raises(ValueError, match=r"column 'when' .* neither numeric nor"):
        TableSchema.learn(pd.DataFrame({"when": column}), None)


def test_values_of_several_types_in_one_column():
    X = pd.DataFrame({"mixed": np.array(["a", 1, 2.5, None, ("t",)], dtype=object)})
    schema = TableSchema.learn(X, None)
    assert set(schema.columns[0].categories) == {"a", 1, 2.5, ("t",)}
    values = schema.read(X)[:, 0]
    assert sorted(values[[0, 1, 2, 4]]) == [0, 1, 2, 3]
    assert schema.write(schema.read(X))["mixed"].tolist()[:3] == ["a", 1, 2.5]


def test_equal_values_of_two_types_are_one_category():
    X = pd.DataFrame({"mixed": np.array([True, 1, "a", 1.0, 0, False], dtype=object)})
    values = TableSchema.learn(X, None).read(X)[:, 0]
    assert values[0] == values[1] == values[3]
    assert values[4] == values[5]


def test_a_column_that_was_numeric_and_is_no_longer():
    X = pd.DataFrame({"a": [1.0, 2.0]})
    schema = TableSchema.learn(X, None)
    with pytest.raises(ValueError, match="'a' was numeric"):
        schema.read(pd.DataFrame({"a": ["one", "two"]}))
    np.testing.assert_array_equal(schema.read(pd.DataFrame({"a": [3, 4]}))[:, 0], [3, 4])


def test_named_columns_are_categorical_and_others_are_not():
    X = pd.DataFrame({"code": [3, 1, 3], "flag": [True, False, True], "n": [1, 2, 2]})
    schema = TableSchema.learn(X, [0])
    assert [c.categories for c in schema.columns] == [(1, 3), None, None]
    np.testing.assert_array_equal(schema.read(X)[:, 1], [1, 0, 1])
    pd.testing.assert_frame_equal(schema.write(schema.read(X)), X)
    with pytest.raises(ValueError, match="'s' holds values that are no numbers"):
        TableSchema.learn(pd.DataFrame({"s": ["a", "b"]}), [])
    numbers = pd.DataFrame({"c": pd.Categorical([1, 2, 1])})
    assert TableSchema.learn(numbers, []).columns[0].categories is None


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
def test_arrays_of_numbers(dtype):
    X = np.array([[1, 2], [3, 2], [1, 5]], dtype=dtype)
    schema = TableSchema.learn(X, None)
    assert not schema.is_frame
    assert [c.categories for c in schema.columns] == [None, None]
    np.testing.assert_array_equal(schema.read(X), X)
    coded = TableSchema.learn(X, [1])
    np.testing.assert_array_equal(coded.read(X)[:, 1], [0, 0, 1])
    back = coded.write(coded.read(X))
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, X)


def test_arrays_of_objects_and_of_text():
    X = np.array([["a", 1.5], ["b", 2.0], [None, np.nan]], dtype=object)
    schema = TableSchema.learn(X, None)
    assert schema.columns[0].categories == ("a", "b")
    values = schema.read(X)
    assert np.array_equal(values[:, 1], [1.5, 2, np.nan], equal_nan=True)
    back = schema.write(values[:2])
    assert back.dtype == object
    assert back.tolist() == X[:2].tolist()
    complete = schema.fill(X, np.where(np.isnan(values), 1.0, values))
    assert complete.tolist() == [["a", 1.5], ["b", 2.0], ["b", 1.0]]
    text = np.array([["a", "u"], ["b", "v"]])
    assert TableSchema.learn(text, None).columns[1].categories == ("u", "v")


def test_whole_numbers_are_rounded_and_kept_within_their_dtype():
    X = pd.DataFrame({"a": np.array([1, 2, 3], dtype=np.uint8), "b": pd.array([1, 2, 3], "Int8")})
    schema = TableSchema.learn(X, None)
    back = schema.write(np.array([[-4.0, 300.0], [2.6, 1.2], [999.0, -999.0]]))
    assert back["a"].tolist() == [0, 3, 255]
    assert back["b"].tolist() == [127, 1, -128]
    assert back.dtypes.tolist() == X.dtypes.tolist()


def test_columns_of_one_name_and_names_that_are_no_text():
    X = pd.DataFrame([[1, "a"], [2, "b"]], columns=[0, 0])
    schema = TableSchema.learn(X, None)
    back = schema.write(schema.read(X))
    pd.testing.assert_frame_equal(back, X, check_dtype=False)
    empty = schema.read(X.iloc[:0])
    assert empty.shape == (0, 2)
    assert schema.write(empty).shape == (0, 2)


def test_numbers_beyond_double_precision_are_kept_when_filling():
    big = 2**60 + 1
    X = pd.DataFrame({"id": pd.array([big, None, 5], dtype="Int64")})
    schema = TableSchema.learn(X, None)
    values = schema.read(X)
    complete = schema.fill(X, np.where(np.isnan(values), 7.0, values))
    assert complete["id"].tolist() == [big, 7, 5]
