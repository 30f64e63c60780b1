"""SurVAEFlow on raw tables, and on images and sets."""

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.special import entr
from scipy.stats import kstest, multivariate_normal
from sklearn.base import clone
from sklearn.mixture import GaussianMixture

from skflow import SurVAEFlow

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

QUICK = {"max_iter": 3, "hidden_layer_sizes": (16,), "random_state": 0}


def mixed_table(n=600, seed=0):
    """A frame with every dtype, missing cells, atoms and a lattice."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2])
    size = rng.normal(np.where(kind == "a", 2.0, 0.0))
    frame = pd.DataFrame(
        {
            "kind": pd.Categorical(kind, categories=["c", "b", "a", "never"]),
            "grade": pd.Categorical(
                rng.choice(["low", "mid", "high"], n), ["low", "mid", "high"], ordered=True
            ),
            "size": size,
            "count": rng.poisson(3 + 2 * (kind == "b")),
            "paid": np.where(rng.random(n) < 0.4, 0.0, np.exp(size / 2 + rng.normal(size=n) / 3)),
            "length": rng.normal(5 + size / 2, 0.4).round(1),
            "flag": rng.random(n) < 0.3 + 0.3 * (kind == "c"),
            "name": rng.choice(["x", "y"], n),
            "whole": pd.array(rng.integers(0, 50, n), dtype="Int64"),
        }
    )
    frame.loc[rng.random(n) < 0.15, "size"] = np.nan
    frame.loc[rng.random(n) < 0.1, "name"] = None
    frame.loc[rng.random(n) < 0.1, "kind"] = np.nan
    frame.loc[rng.random(n) < 0.1, "whole"] = pd.NA
    return frame


@pytest.fixture(scope="module")
def fitted():
    frame = mixed_table()
    return SurVAEFlow(**QUICK).fit(frame), frame


def test_kinds_are_found_and_shown(fitted):
    flow, _ = fitted
    assert flow.column_kinds_ == {
        "kind": "categorical +missing",
        "grade": "ordinal",
        "size": "continuous +missing",
        "count": "integer",
        "paid": "continuous +atoms",
        "length": "grid",
        "flag": "categorical",
        "name": "categorical +missing",
        "whole": "integer +missing",
    }
    assert "paid: continuous +atoms" in repr(flow)
    assert "paid" not in repr(SurVAEFlow())
    assert flow.n_components_ == 6  # the numeric and ordinal columns
    assert list(flow.feature_names_in_) == list(mixed_table(5).columns)


def test_scores_are_exact_deterministic_and_of_each_row_alone(fitted):
    flow, frame = fitted
    scores = flow.score_samples(frame)
    assert flow.exact_
    assert flow.bound_gap_ == 0
    assert np.isfinite(scores).all()
    np.testing.assert_array_equal(scores, flow.score_samples(frame))
    order = np.random.RandomState(0).permutation(len(frame))
    np.testing.assert_allclose(flow.score_samples(frame.iloc[order]), scores[order], rtol=1e-10)
    np.testing.assert_allclose(flow.score_samples(frame.iloc[[7]]), scores[[7]], rtol=1e-10)
    by_column = flow.score_columns(frame)
    assert by_column.shape == frame.shape
    np.testing.assert_allclose(by_column.sum(1), scores, rtol=1e-10)


def test_an_odd_cell_is_the_one_with_the_lowest_score(fitted):
    flow, frame = fitted
    odd = frame.head(20).copy()
    odd["length"] = 60.0
    assert (flow.score_columns(odd).argmin(1) == list(frame).index("length")).all()


def test_samples_have_the_columns_dtypes_and_levels_of_the_table(fitted):
    flow, frame = fitted
    drawn = flow.sample(2_000, random_state=0)
    assert (drawn.dtypes == frame.dtypes).all()
    assert list(drawn["kind"].cat.categories) == ["c", "b", "a", "never"]
    assert drawn["grade"].cat.ordered
    pd.testing.assert_frame_equal(drawn, flow.sample(2_000, random_state=0))
    np.testing.assert_allclose(
        drawn["kind"].value_counts(normalize=True).loc[["a", "b", "c"]],
        frame["kind"].value_counts(normalize=True).loc[["a", "b", "c"]],
        atol=0.06,
    )
    assert abs((drawn["paid"] == 0).mean() - (frame["paid"] == 0).mean()) < 0.06
    assert np.allclose(drawn["length"] * 10, (drawn["length"] * 10).round())
    for column in ("size", "name", "whole"):
        assert abs(drawn[column].isna().mean() - frame[column].isna().mean()) < 0.06


@pytest.mark.parametrize("strategy", ["sample", "mean", "median"])
def test_imputation_fills_what_is_missing_and_nothing_else(fitted, strategy):
    flow, frame = fitted
    holed = frame.set_axis(np.arange(len(frame)) + 1_000)
    before = holed.copy()
    full = flow.impute(holed, strategy=strategy, random_state=0)
    pd.testing.assert_frame_equal(holed, before)
    assert not full.isna().any().any()
    assert (full.dtypes == frame.dtypes).all()
    assert (full.index == holed.index).all()
    for column in frame:
        known = holed[column].notna()
        pd.testing.assert_series_equal(full.loc[known, column], holed.loc[known, column])
    assert np.isfinite(flow.score_samples(full)).all()


def test_several_imputations_differ_only_where_cells_were_missing(fitted):
    flow, frame = fitted
    first, second = flow.impute(frame, 2, random_state=0)
    differ = (first != second).to_numpy()
    assert differ[frame.isna().to_numpy()].any()
    assert not differ[frame.notna().to_numpy()].any()
    with pytest.raises(ValueError, match="n_draws"):
        flow.impute(frame, 0)
    with pytest.raises(ValueError, match="n_draws"):
        flow.impute(frame, 2, strategy="mean")
    with pytest.raises(ValueError, match="strategy"):
        flow.impute(frame, strategy="mode")


def test_cells_that_were_always_there_may_be_missing_later(fitted):
    flow, frame = fitted
    holed = frame.head(50).copy()
    holed["count"] = holed["count"].astype(float)
    holed.loc[:, "count"] = np.nan
    scores = flow.score_columns(holed)
    assert (scores[:, list(frame).index("count")] == 0).all()
    assert np.isfinite(scores).all()
    assert flow.impute(holed, random_state=0)["count"].notna().all()


def test_a_row_of_nothing(fitted):
    flow, frame = fitted
    nothing = frame.head(1).copy().astype(object)
    nothing.loc[:, :] = None
    score = flow.score_columns(nothing)[0]
    can_be_missing = frame.isna().any().to_numpy()
    assert (score[can_be_missing] < 0).all()
    assert (score[~can_be_missing] == 0).all()
    assert flow.impute(nothing, random_state=0).notna().all().all()


def test_unknown_categories_are_unlikely_not_impossible(fitted):
    flow, frame = fitted
    rows = frame.head(5).copy()
    rows["name"] = "z"
    column = flow.score_columns(rows)[:, list(frame).index("name")]
    assert np.isfinite(column).all()
    assert (column < -4).all()
    full = flow.impute(rows, random_state=0)
    assert (full["name"] == "z").all()


def test_conditional_scores_are_of_the_other_columns(fitted):
    flow, frame = fitted
    everything = flow.conditional_score_samples(frame, given=list(frame))
    np.testing.assert_array_equal(everything, 0)
    nothing = flow.conditional_score_samples(frame, given=[])
    np.testing.assert_allclose(nothing, flow.score_samples(frame), rtol=1e-10)
    by_name = flow.conditional_score_samples(frame, given=["kind", "size"])
    by_position = flow.conditional_score_samples(frame, given=[0, 2])
    np.testing.assert_array_equal(by_name, by_position)
    with pytest.raises(ValueError, match="given names column 'colour'"):
        flow.conditional_score_samples(frame, given=["colour"])


def test_a_conditional_distribution_adds_up_to_one(fitted):
    flow, frame = fitted
    rows = pd.concat([frame.dropna().head(1)] * 4).assign(
        kind=pd.Categorical(["c", "b", "a", "never"], ["c", "b", "a", "never"])
    )
    # A later column is given, an earlier one is asked for.
    others = [name for name in frame if name != "kind"]
    total = np.exp(flow.conditional_score_samples(rows, given=others)).sum()
    present_and_known = np.exp(flow.score_columns(rows.assign(kind="other"))[0, 0])
    assert 0.7 < total < 1.0
    assert present_and_known < 0.02


def test_state_survives_pickling(fitted):
    flow, frame = fitted
    again = pickle.loads(pickle.dumps(flow))
    np.testing.assert_allclose(again.score_samples(frame), flow.score_samples(frame), rtol=1e-12)
    pd.testing.assert_frame_equal(again.sample(20, random_state=1), flow.sample(20, random_state=1))


def test_fitting_goes_on(fitted):
    _, frame = fitted
    flow = SurVAEFlow(**QUICK, warm_start=True).fit(frame)
    first = flow.score(frame)
    flow.fit(frame)
    assert flow.score(frame) > first - 0.5
    flow = SurVAEFlow(**QUICK).partial_fit(frame.head(300)).partial_fit(frame.tail(300))
    assert np.isfinite(flow.score(frame))
    with pytest.raises(ValueError, match="feature names"):
        flow.score_samples(frame.rename(columns={"kind": "sort"}))


def test_the_latent_rows_of_numbers_are_standard_normal():
    frame = mixed_table(1_500)
    flow = SurVAEFlow(random_state=0, max_iter=20).fit(frame)
    latent = flow.transform(flow.sample(4_000, random_state=0))
    assert latent.shape == (4_000, 6)
    names = [name for name in frame if frame[name].dtype.kind == "f"]
    assert kstest(latent[:, -2][latent[:, -2] != 0], "norm").pvalue > 1e-4, names


def test_numbers_come_back_from_their_latent_rows():
    X = np.random.RandomState(0).randn(300, 3) @ np.array([[1, 0.5, 0], [0, 1, 0.3], [0, 0, 1]])
    flow = SurVAEFlow(**QUICK).fit(X)
    np.testing.assert_allclose(flow.inverse_transform(flow.transform(X)), X, atol=1e-6)


def test_scores_are_in_units_of_the_columns():
    X = np.random.RandomState(0).randn(400, 2)
    factor = np.array([8.0, 0.25])  # powers of two: nothing else is rounded differently
    flow, scaled = SurVAEFlow(**QUICK).fit(X), SurVAEFlow(**QUICK).fit(X * factor)
    difference = flow.score_samples(X) - scaled.score_samples(X * factor)
    np.testing.assert_allclose(difference, np.log(factor).sum(), atol=1e-8)


def test_a_lattice_has_the_density_of_its_spread_values():
    """The score of whole numbers is a log-probability, of other lattices a density."""
    counts = np.random.RandomState(0).poisson(4, (500, 1)).astype(float)
    flow, scaled = SurVAEFlow(**QUICK).fit(counts), SurVAEFlow(**QUICK).fit(counts / 4)
    levels = np.arange(0.0, 200)[:, None]
    assert abs(np.exp(flow.score_samples(levels)).sum() - 1) < 0.02  # and a little below zero
    difference = scaled.score_samples(levels[:10] / 4) - flow.score_samples(levels[:10])
    np.testing.assert_allclose(difference, np.log(4), atol=1e-8)


def tree_of_categories(n, seed):
    """A random Bayesian network, its rows and their log-probability: section 5.1."""
    rng = np.random.RandomState(seed)
    n_levels = (2, 3, 5, 8, 4, 12)
    parent = [None, *(rng.randint(i) for i in range(1, 6))]
    X, log_prob = np.zeros((n, 6), int), np.zeros(n)
    for i, k in enumerate(n_levels):
        n_rows = 1 if i == 0 else n_levels[parent[i]]
        table = rng.dirichlet(np.full(k, 0.5), size=n_rows)
        own = table[np.zeros(n, int) if i == 0 else X[:, parent[i]]]
        X[:, i] = (rng.rand(n, 1) > own.cumsum(1)[:, :-1]).sum(1)
        log_prob += np.log(own[np.arange(n), X[:, i]])
    return pd.DataFrame(X).astype("category"), log_prob


def test_a_network_of_categories_is_learned_to_two_hundredths_of_a_nat():
    X, log_prob = tree_of_categories(25_000, seed=1)
    flow = SurVAEFlow(random_state=0, max_iter=30).fit(X[:20_000])
    gap = (log_prob[20_000:] - flow.score_samples(X[20_000:])).mean()
    assert -0.005 < gap < 0.02


def test_missing_cells_are_integrated_out():
    """Missing completely at random: the observed block has its marginal density."""
    rng = np.random.RandomState(0)
    mix = rng.randn(4, 4)
    mean, covariance = rng.randn(4), mix @ mix.T + 0.3 * np.eye(4)
    X = rng.multivariate_normal(mean, covariance, size=12_000)
    X[rng.rand(*X.shape) < 0.25] = np.nan
    flow = SurVAEFlow(random_state=0, max_iter=30).fit(X[:10_000])
    test = X[10_000:]
    seen = ~np.isnan(test)
    exact = np.array(
        [
            multivariate_normal.logpdf(row[s], mean[s], covariance[np.ix_(s, s)])
            if s.any()
            else 0.0
            for row, s in zip(test, seen, strict=True)
        ]
    )
    log_pattern = (seen * np.log(0.75) + ~seen * np.log(0.25)).sum(1)
    assert abs((flow.score_samples(test) - log_pattern - exact).mean()) < 0.02


def test_symmetric_exchangeable_and_periodic_columns():
    rng = np.random.RandomState(0)
    n = 1_500
    pair = np.sort(rng.randn(n, 2) * [1.0, 0.5] + [0.0, 2.0], axis=1)
    swap = rng.rand(n) < 0.5
    pair[swap] = pair[swap, ::-1]
    frame = pd.DataFrame(
        {
            "mirrored": (rng.rand(n) + 1) * rng.choice([-1, 1], n),
            "one": pair[:, 0],
            "other": pair[:, 1],
            "hour": (rng.randn(n) * 2 + 23) % 24,
        }
    )
    flow = SurVAEFlow(
        symmetric=["mirrored"],
        exchangeable=[["one", "other"]],
        periodic={"hour": 24},
        random_state=0,
        max_iter=10,
    ).fit(frame)
    assert flow.column_kinds_ == {
        "mirrored": "continuous +symmetric",
        "one": "continuous +exchangeable",
        "other": "continuous +exchangeable",
        "hour": "periodic",
    }
    scores = flow.score_samples(frame)
    swapped = frame.rename(columns={"one": "other", "other": "one"})[list(frame)]
    np.testing.assert_allclose(flow.score_samples(swapped), scores, rtol=1e-9)
    turned = frame.assign(hour=frame["hour"] + 48)
    np.testing.assert_allclose(flow.score_samples(turned), scores, rtol=1e-7)
    classic = GaussianMixture(8, random_state=0).fit(frame[:1_000]).score(frame[1_000:])
    assert flow.score(frame[1_000:]) > classic
    drawn = flow.sample(2_000, random_state=0)
    assert (drawn["mirrored"].abs() > 0.9).mean() > 0.97
    assert drawn["hour"].between(0, 48).all()
    with pytest.raises(ValueError, match="all or none of the exchangeable"):
        flow.conditional_score_samples(frame, given=["one"])
    with pytest.raises(ValueError, match="imputed together"):
        flow.impute(frame.assign(one=np.nan))


def test_bounds_are_where_the_density_ends():
    share = np.random.RandomState(0).beta(0.7, 2, (800, 1))
    flow = SurVAEFlow(bounds=[(0, 1)], **QUICK).fit(share)
    assert flow.column_kinds_ == {0: "continuous +bounded"}
    assert (flow.score_samples([[-0.01], [1.01]]) == -np.inf).all()
    drawn = flow.sample(1_000, random_state=0)
    assert ((drawn >= 0) & (drawn <= 1)).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bounds": {"size": (3, 1)}}, "not below"),
        ({"bounds": {"size": (0, 1)}}, "outside their bounds"),
        ({"bounds": {"kind": (0, 1)}}, "is categorical"),
        ({"ordinal_features": ["nothing"]}, "names column 'nothing'"),
        ({"symmetric": ["name"]}, "is categorical"),
        ({"exchangeable": [["size"]]}, "two columns"),
        ({"exchangeable": [["size", "count"]]}, "must be complete"),
        ({"periodic": {"count": -1}}, "must be positive"),
        ({"categorical_features": ["kind"]}, "no numbers"),
        ({"image_shape": (1, 3, 3), "input_shape": (3, 3)}, "not both"),
    ],
)
def test_what_cannot_be_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        SurVAEFlow(**{**QUICK, **parameters}).fit(mixed_table(100))


def test_tables_that_cannot_be_are_refused():
    frame = mixed_table(60)
    with pytest.raises(ValueError, match="neither numeric nor"):
        SurVAEFlow().fit(frame.assign(day=pd.Timestamp("2026-01-01")))
    with pytest.raises(ValueError, match="no value in any row"):
        SurVAEFlow().fit(frame.assign(empty=np.nan))
    with pytest.raises(ValueError, match="infinity"):
        SurVAEFlow().fit(frame.assign(size=np.inf))
    flow = SurVAEFlow(**QUICK).fit(frame)
    with pytest.raises(ValueError, match="was numeric when"):
        flow.score_samples(frame.assign(count="many"))


def test_arrays_of_codes_and_of_objects():
    rng = np.random.RandomState(0)
    codes = rng.randint(0, 4, (300, 2)).astype(float)
    flow = SurVAEFlow(categorical_features=[0], **QUICK).fit(codes)
    assert flow.column_kinds_ == {0: "categorical", 1: "integer"}
    assert flow.sample(5, random_state=0).dtype == codes.dtype
    words = np.array(list("abcd"), dtype=object)[codes.astype(int)]
    words[0, 0] = None
    flow = SurVAEFlow(**QUICK).fit(words)
    assert flow.sample(5, random_state=0).dtype == object
    assert flow.impute(words[:3], random_state=0)[0, 0] in list("abcd")


def test_constant_columns_and_tiny_tables():
    frame = mixed_table(12).assign(constant=3.0, only="same")
    flow = SurVAEFlow(random_state=0).fit(frame)
    assert np.isfinite(flow.score_samples(frame)).all()
    assert (flow.sample(4, random_state=0)["constant"] == 3.0).all()
    by_column = flow.score_columns(frame.assign(constant=4.0, only="other"))
    assert (by_column[:, -2:] < -1).all()
    assert np.isfinite(SurVAEFlow(random_state=0).fit([[0.0], [1.5]]).score_samples([[0.3]])).all()


def test_it_detects_outliers_in_mixed_tables():
    frame = mixed_table(400)
    flow = SurVAEFlow(**QUICK, contamination=0.1).fit(frame)
    labels = flow.predict(frame)
    assert 0.05 < (labels == -1).mean() < 0.15
    assert set(np.unique(labels)) == {-1, 1}


def test_weights_count():
    rng = np.random.RandomState(0)
    frame = pd.DataFrame({"c": rng.choice(["a", "b"], 400), "x": rng.randn(400)})
    weight = np.where(frame["c"] == "a", 9.0, 1.0)
    flow = SurVAEFlow(**QUICK).fit(frame, sample_weight=weight)
    assert (flow.sample(2_000, random_state=0)["c"] == "a").mean() > 0.8


def test_early_stopping_off_and_a_validation_set_of_ones_own():
    frame = mixed_table(300)
    flow = SurVAEFlow(**QUICK, early_stopping=False).fit(frame)
    assert flow.n_iter_ == 3
    flow = clone(flow).set_params(early_stopping=True).fit(frame[:200], X_val=frame[200:])
    assert np.isfinite(flow.best_score_)


def test_images_are_scored_by_a_bound_that_closes():
    from sklearn.datasets import load_digits

    X = load_digits().data[:300]
    flow = SurVAEFlow(image_shape=(1, 8, 8), n_layers=1, max_iter=2, random_state=0).fit(X)
    assert not flow.exact_
    assert flow.bound_gap_ > 0
    score, loss = flow.score(X), flow.history_["train_loss"][-1]
    # Of all densities of independent pixels the likeliest, on the rows it is fitted to.
    share = np.stack([np.bincount(pixel, minlength=17) for pixel in X.T.astype(int)]) / len(X)
    independent = -entr(share).sum()  # -102.7; the flow has -88.2 +- 0.5 over seeds
    assert score > independent
    # Sixteen draws lie between one, which is the loss, and very many.
    assert 0 < score + loss < flow.bound_gap_
    drawn = flow.sample(4, random_state=0)
    np.testing.assert_array_equal(drawn, drawn.round())
    assert drawn.min() >= 0
    assert drawn.max() <= 16
    again = pickle.loads(pickle.dumps(flow))
    np.testing.assert_allclose(again.score_samples(X[:20]), flow.score_samples(X[:20]))
    with pytest.raises(ValueError, match="lattice"):
        clone(flow).fit(X + np.random.RandomState(0).rand(*X.shape))
    with pytest.raises(AttributeError, match="no attribute 'impute'"):
        flow.impute(X)
    with pytest.raises(ValueError, match="NaN"):
        flow.score_samples(np.full((1, 64), np.nan))


@pytest.mark.parametrize("symmetry", ["permute", "sort"])
def test_sets_of_points(symmetry):
    rng = np.random.RandomState(0)
    centre = rng.choice([-2, 2], (300, 1, 1))
    X = (centre + 0.3 * rng.randn(300, 5, 2)).reshape(300, 10)
    flow = SurVAEFlow(
        input_shape=(5, 2), symmetry=symmetry, n_layers=2, max_iter=3, random_state=0
    ).fit(X)
    assert flow.exact_ == (symmetry == "sort")
    scores = flow.score_samples(X)
    assert np.isfinite(scores).all()
    if symmetry == "sort":
        turned = X.reshape(300, 5, 2)[:, ::-1].reshape(300, 10)
        np.testing.assert_allclose(flow.score_samples(turned), scores, rtol=1e-9)
    assert flow.sample(7, random_state=0).shape == (7, 10)
    again = pickle.loads(pickle.dumps(flow))
    np.testing.assert_allclose(again.score_samples(X), scores)
    with pytest.raises(ValueError, match="input_shape"):
        SurVAEFlow(input_shape=(3, 2)).fit(X)
