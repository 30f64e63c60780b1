"""Limits and messages, in all six estimators: checked wherever rows come in, by column name."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.exceptions import DataConversionWarning

from skflow import SurVAEFlow
from skflow.estimators import table_answers
from tests.estimators.configurations import SIX, six_flows

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame({"a": RNG.gamma(2.0, size=80), "b": RNG.normal(size=80)})
OUTSIDE = FRAME.assign(a=FRAME["a"] - 50)
QUICK = {"max_iter": 1, "hidden_layer_sizes": (8,), "random_state": 0}


@pytest.mark.parametrize("bounds", [{"a": (0, None)}, {0: (0, None)}, [(0, None), None]], ids=str)
@pytest.mark.parametrize("name", SIX)
def test_bounds_by_name_by_position_and_as_a_list(name, bounds):
    flow = six_flows()[name].set_params(bounds=bounds).fit(FRAME)
    np.testing.assert_array_equal(flow.bounds_[0], [0, -np.inf])
    assert (flow.sample(500, random_state=0)["a"] >= 0).all()
    assert (flow.score_samples(OUTSIDE) == -np.inf).all()


@pytest.mark.parametrize("name", SIX)
def test_bounds_hold_wherever_rows_are_learned_from(name):
    flow = six_flows()[name].set_params(bounds={"a": (0, None)})
    for fit in (
        lambda: flow.fit(OUTSIDE),
        lambda: flow.fit(FRAME, X_val=OUTSIDE),
        lambda: flow.partial_fit(OUTSIDE),
        lambda: flow.partial_fit(FRAME).partial_fit(OUTSIDE),
    ):
        with pytest.raises(ValueError, match=r"columns 'a' of X.* outside their bounds"):
            fit()
    with pytest.raises(ValueError, match="bounds names column 'c'"):
        flow.set_params(bounds={"c": (0, 1)}).fit(FRAME)
    with pytest.raises(ValueError, match="bounds of column 'a': 1 is not below 0"):
        flow.set_params(bounds={"a": (1, 0)}).fit(FRAME)


def test_nothing_is_conditioned_on_what_cannot_be():
    flow = SurVAEFlow(**QUICK, bounds={"a": (0, None)}).fit(FRAME)
    with pytest.raises(ValueError, match="columns 'a' of X"):
        flow.conditional_score_samples(OUTSIDE, given=["a"])
    assert (flow.conditional_score_samples(OUTSIDE, given=["b"]) == -np.inf).all()
    with pytest.raises(ValueError, match="columns 'a' of X"):
        flow.impute(OUTSIDE.assign(b=np.nan))
    assert flow.impute(OUTSIDE.assign(a=np.nan), random_state=0)["a"].ge(0).all()


def test_new_categories_in_later_rows_are_named():
    frame = FRAME.assign(word=["x", "y"] * 40)
    later = frame.assign(word=["x", "z"] * 40)
    flow = SurVAEFlow(**QUICK)
    with pytest.warns(UserWarning, match="columns 'word' of X_val hold categories that"):
        flow.fit(frame, X_val=later)
    flow = SurVAEFlow(**QUICK).partial_fit(frame)
    with pytest.warns(UserWarning, match="columns 'word' of X hold categories that"):
        flow.partial_fit(later)
    declared = frame.assign(word=pd.Categorical(frame["word"], ["x", "y", "z"]))
    SurVAEFlow(**QUICK).partial_fit(declared).partial_fit(later)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(flow.score_samples(later)).all()  # to score them is no matter


@pytest.mark.parametrize("name", SIX)
def test_one_positive_weight_is_enough_for_a_score(name):
    flow = six_flows()[name].fit(FRAME)
    weight = [0, 1, 0]
    assert flow.score(FRAME[:3], sample_weight=weight) == flow.score_samples(FRAME[:3])[1]
    with pytest.raises(ValueError, match="zero"):
        flow.score(FRAME[:3], sample_weight=[0, 0, 0])
    with pytest.raises(ValueError, match="a density needs two"):
        flow.fit(FRAME[:3], sample_weight=weight)
    for kind in (pd.Series, pl.Series, np.ma.MaskedArray, tuple):
        again = flow.score(FRAME[:3], sample_weight=kind(weight))
        assert again == flow.score(FRAME[:3], sample_weight=weight)
    masked = np.ma.MaskedArray([1.0, 2.0, 3.0], mask=[False, True, False])
    with pytest.raises(ValueError, match="NaN"):
        flow.score(FRAME[:3], sample_weight=masked)


@pytest.mark.parametrize("name", SIX)
def test_how_many_to_draw_is_a_whole_number(name):
    flow = six_flows()[name].fit(FRAME)
    for n in ("5", 2.5, 5.0, None, True, [3]):
        with pytest.raises(TypeError, match="n_samples must be a whole number"):
            flow.sample(n)
    for n in (0, -3):
        with pytest.raises(ValueError, match="n_samples must be at least 1"):
            flow.sample(n)
    assert len(flow.sample(np.int32(5))) == 5
    if name == "SurVAEFlow":
        with pytest.raises(TypeError, match="n_draws must be a whole number"):
            flow.impute(FRAME, "2")


def test_repeated_values_are_named_in_one_line():
    frame = FRAME.assign(**{f"count {i}": RNG.integers(0, 3, 80) for i in range(9)})
    flow = six_flows()["NormalizingFlow"]
    with pytest.warns(DataConversionWarning) as caught:
        flow.fit(frame)
    (message,) = (str(w.message) for w in caught if w.category is DataConversionWarning)
    assert "'count 0', 'count 1'" in message
    assert "and 4 more" in message
    assert len(message) < 240
    assert "\n" not in message
    assert caught[0].filename == __file__
    with pytest.warns(DataConversionWarning, match="columns 1 repeat"):
        flow.fit(np.c_[FRAME["a"], frame["count 0"]])


@pytest.mark.parametrize("known", [80, 60])
def test_ids_are_named(known):
    text = pd.Series([f"id {i}" for i in range(known)] + [None] * (80 - known), dtype=object)
    frame = FRAME.assign(
        text=text,
        factor=pd.Categorical(RNG.permutation(80)),
        half=[f"{i % 40}" for i in range(80)],
        wide=pd.Categorical(RNG.integers(0, 9, 80), range(500)),
    )
    with pytest.warns(UserWarning, match="columns 'text', 'factor' have nearly as many categ"):
        SurVAEFlow(**QUICK).fit(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        SurVAEFlow(**QUICK).fit(frame.drop(columns=["text", "factor"]))
        SurVAEFlow(**QUICK).fit(frame[["a", "text"]].head(12))


def test_a_wide_table_has_a_short_repr():
    X = pd.DataFrame(RNG.normal(size=(30, 300))).add_prefix("column ")
    flow = SurVAEFlow(max_iter=1, random_state=0, early_stopping=False).fit(X)
    assert "column 0: continuous" in repr(flow)
    assert "and 288 more" in repr(flow)
    assert len(repr(flow)) < 1_000
    assert len(repr(flow._schema)) < 200


# -- the memory of imputations --------------------------------------------------------------------


@pytest.fixture(scope="module")
def holed():
    frame = pd.DataFrame(RNG.normal(size=(300, 3)) @ RNG.normal(size=(3, 3)), columns=list("abc"))
    frame["d"] = np.where(RNG.uniform(size=300) < 0.85, "x", "y")
    holes = frame.mask(RNG.uniform(size=frame.shape) < 0.3)
    return SurVAEFlow(**QUICK).fit(holes), holes


@pytest.mark.parametrize("strategy", ["sample", "mean", "median"])
def test_rows_are_imputed_a_few_at_a_time(holed, strategy, monkeypatch):
    flow, holes = holed
    sizes = []
    completed = SurVAEFlow._completed

    def counted(self, x, generator):
        sizes.append(len(x))
        return completed(self, x, generator)

    monkeypatch.setattr(SurVAEFlow, "_completed", counted)
    tiled = np.tile
    largest = []

    def counting(array, repetitions):
        largest.append(len(array) * np.max(repetitions))
        return tiled(array, repetitions)

    monkeypatch.setattr(table_answers.np, "tile", counting)
    rows = holes.iloc[np.arange(900) % 300]
    with sklearn.config_context(working_memory=1):
        flow.impute(rows, strategy=strategy, random_state=0)
    most = 2**20 // (1_000 * 4)
    assert max(sizes) <= most
    assert max(largest, default=0) <= most
    assert len(sizes) > 1


@pytest.mark.parametrize("strategy", ["mean", "median"])
def test_what_is_filled_in_is_the_mean_or_the_median_of_many_draws(holed, strategy):
    """Held to draws of the conditional distribution itself, 600 for each row."""
    flow, holes = holed

    def draws_of(rows, name):
        copies = rows.iloc[np.tile(np.arange(len(rows)), 600)]
        return flow.impute(copies, random_state=1)[name].to_numpy().reshape(600, len(rows))

    rows = holes[holes["a"].isna()].head(6)
    draws = draws_of(rows, "a")
    done = flow.impute(rows, strategy=strategy, random_state=0)["a"].to_numpy()
    middle = draws.mean(0) if strategy == "mean" else np.median(draws, 0)
    assert (np.abs(done - middle) < 6 * draws.std(0) / np.sqrt(64)).all()
    assert np.sqrt(np.mean(((done - middle) / draws.std(0)) ** 2)) < 0.35
    rows = holes[holes["d"].isna()].head(6)
    share = (draws_of(rows, "d") == "x").mean(0)
    assert (share > 0.7).any()
    clear = np.abs(share - 0.5) > 0.2
    filled = flow.impute(rows, strategy=strategy, random_state=0)["d"].to_numpy()
    assert (filled[clear] == np.where(share > 0.5, "x", "y")[clear]).all()


def test_one_table_is_drawn_as_the_first_of_several(holed):
    flow, holes = holed
    one = flow.impute(holes, random_state=0)
    first, second = flow.impute(holes, 2, random_state=0)
    pd.testing.assert_frame_equal(one, first)
    assert not first.equals(second)
