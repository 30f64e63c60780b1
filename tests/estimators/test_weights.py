"""Weights mean repetition, in every start of every estimator; and they are not merely the same."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_sample_weight_equivalence_on_dense_data

from skflow import (
    FlowifiedMLP,
    FunnelFlow,
    MultiscaleFlow,
    NormalizingFlow,
    SelfNormalizingFlow,
    SurVAEFlow,
)
from skflow.architectures.table import TablePlan
from skflow.data.column_plan import ColumnPlan
from skflow.data.fit_data import FitData, split_rows
from skflow.data.rows import Rows
from skflow.starts.factors import fit_factors
from skflow.starts.search import StartOptions, choose_start, make_folds, spaces_to_try
from skflow.starts.space import Space
from skflow.starts.start_recipe import StartRecipe
from skflow.starts.table import choose_table_start
from skflow.training.clock import Clock
from skflow.transforms import Factors
from tests.contract.table import randomise

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore::sklearn.exceptions.DataConversionWarning",
)

SHORT = {
    "max_iter": 2,
    "max_mixture_components": 2,
    "batch_size": 10**6,
    "early_stopping": False,
    "dtype": "float64",
    "device": "cpu",
}
STARTS = ("auto", "standard", "whiten", "marginal")
STARTED = (NormalizingFlow, SelfNormalizingFlow, FunnelFlow, FlowifiedMLP, MultiscaleFlow)
RNG = np.random.default_rng(0)
N = 80
COUNTS = RNG.integers(1, 5, size=N)
X = RNG.normal(size=(N, 4)) @ RNG.normal(size=(4, 4)) + 2 * RNG.integers(2, size=(N, 1))
SHUFFLED = RNG.permutation(N)
WEIGHT = torch.tensor(COUNTS).double()
ROWS = torch.tensor(X)
REPEATED = torch.tensor(X.repeat(COUNTS, axis=0))
CLOSE = {"atol": 1e-9, "rtol": 1e-9}


# -- the whole fit ----------------------------------------------------------------------------


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("estimator", STARTED)
def test_full_batch_passes_the_check_with_every_start(estimator, start):
    flow = estimator(**SHORT, noise=0.0, start=start, contamination=0.1)
    check_sample_weight_equivalence_on_dense_data(estimator.__name__, flow)


@pytest.mark.parametrize("shape", [None, (15, 2)])
def test_full_batch_passes_the_check_on_tables_and_sets(shape):
    flow = SurVAEFlow(**SHORT, input_shape=shape, n_layers=1, contamination=0.1)
    check_sample_weight_equivalence_on_dense_data("SurVAEFlow", flow)


SMALL = {"max_iter": 2, "random_state": 0, "contamination": 0.1}


@pytest.mark.parametrize(
    "flow",
    [
        NormalizingFlow(**SMALL),
        NormalizingFlow(**SMALL, base="mixture", start="marginal"),
        MultiscaleFlow(**SMALL, prior="lowrank"),
        MultiscaleFlow(**SMALL, factor_out="likelihood", n_scales=2),
        FlowifiedMLP((6, 3), **SMALL, augment="gaussian", n_importance_samples=2),
        SurVAEFlow(**SMALL),
        SurVAEFlow(**SMALL, input_shape=(2, 2), n_layers=1),
    ],
)
def test_mini_batches_and_a_held_out_part_agree_too(flow):
    weighted = clone(flow).fit(X[SHUFFLED], sample_weight=COUNTS[SHUFFLED])
    repeated = clone(flow).fit(X.repeat(COUNTS, axis=0))
    np.testing.assert_allclose(weighted.score_samples(X), repeated.score_samples(X), **CLOSE)
    assert weighted.offset_ == pytest.approx(repeated.offset_, abs=1e-9)
    assert weighted.bound_gap_ == repeated.bound_gap_
    assert weighted.best_score_ == repeated.best_score_
    assert weighted.n_iter_ == repeated.n_iter_


def test_pieces_of_a_stream_agree():
    weighted, repeated = (NormalizingFlow(**SMALL) for _ in range(2))
    for piece in (slice(0, 50), slice(50, None)):
        weighted.partial_fit(X[piece][::-1], sample_weight=COUNTS[piece][::-1])
        repeated.partial_fit(X[piece].repeat(COUNTS[piece], axis=0))
    np.testing.assert_allclose(weighted.score_samples(X), repeated.score_samples(X), **CLOSE)


def test_a_mixed_table_agrees():
    frame = pd.DataFrame(
        {
            "colour": RNG.choice(["red", "green"], N),
            "count": RNG.poisson(4, N),
            "size": X[:, 0],
            "angle": X[:, 1] % 2,
        }
    )
    flow = SurVAEFlow(**SMALL, periodic={"angle": 2.0})
    weighted = clone(flow).fit(frame.iloc[SHUFFLED], sample_weight=COUNTS[SHUFFLED])
    repeated = clone(flow).fit(frame.loc[frame.index.repeat(COUNTS)])
    assert weighted.column_kinds_ == repeated.column_kinds_
    np.testing.assert_allclose(weighted.score_samples(frame), repeated.score_samples(frame))


def test_a_row_of_idle_customers_stays_an_atom():
    rows = np.random.default_rng(1).normal(size=(150, 3))
    table = np.where(np.arange(150)[:, None] < 50, 0.0, rows)
    flow = SurVAEFlow(**SMALL).fit(table)
    assert set(flow.column_kinds_.values()) == {"continuous +atoms"}
    weighted = SurVAEFlow(**SMALL).fit(table[49:], sample_weight=np.r_[50.0, np.ones(100)])
    assert weighted.column_kinds_ == flow.column_kinds_


# -- that the weights enter, and rightly ------------------------------------------------------


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("base", ["normal", "student_t"])
def test_starts_are_fitted_and_judged_as_on_repeated_rows(start, base):
    def chosen(fit, judge):
        bounds = np.full(4, -np.inf), np.array([50.0, np.inf, np.inf, np.inf])
        options = StartOptions(start, base, max_components=1)
        return choose_start([(fit, judge)], options, bounds, np.random.RandomState(0))

    half = COUNTS[:40].sum()
    weighted = chosen(Rows(ROWS[:40], WEIGHT[:40]), Rows(ROWS[40:], WEIGHT[40:]))
    repeated = chosen(Rows(REPEATED[:half], None), Rows(REPEATED[half:], None))
    assert weighted.recipe == repeated.recipe
    assert weighted.score == pytest.approx(repeated.score, abs=1e-9)
    numbers = repeated.first_fit.fixed.state_dict()
    for name, value in weighted.first_fit.fixed.state_dict().items():
        torch.testing.assert_close(value, numbers[name], **CLOSE)


def test_the_mixture_of_a_start_is_that_of_weighted_rows():
    recipe = StartRecipe(4, base="mixture", n_mixture_components=1)
    base = recipe.fit(Rows(ROWS, WEIGHT), None, np.random.RandomState(0)).base
    other = recipe.fit(Rows(REPEATED, None), None, np.random.RandomState(0)).base
    for name, value in base.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name], **CLOSE)
    space = Space(recipe, [(Rows(ROWS, WEIGHT), Rows(ROWS, WEIGHT))], None, 0)
    tried = space.climb(1, [recipe.regularisation], lambda: False).first_fit.base
    torch.testing.assert_close(tried.means, other.means, **CLOSE)


def test_scores_of_folds_count_by_the_weight_they_judge():
    recipe = spaces_to_try("standard", N, 4, bounded=False)[0]
    folds = make_folds(Rows(ROWS, WEIGHT), np.random.RandomState(0))
    assert sorted(torch.cat([judge.x[:, 0] for _, judge in folds]).tolist()) == sorted(X[:, 0])
    score = Space(recipe, folds, None, 0).try_base("normal").score
    single = [Space(recipe, [fold], None, 0).try_base("normal").score for fold in folds]
    judged = [float(judge.weight.sum()) for _, judge in folds]
    assert score == pytest.approx(np.average(single, weights=judged), abs=1e-12)
    assert score != pytest.approx(np.mean(single), abs=1e-6)


def test_the_held_out_part_is_a_share_of_the_weight():
    for seed in range(5):
        rng = np.random.RandomState(seed)
        fit, held_out = split_rows(Rows(ROWS, WEIGHT), 0.25, rng)
        assert abs(float(held_out.weight.sum() / WEIGHT.sum()) - 0.25) < 2.5 / COUNTS.sum()
        both = torch.cat([fit.x, held_out.x])
        assert torch.equal(both.sort(0).values, ROWS.sort(0).values)
        weight = WEIGHT.clone()
        weight[7] = 300.0  # more than all that is held out
        fit, held_out = split_rows(Rows(ROWS, weight), 0.25, rng)
        assert 300.0 in fit.weight
        assert float(held_out.weight.sum()) > 100
        assert len(held_out) < N


def test_a_row_heavier_than_a_fold_is_always_fitted():
    weight = WEIGHT.clone()
    weight[7] = 300.0
    for fit, judge in make_folds(Rows(ROWS, weight), np.random.RandomState(0)):
        assert 300.0 in fit.weight
        assert 300.0 not in judge.weight
        assert len(fit) + len(judge) == N


def test_few_rows_in_effect_are_few_rows():
    weight = torch.full((N,), 0.1).double()
    rows = Rows(ROWS, weight)  # eight rows' worth
    assert rows.n_effective == 8
    assert split_rows(rows, 0.1, np.random.RandomState(0))[1] is None
    assert NormalizingFlow(noise="auto")._training_noise(rows.n_effective, 4) == pytest.approx(
        0.1 * 8 ** (-1 / 8)
    )


def test_a_table_starts_as_from_repeated_rows():
    codes = RNG.integers(3, size=N)
    table = np.column_stack([codes, X[:, :2]])
    table[::9, 1] = np.nan
    plans = [
        ColumnPlan("categorical", n_levels=3),
        ColumnPlan("continuous", missing=True),
        ColumnPlan("continuous"),
    ]

    def start(rows):
        rng, generator = np.random.RandomState(0), torch.Generator().manual_seed(0)
        plan = TablePlan(plans, [], 1, (4,))
        return choose_table_start(plan, FitData.plain(rows), rng, generator, Clock()).flow().eval()

    weighted = start(Rows(torch.tensor(table), WEIGHT))
    repeated = start(Rows(torch.tensor(table.repeat(COUNTS, axis=0)), None))
    torch.testing.assert_close(
        weighted(torch.tensor(table)), repeated(torch.tensor(table)), **CLOSE
    )


def test_factors_are_those_of_repeated_rows():
    found = []
    for rows in (Rows(ROWS, WEIGHT), Rows(REPEATED, None)):
        prior = Factors(4, 1).double()
        fit_factors(prior, rows, torch.Generator().manual_seed(0))
        found.append(prior.decoder.loading @ prior.decoder.loading.mT)
    torch.testing.assert_close(*found, atol=1e-3, rtol=1e-3)


def test_the_threshold_is_a_share_of_the_weight():
    size = np.abs(X - X.mean(0)).sum(1)
    weight = np.where(size > np.median(size), 4.0, 1.0)
    flow = NormalizingFlow(**{**SMALL, "contamination": 0.25}, start="whiten", base="normal")
    flagged = flow.fit(X, sample_weight=weight).predict(X) == -1
    assert weight[flagged].sum() / weight.sum() == pytest.approx(0.25, abs=5 / weight.sum())
    assert flagged.mean() < 0.23  # heavy rows are the outlying ones


def test_the_gap_of_a_bound_is_a_weighted_mean():
    flow = FlowifiedMLP((6, 3), **SMALL, augment="gaussian", n_importance_samples=2).fit(X)
    randomise(flow.flow_, scale=0.1)
    heavy_first, heavy_last = np.linspace(5, 1, 20), np.linspace(1, 5, 20) ** 2
    one, other, both = (
        flow._measured_gap(Rows.of(X[:20], w)) * w.sum()
        for w in (heavy_first, heavy_last, heavy_first + heavy_last)
    )
    assert one + other == pytest.approx(both, rel=1e-9)
    assert abs(one / heavy_first.sum() - other / heavy_last.sum()) > 1e-6


@pytest.mark.parametrize("flow", [NormalizingFlow(**SMALL), SurVAEFlow(**SMALL)])
def test_the_unit_of_weights_is_no_matter_and_ones_are_none(flow):
    first, second = (
        clone(flow).fit(X, sample_weight=unit * COUNTS).score_samples(X) for unit in (1.0, 2.0**-40)
    )
    np.testing.assert_array_equal(first, second)
    plain = clone(flow).fit(X).score_samples(X)
    ones = clone(flow).fit(X, sample_weight=np.full(N, 0.3)).score_samples(X)
    np.testing.assert_array_equal(plain, ones)
