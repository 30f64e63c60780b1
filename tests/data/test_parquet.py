"""Columns of Parquet, found by name or by their order, a block at a time."""

import re
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from skflow.data.parquet import ParquetRows, is_parquet
from skflow.data.tables import as_table

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "a": RNG.normal(size=100),
        "b": RNG.integers(5, size=100),
        "a.b": RNG.normal(size=100).astype(np.float32),
        "word": pd.Categorical(RNG.choice(["x", "y", "z"], 100), ordered=True),
        "gap": np.where(RNG.uniform(size=100) < 0.3, np.nan, RNG.normal(size=100)),
    },
    index=pd.Index([f"row {i}" for i in range(100)], name="who"),
)
NAMES = ["gap", "word", "a.b", "a"]


def whole(rows, n_rows):
    blocks = list(rows.blocks(n_rows))
    assert [len(block) for block in blocks[:-1]] == [n_rows] * (len(blocks) - 1)
    return pd.concat(blocks, ignore_index=True)


@pytest.mark.parametrize("group", [1, 7, 1000])
@pytest.mark.parametrize("n_rows", [1, 30, 50, 100, 1000])
def test_blocks_are_the_frame_in_pieces(tmp_path, group, n_rows):
    path = tmp_path / "rows.parquet"
    FRAME.to_parquet(path, row_group_size=group)
    for X in (path, str(path), tmp_path, ds.dataset(path)):
        rows = ParquetRows(X, NAMES)
        assert len(rows) == 100
        expected = FRAME[NAMES].reset_index(drop=True)
        pd.testing.assert_frame_equal(whole(rows, n_rows), expected)


def test_without_names_columns_are_an_array_in_their_order(tmp_path):
    numbers = FRAME[["b", "a", "gap"]]
    numbers.to_parquet(tmp_path / "rows.parquet")
    (block,) = ParquetRows(tmp_path, 3).blocks(100)  # the index is none of them
    np.testing.assert_array_equal(block, numbers.to_numpy())
    with pytest.raises(ValueError, match=r"X has 3 columns \('b', 'a', 'gap'\), but 4 were fitted"):
        ParquetRows(tmp_path, 4)


def test_a_filter_and_a_source_that_is_no_file(tmp_path):
    FRAME.to_parquet(tmp_path / "rows.parquet", row_group_size=9)
    chosen = ds.dataset(tmp_path).filter(pc.field("a") > 0)
    expected = FRAME[FRAME["a"] > 0][NAMES].reset_index(drop=True)
    assert len(ParquetRows(chosen, NAMES)) == len(expected)
    pd.testing.assert_frame_equal(whole(ParquetRows(chosen, NAMES), 10), expected)
    in_memory = ds.dataset(pa.Table.from_pandas(FRAME))
    pd.testing.assert_frame_equal(
        whole(ParquetRows(in_memory, NAMES), 30), FRAME[NAMES].reset_index(drop=True)
    )


def test_folders_named_after_a_value(tmp_path):
    FRAME.assign(word=FRAME["word"].astype(str)).to_parquet(tmp_path, partition_cols=["word"])
    rows = whole(ParquetRows(tmp_path, ["word", "a"]), 40)
    expected = FRAME.sort_values("word", kind="stable")
    assert rows["word"].tolist() == expected["word"].tolist()
    assert rows["a"].tolist() == expected["a"].tolist()


def test_an_empty_file_gives_one_empty_block(tmp_path):
    FRAME[:0].to_parquet(tmp_path / "rows.parquet")
    (block,) = ParquetRows(tmp_path, NAMES).blocks(10)
    assert list(block) == NAMES
    assert len(block) == 0


def test_files_agree_on_the_types_of_their_columns(tmp_path):
    """Whole numbers where no cell of a file is missing, floats where one is; nothing but gaps."""
    pieces = [
        pd.DataFrame({"n": [1, 2], "s": [None, None], "c": pd.Categorical(["x", "y"])}),
        pd.DataFrame({"n": [2.5, None], "s": ["u", "v"], "c": pd.Categorical(["z", "z"])}),
        pd.DataFrame({"n": [3, 4], "s": ["u", None], "c": pd.Categorical(["y", None])}),
    ]
    for i, piece in enumerate(pieces):
        piece.to_parquet(tmp_path / f"{i}.parquet")
    rows = whole(ParquetRows(tmp_path, ["n", "s", "c"]), 3)
    expected = pd.concat([piece.astype({"c": object}) for piece in pieces], ignore_index=True)
    assert rows["n"].dtype == np.float64
    for name in rows:
        assert rows[name].astype(object).where(rows[name].notna(), None).tolist() == (
            expected[name].astype(object).where(expected[name].notna(), None).tolist()
        )


def test_nullable_columns_agree_too(tmp_path):
    pd.DataFrame({"n": pd.array([1, None], "Int64")}).to_parquet(tmp_path / "0.parquet")
    pd.DataFrame({"n": [1.5, 2.5]}).to_parquet(tmp_path / "1.parquet")
    rows = whole(ParquetRows(tmp_path, ["n"]), 3)
    np.testing.assert_array_equal(rows["n"].astype(float), [1, np.nan, 1.5, 2.5])


def test_names_are_those_of_the_file(tmp_path):
    """Whatever pandas noted there: text is what columns are found by."""
    pd.DataFrame({0: [1.0], 1: [2.0]}).to_parquet(tmp_path / "rows.parquet")
    for X in (tmp_path, ds.dataset(tmp_path)):
        (block,) = ParquetRows(X, ["1", "0"]).blocks(10)
        assert block.to_dict("list") == {"1": [2.0], "0": [1.0]}


def test_what_is_missing_is_named_before_anything_is_read(tmp_path):
    FRAME.to_parquet(tmp_path / "0.parquet")
    with pytest.raises(ValueError, match=r"X has no columns 'c', 'd', which .*; it has 'a', 'b'"):
        ParquetRows(ds.dataset(tmp_path), ["a", "c", "d"])
    FRAME[["b"]].to_parquet(tmp_path / "1.parquet")
    for columns in (["a", "b"], 5):
        with pytest.raises(ValueError, match=r"1\.parquet has no columns 'a'.*it has 'b'"):
            ParquetRows(tmp_path, columns)
    FRAME.astype({"b": str}).to_parquet(tmp_path / "1.parquet")
    assert len(ParquetRows(tmp_path, ["a"])) == 200  # nobody asks for the other one
    with pytest.raises(ValueError, match=r"do not go together.*Field b has incompatible types"):
        ParquetRows(tmp_path, ["b"])


def test_a_path_to_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        ParquetRows(tmp_path / "nowhere", ["a"])
    with pytest.raises(ValueError, match=r"X has no columns 'a', .*it has none"):
        ParquetRows(tmp_path, ["a"])


def test_without_pyarrow_the_error_says_what_to_install(tmp_path, monkeypatch):
    FRAME.to_parquet(tmp_path / "rows.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.dataset", None)
    assert not is_parquet(FRAME)
    with pytest.raises(ImportError, match=r"pip install.*parquet"):
        ParquetRows(tmp_path, NAMES)


def test_other_methods_want_rows_in_memory(tmp_path):
    pq.write_table(pa.table({"a": [1.0]}), tmp_path / "rows.parquet")
    for X in (str(tmp_path), tmp_path, ds.dataset(tmp_path)):
        with pytest.raises(ValueError, match=re.compile("rows in memory.*pandas.read_parquet")):
            as_table(X)
