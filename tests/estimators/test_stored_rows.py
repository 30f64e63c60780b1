"""Scores of rows in files are those of the same rows in memory, to the last bit."""

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

from skflow.data import stored
from skflow.estimators import answers
from tests.contract.fixed_fits import mixed
from tests.estimators.configurations import FULL_BATCH, SIX, quick_flow, six_flows

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning"),
]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(203, 2)) @ np.array([[1.0, 0.8], [0.0, 1.0]])
FRAME = pd.DataFrame(X, columns=["b", "a"])


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    """Of 64 rows, in chunks of 16; so 203 rows are four blocks, the last one no whole chunk."""
    monkeypatch.setattr(answers, "CHUNK_ROWS", 16)
    monkeypatch.setattr(stored, "BLOCK_BYTES", 64 * 8 * 2)


@pytest.fixture(scope="module")
def fitted():
    return {name: flow.fit(FRAME) for name, flow in six_flows().items()}


@pytest.fixture(scope="module")
def flow():
    return quick_flow(**FULL_BATCH, contamination=0.1).fit(FRAME)


@pytest.mark.parametrize("name", SIX)
def test_all_estimators_score_a_file_as_a_frame(name, fitted, tmp_path):
    path = tmp_path / "rows.parquet"
    FRAME[["a", "b"]].assign(when=pd.Timestamp("2020")).to_parquet(path, row_group_size=50)
    found = fitted[name].score_samples(path)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, fitted[name].score_samples(FRAME))
    assert fitted[name].score(path) == fitted[name].score(FRAME)


@pytest.mark.parametrize("group", [5, 64, 1000])
def test_files_and_folders_of_groups_of_any_size(flow, tmp_path, group):
    for i, start in enumerate(range(0, len(FRAME), 90)):
        FRAME[start : start + 90].to_parquet(tmp_path / f"{i}.parquet", row_group_size=group)
    expected = flow.score_samples(FRAME)
    for rows in (tmp_path, str(tmp_path), ds.dataset(tmp_path)):
        np.testing.assert_array_equal(flow.score_samples(rows), expected)
    some = ds.dataset(tmp_path).filter(pc.field("a") > 0)
    np.testing.assert_array_equal(
        flow.score_samples(some), flow.score_samples(FRAME[FRAME["a"] > 0])
    )
    np.testing.assert_array_equal(flow.predict(tmp_path), flow.predict(FRAME))
    np.testing.assert_array_equal(flow.decision_function(tmp_path), flow.decision_function(FRAME))
    weight = RNG.uniform(size=len(FRAME))
    assert flow.score(tmp_path, sample_weight=weight) == flow.score(FRAME, sample_weight=weight)


def test_a_flow_without_names_takes_columns_in_their_order(tmp_path):
    flow = quick_flow(**FULL_BATCH).fit(X)
    FRAME.to_parquet(tmp_path / "rows.parquet")
    np.testing.assert_array_equal(flow.score_samples(tmp_path), flow.score_samples(X))
    FRAME[["b"]].to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(ValueError, match="X has 1 columns"):
        flow.score_samples(tmp_path)


@pytest.mark.parametrize("dtype", [np.float32, np.int16, "Int8", "float32[pyarrow]"])
def test_numbers_of_any_type(flow, tmp_path, dtype):
    frame = (10 * FRAME).round().astype(dtype)
    frame.to_parquet(tmp_path / "rows.parquet")
    np.testing.assert_array_equal(flow.score_samples(tmp_path), flow.score_samples(frame))


def test_a_mixed_table_with_categories_that_differ_by_file(tmp_path):
    frame = mixed(200)
    frame = frame.astype({"colour": "category"})
    flow = six_flows()["SurVAEFlow"].fit(frame)
    frame = frame.sort_values("colour", ignore_index=True)
    for i, start in enumerate(range(0, 200, 40)):
        piece = frame[start : start + 40].copy()
        if i < 4:
            piece["colour"] = piece["colour"].cat.remove_unused_categories()
        piece.to_parquet(tmp_path / f"{i}.parquet", row_group_size=25)
    np.testing.assert_array_equal(flow.score_samples(tmp_path), flow.score_samples(frame))


def test_codes_that_are_missing_in_some_files_only(tmp_path):
    code, told = RNG.integers(3, size=200).astype(float), RNG.uniform(size=200) < 0.5
    frame = pd.DataFrame({"code": code, "told": told}).astype({"code": "Int64", "told": "boolean"})
    frame.loc[150:, "code"] = None
    frame.loc[170:, "told"] = None
    flow = six_flows()["SurVAEFlow"]
    flow.set_params(categorical_features=["code", "told"]).fit(frame)
    for i, start in enumerate(range(0, 200, 50)):
        piece = frame[start : start + 50]
        piece = piece.astype({"code": int} if start < 150 else {"code": float})
        piece.to_parquet(tmp_path / f"{i}.parquet")
    np.testing.assert_array_equal(flow.score_samples(tmp_path), flow.score_samples(frame))


def test_errors_are_those_of_a_frame(flow, tmp_path):
    path = tmp_path / "rows.parquet"
    FRAME[["b"]].to_parquet(path)
    with pytest.raises(ValueError, match="X has no columns 'a', which were there in fit"):
        flow.score_samples(path)
    FRAME[:0].to_parquet(path)
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        flow.score_samples(path)
    FRAME.assign(a=FRAME["a"].where(FRAME.index < 150)).to_parquet(path)
    with pytest.raises(ValueError, match="contains NaN"):
        flow.score_samples(path)
    FRAME.assign(a="x").to_parquet(path)
    with pytest.raises(ValueError, match="column 'a' was numeric"):
        flow.score_samples(path)
    for method in (flow.fit, flow.transform):
        with pytest.raises(ValueError, match="Expected rows in memory"):
            method(path)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", SIX)
def test_a_memory_map_is_the_array_in_it(name, dtype, order, tmp_path):
    array = np.asarray(10 * X, dtype=dtype, order=order)
    np.save(tmp_path / "rows.npy", array)
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    flow = six_flows()[name].fit(array)
    np.testing.assert_array_equal(flow.score_samples(rows), flow.score_samples(array))
    np.testing.assert_array_equal(flow.score_samples(rows[::-2]), flow.score_samples(array[::-2]))


def test_a_memory_map_is_read_block_by_block(tmp_path, monkeypatch):
    flow = quick_flow(**FULL_BATCH).fit(X)
    np.save(tmp_path / "rows.npy", X)
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    seen, read = [], flow._read_rows
    monkeypatch.setattr(
        flow, "_read_rows", lambda X, **how: seen.append(len(X)) or read(X, **how), raising=False
    )
    flow.score_samples(rows)
    assert seen == [64, 64, 64, 11]
    for odd, error in ((rows[:0], "0 sample"), (rows[0], "1D array"), (rows[:, :1], "1 features")):
        with pytest.raises(ValueError, match=error):
            flow.score_samples(odd)


def test_blocks_follow_the_working_memory(flow, tmp_path):
    import sklearn

    FRAME.to_parquet(tmp_path / "rows.parquet")
    with sklearn.config_context(working_memory=0.01):
        np.testing.assert_array_equal(flow.score_samples(tmp_path), flow.score_samples(FRAME))
