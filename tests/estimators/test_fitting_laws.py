"""Fitting, by what can be seen from outside: which rows, which units, which seed, which model."""

import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import DataConversionWarning

from skflow import FunnelFlow, NormalizingFlow
from skflow.data.fit_data import FitData
from skflow.data.rows import Rows
from tests.contract.estimators import ESTIMATORS, in_three_columns

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
AT_REST = 1e-30  # a rate at which nothing moves
# The density of standardised columns as it is, whole tables as batches: every loss is known.
KNOWN = {
    "start": "standard",
    "base": "normal",
    "noise": 0.0,
    "batch_size": 10**6,
    "dtype": "float64",
    "learning_rate_init": AT_REST,
    "max_iter": 2,
}
NUMERIC = [name for name in ESTIMATORS if name != "SurVAEFlow"]
X = in_three_columns(100)
HELD_OUT = in_three_columns(60, seed=1)


def at_rest(name, **changes):
    return ESTIMATORS[name].make(**{**KNOWN, **changes})


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_warm_start_begins_where_the_last_fit_ended(name):
    case = ESTIMATORS[name]
    rows = case.make_rows()
    train, held_out = rows[:150], rows[150:]
    flow = case.make(**case.trains, warm_start=True).fit(train, X_val=held_out)
    start, end = flow.start_score_, flow.score(held_out)
    assert end > start + 0.02
    flow.fit(train, X_val=held_out)
    assert flow.start_score_ == pytest.approx(end, abs=1e-4)
    flow.set_params(warm_start=False).fit(train, X_val=held_out)
    assert flow.start_score_ == pytest.approx(start, abs=1e-6)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_pass_of_partial_fit_has_draws_of_its_own(name):
    case = ESTIMATORS[name]
    rows = case.make_rows()
    flow = case.make(learning_rate_init=AT_REST)
    losses = [flow.partial_fit(rows).history_["train_loss"][0] for _ in range(3)]
    # Nothing moves: what differs is the noise, or which cells are hidden.
    assert min(abs(a - b) for a, b in itertools.combinations(losses, 2)) > 1e-6
    again = case.make(learning_rate_init=AT_REST)
    assert [again.partial_fit(rows).history_["train_loss"][0] for _ in range(3)] == losses


@pytest.mark.parametrize("name", NUMERIC)
def test_passes_of_partial_fit_are_the_epochs_of_a_fit(name):
    settings = {"early_stopping": False, "learning_rate_init": 1e-2}
    flow, passes = at_rest(name, **settings, max_iter=3).fit(X), at_rest(name, **settings)
    losses = [passes.partial_fit(X).history_["train_loss"][0] for _ in range(3)]
    assert losses == pytest.approx(flow.history_["train_loss"], abs=1e-6)
    np.testing.assert_allclose(passes.score_samples(X), flow.score_samples(X), atol=1e-8)


@pytest.mark.parametrize("name", NUMERIC)
def test_losses_and_scores_are_in_units_of_the_rows(name):
    flow = at_rest(name).fit(X, X_val=HELD_OUT)
    assert flow.start_score_ == pytest.approx(flow.score(HELD_OUT), abs=1e-6)
    assert flow.history_["validation_score"] == pytest.approx([flow.start_score_] * 2, abs=1e-6)
    assert flow.history_["train_loss"] == pytest.approx([-flow.score(X)] * 2, abs=1e-6)
    weight = np.linspace(0.1, 3, len(X))
    flow = at_rest(name, early_stopping=False).fit(X, sample_weight=weight)
    loss = -flow.score(X, sample_weight=weight)
    assert flow.history_["train_loss"] == pytest.approx([loss] * 2, abs=1e-6)


def test_losses_of_weighted_rows_are_in_their_units_where_the_start_bends_columns():
    """A marginal map's volume differs from row to row, so its mean is a weighted one too."""
    flow = at_rest("NormalizingFlow", early_stopping=False, start="marginal")
    weight = np.exp(X[:, 0])
    flow.fit(X, sample_weight=weight)
    loss = -flow.score(X, sample_weight=weight)
    assert flow.start_["marginal_knots"] > 0
    assert flow.history_["train_loss"] == pytest.approx([loss] * 2, abs=1e-6)
    assert abs(loss + flow.score(X)) > 0.01


@pytest.mark.parametrize("name", NUMERIC)
def test_held_out_rows_are_not_trained_on(name):
    """Rows trained on and rows held out add up to all rows, each counted once."""
    flow = at_rest(name, validation_fraction=0.2).fit(X)
    trained, held_out = -flow.history_["train_loss"][0], flow.history_["validation_score"][0]
    assert 0.8 * trained + 0.2 * held_out == pytest.approx(flow.score(X), abs=1e-6)
    assert abs(trained - held_out) > 1e-3


def test_held_out_rows_have_their_weights():
    far = np.concatenate([X, X + 1e3])
    weight = np.repeat([1.0, 1e-12], len(X))
    flow = at_rest("NormalizingFlow", validation_fraction=0.3).fit(far, sample_weight=weight)
    scores = flow.score_samples(far)
    assert scores[len(X) :].max() < -100
    assert scores[: len(X)].min() < flow.start_score_ < scores[: len(X)].max()
    assert flow.history_["validation_score"] == pytest.approx([flow.start_score_] * 2)


def test_repetitions_of_a_row_are_held_out_together():
    distinct, n_held_out = X[:18], 5
    flow = at_rest("NormalizingFlow", validation_fraction=0.28).fit(np.tile(distinct, (3, 1)))
    assert (flow.noise_floor_ == 0).all()
    scores = flow.score_samples(distinct)
    groups = np.array(list(itertools.combinations(range(len(distinct)), n_held_out)))
    # The only mean of five scores that is the held-out one, of all 8,568.
    misses = np.sort(np.abs(scores[groups].mean(1) - flow.start_score_))
    assert misses[0] < 1e-9 < misses[1]
    assert len(distinct) * flow.score(distinct) == pytest.approx(
        n_held_out * flow.start_score_ - 13 * flow.history_["train_loss"][0]
    )


@pytest.mark.parametrize("name", NUMERIC)
def test_noise_on_the_training_rows_is_drawn_every_epoch(name):
    """Of deviation s on a standard normal of d columns it adds d s^2 / 2 to the loss."""
    settings = {"early_stopping": False, "noise": 0.5, "max_iter": 8}
    flow = at_rest(name, **settings).fit(X)
    added = np.array(flow.history_["train_loss"]) + flow.score(X)
    error = added.std() / np.sqrt(len(added) - 1)
    assert abs(added.mean() - 3 * 0.5**2 / 2) < 4 * error
    assert 0.01 < added.std() < 0.2


@pytest.mark.parametrize("name", NUMERIC)
def test_a_noise_floor_is_drawn_every_epoch(name):
    """Uniform noise of width w adds its variance, w^2 / 12, in units of the column's own."""
    counts = np.column_stack([X, np.random.default_rng(0).integers(0, 4, len(X))])
    with pytest.warns(DataConversionWarning):
        flow = at_rest(name, early_stopping=False, max_iter=12).fit(counts)
    np.testing.assert_array_equal(flow.noise_floor_, [0, 0, 0, 1])
    losses = np.array(flow.history_["train_loss"])
    assert len(np.unique(losses.round(9))) == 12
    variance = counts[:, 3].var() + 1 / 12
    added = losses + flow.score(counts)
    error = added.std() / np.sqrt(11)
    # The start saw one draw of the noise: its deviation is within a few hundredths.
    assert abs(added.mean() - 0.5 / 12 / variance) < 4 * error + 0.005


def with_a_leading_factor(n, seed=0):
    """Four copies of a factor, and four even functions of it: one latent is all it takes."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(-1, 1, size=(n, 1))
    functions = [t, -t, t, -t, *(np.cos(k * np.pi * t) for k in (1, 2, 3, 4))]
    return np.hstack(functions) + 0.1 * rng.normal(size=(n, 8))


def test_of_several_widths_the_best_is_kept():
    train, held_out = with_a_leading_factor(240), with_a_leading_factor(200, seed=1)
    settings = {
        **{**KNOWN, "dtype": "float32", "learning_rate_init": 1e-2, "max_iter": 60},
        **{"funnel": "slice", "n_layers": 0, "n_layers_after": 0, "decoder": "gaussian"},
        **{"hidden_layer_sizes": (32,), "batch_size": 40, "random_state": 0},
    }
    flow = FunnelFlow("auto", **settings).fit(train, X_val=held_out)
    widths = {k: FunnelFlow(k, **settings).fit(train, X_val=held_out) for k in (4, 1)}
    assert widths[1].best_score_ > widths[4].best_score_ + 0.5
    assert flow.n_components_ < 4  # the first one that is tried
    assert flow.best_score_ > widths[1].best_score_ - 0.1
    assert flow.best_score_ == pytest.approx(flow.score(held_out), abs=1e-4)


@pytest.mark.filterwarnings("ignore:columns:sklearn.exceptions.DataConversionWarning")
@pytest.mark.parametrize("n_times", [1, 2, 3])
@pytest.mark.parametrize("name", ["NormalizingFlow", "SurVAEFlow"])
def test_the_row_at_the_threshold_and_its_equals_are_inliers(name, n_times):
    case = ESTIMATORS[name]
    rows = case.make_rows()[:60]
    if n_times > 1:
        repeat = np.tile(np.arange(60), n_times)
        rows = rows.iloc[repeat] if isinstance(rows, pd.DataFrame) else rows[repeat]
    # A tenth of 61.7 rows of 60: the quantile is the score of the seventh lowest.
    flow = case.make(max_iter=1, contamination=0.1028).fit(rows)
    scores = flow.score_samples(rows)
    lowest = np.unique(scores)
    assert len(lowest) == 60
    assert flow.offset_ == pytest.approx(lowest[6], rel=1e-9)
    assert flow.offset_ < lowest[6] - 4 * np.spacing(abs(lowest[6]))
    labels = flow.predict(rows)
    assert (labels[scores >= lowest[6]] == 1).all()
    assert (labels == -1).sum() == 6 * n_times
    # The same rows in other chunks are rounded otherwise, and judged alike.
    at = np.flatnonzero(scores == lowest[6])
    one = rows.iloc[at[:1]] if isinstance(rows, pd.DataFrame) else rows[at[:1]]
    assert flow.predict(one) == 1


@pytest.mark.parametrize(("n", "expected"), [(4_999, 10), (5_000, 5)])
def test_patience_is_for_few_rows(n, expected):
    rows = FitData.plain(Rows(torch.zeros(n, 2)))
    assert NormalizingFlow()._settings(rows, None).n_iter_no_change == expected
    assert NormalizingFlow(n_iter_no_change=3)._settings(rows, None).n_iter_no_change == 3
