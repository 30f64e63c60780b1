"""Rows as they come, in all six estimators: frames of other libraries, views, masks."""

from contextlib import nullcontext

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tests.estimators.configurations import SIX, six_flows

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning"),
]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2)) @ np.array([[1.0, 0.8], [0.0, 1.0]])
FRAME = pd.DataFrame(X, columns=["b", "a"])
FRAMES = {
    "polars": pl.from_pandas,
    "pyarrow": pa.Table.from_pandas,
    "record batch": lambda frame: pa.Table.from_pandas(frame).to_batches()[0],
}


def frozen(array):
    array = np.array(array)
    array.setflags(write=False)
    return array


@pytest.fixture(scope="module")
def fitted():
    return {name: flow.fit(FRAME) for name, flow in six_flows().items()}


@pytest.mark.parametrize("library", FRAMES)
@pytest.mark.parametrize("name", SIX)
def test_a_frame_of_another_library_is_the_same_rows(name, library, fitted):
    other = FRAMES[library](FRAME)
    flow = six_flows()[name].fit(other, X_val=FRAMES[library](FRAME[:20]))
    assert flow.feature_names_in_.tolist() == ["b", "a"]
    again = six_flows()[name].fit(FRAME, X_val=FRAME[:20])
    expected = again.score_samples(FRAME)
    for rows in (other, FRAME):
        np.testing.assert_array_equal(flow.score_samples(rows), expected)
    np.testing.assert_array_equal(flow.transform(other), again.transform(FRAME))
    pd.testing.assert_frame_equal(flow.sample(5, random_state=0), again.sample(5, random_state=0))
    partly = six_flows()[name].partial_fit(other).partial_fit(other)
    np.testing.assert_array_equal(partly.feature_names_in_, ["b", "a"])


@pytest.mark.parametrize("library", [None, *FRAMES])
@pytest.mark.parametrize("name", SIX)
def test_the_order_of_columns_is_checked(name, library, fitted):
    turned = FRAME[["a", "b"]]
    turned = turned if library is None else FRAMES[library](turned)
    methods = [fitted[name].score_samples, fitted[name].transform]
    if name == "SurVAEFlow":
        methods += [fitted[name].impute, fitted[name].score_columns]
    for method in methods:
        with pytest.raises(ValueError, match="Feature names must be in the same order"):
            method(turned)
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        six_flows()[name].fit(FRAME, X_val=turned)
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        six_flows()[name].partial_fit(FRAME).partial_fit(turned)


@pytest.mark.parametrize("name", SIX)
def test_dates_and_text_in_other_frames(name):
    dates = pl.from_pandas(FRAME).with_columns(
        when=pl.datetime_range(
            pl.datetime(2020, 1, 1), pl.datetime(2020, 1, 3, 11), "1h", eager=True
        )
    )
    flow = six_flows()[name]
    for frame in (dates, dates.to_arrow(), dates.with_columns(pl.col("when").dt.date())):
        with pytest.raises(ValueError, match=r"column 'when' .* neither numeric nor"):
            flow.fit(frame)
        with pytest.raises(ValueError, match=r"column 'when' .* neither numeric nor"):
            flow.partial_fit(frame)
    assert not hasattr(flow, "n_features_in_")
    words = pl.from_pandas(FRAME).with_columns(
        word=pl.Series(["x", "y", "z"] * 20, dtype=pl.Categorical)
    )
    if name == "SurVAEFlow":
        drawn = flow.fit(words).sample(20, random_state=0)
        assert flow.column_kinds_["word"] == "categorical"
        assert set(drawn["word"]) <= {"x", "y", "z"}
        return
    for frame in (words, words.to_arrow(), words.to_pandas()):
        with pytest.raises(ValueError, match=r"column 'word' .*SurVAEFlow"):
            flow.fit(frame)
    with pytest.raises(ValueError, match=r"could not convert string to float.*SurVAEFlow"):
        flow.fit(words.to_pandas().to_numpy())


@pytest.mark.parametrize("name", SIX)
@pytest.mark.parametrize("dtype", ["M8[D]", "M8[ns]", "m8[s]", object])
def test_dates_in_arrays_are_refused(name, dtype):
    days = np.arange(60).reshape(30, 2)
    days = days.astype("M8[D]").astype(object) if dtype is object else days.astype(dtype)
    with pytest.raises((ValueError, TypeError), match=r"into numbers|must be a .*number"):
        six_flows()[name].fit(days)


@pytest.mark.parametrize("name", SIX)
@pytest.mark.parametrize("view", ["backwards", "read-only", "both"])
def test_views_are_the_same_rows(name, view, fitted):
    def seen(array):
        array = np.asarray(array)
        if view == "backwards":
            return array[::-1].copy()[::-1]
        return frozen(array) if view == "read-only" else frozen(array[::-1])[::-1]

    weight = RNG.uniform(1, 2, len(X))
    flow = six_flows()[name].fit(seen(X), sample_weight=seen(weight), X_val=seen(X[:20]))
    again = six_flows()[name].fit(X, sample_weight=weight, X_val=X[:20])
    expected = again.score_samples(X)
    np.testing.assert_array_equal(flow.score_samples(seen(X)), expected)
    assert flow.score(seen(X), sample_weight=seen(weight)) == again.score(X, sample_weight=weight)
    Z = again.transform(X)
    np.testing.assert_array_equal(flow.transform(seen(X)), Z)
    np.testing.assert_array_equal(flow.inverse_transform(seen(Z)), again.inverse_transform(Z))
    partly = six_flows()[name].partial_fit(seen(X), sample_weight=seen(weight))
    other = six_flows()[name].partial_fit(X, sample_weight=weight)
    np.testing.assert_array_equal(partly.score_samples(X), other.score_samples(X))
    if name == "SurVAEFlow":
        holes = np.where(RNG.uniform(size=X.shape) < 0.2, np.nan, X)
        done, expected = (flow.impute(rows, random_state=0) for rows in (seen(holes), holes))
        np.testing.assert_array_equal(done, expected)


@pytest.mark.parametrize("name", SIX)
@pytest.mark.parametrize(
    "change", [lambda F: F[::-1], lambda F: F[["a", "b"]], lambda F: F.iloc[:, ::-1]]
)
def test_frames_turned_round_can_be_fitted(name, change):
    frame = change(FRAME)
    flow = six_flows()[name].fit(frame)
    expected = six_flows()[name].fit(frame.to_numpy(copy=True)).score_samples(frame.to_numpy())
    np.testing.assert_array_equal(flow.score_samples(frame), expected)


@pytest.mark.parametrize("name", SIX)
def test_the_mask_of_an_array_is_missing_cells(name, fitted):
    hidden = np.array(X)
    hidden[::10, 1] = -9999.0
    masked = np.ma.masked_equal(hidden, -9999.0)
    flow = six_flows()[name]
    if name == "SurVAEFlow":
        flow.fit(masked, X_val=masked)
        assert flow.column_kinds_[1] == "continuous +missing"
        assert np.nanmin(flow.sample(200, random_state=0)[:, 1]) > -100
        gaps = np.where(hidden == -9999.0, np.nan, hidden)
        np.testing.assert_array_equal(flow.score_samples(masked), flow.score_samples(gaps))
        filled = flow.impute(masked, random_state=0)
        assert np.isfinite(filled).all()
        assert filled.min() > -100
        return
    for method in (flow.fit, flow.partial_fit, fitted[name].score_samples, fitted[name].transform):
        with (
            pytest.warns(UserWarning, match="feature names")
            if method.__name__ in ("score_samples", "transform")
            else nullcontext(),
            pytest.raises(ValueError, match="contains NaN"),
        ):
            method(masked)
    with pytest.raises(ValueError, match="contains NaN"):
        flow.fit(X, X_val=masked)
    unmasked = np.ma.MaskedArray(X)
    np.testing.assert_array_equal(
        flow.fit(unmasked).score_samples(unmasked), six_flows()[name].fit(X).score_samples(X)
    )


@pytest.mark.parametrize("name", SIX)
def test_a_series_is_no_table(name, fitted):
    for method in (fitted[name].fit, fitted[name].score_samples):
        with pytest.raises(ValueError, match=r"got a Series; use X.to_frame"):
            method(FRAME["a"])
