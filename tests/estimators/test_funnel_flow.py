"""What FunnelFlow adds to the contract: latent widths, decoders, parts of a score, images."""

import pickle

import numpy as np
import pytest
from sklearn.callback import ProgressBar
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skflow import FunnelFlow, NormalizingFlow
from tests.estimators.configurations import QUICK

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:columns:sklearn.exceptions.DataConversionWarning"),
]
DECODERS = ["auto", "gaussian", "lowrank", "full", "student_t", "mixture", "spline"]
FUNNELS = ["coupling", "autoregressive", "dense", "slice"]
SMALL = {**QUICK, "max_mixture_components": 4}


def quick(**changes):
    return FunnelFlow(**{**SMALL, **changes})


@pytest.fixture(scope="module")
def table():
    """Three factors in seven columns, in two clusters."""
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(600, 3)) + 4 * rng.integers(0, 2, (600, 1))
    return factors @ rng.normal(size=(3, 7)) + 0.3 * rng.normal(size=(600, 7))


@pytest.fixture(scope="module")
def digits():
    return np.random.default_rng(0).permutation(load_digits().data)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("funnel", FUNNELS)
def test_every_combination_keeps_its_promises(decoder, funnel, table):
    flow = quick(n_components=3, decoder=decoder, funnel=funnel).fit(table)
    assert flow.exact_
    assert flow.bound_gap_ == 0
    Z = flow.transform(table)
    assert Z.shape == (600, 3)
    for options in ({}, {"mode": "sample", "random_state": 1}):
        back = flow.inverse_transform(Z, **options)
        np.testing.assert_allclose(flow.transform(back), Z, atol=1e-5)
    parts = flow.score_components(table)
    assert set(parts) == {"latent", "dropped", "jacobian"}
    np.testing.assert_allclose(sum(parts.values()), flow.score_samples(table), atol=1e-9)
    loaded = pickle.loads(pickle.dumps(flow))
    assert np.array_equal(loaded.score_samples(table), flow.score_samples(table))
    assert np.array_equal(loaded.sample(5, random_state=0), flow.sample(5, random_state=0))


@pytest.mark.parametrize("base", ["normal", "mixture", "student_t"])
@pytest.mark.parametrize("start", ["standard", "whiten", "marginal"])
def test_it_begins_where_the_square_flow_begins(base, start, table):
    """The split of the start into latent part and decoder changes nothing."""
    settings = {"start": start, "base": base, "early_stopping": True, "learning_rate_init": 1e-12}
    funnel = quick(n_components=2, **settings).fit(table)
    square = NormalizingFlow(**{**SMALL, **settings}).fit(table)
    assert funnel.start_score_ == pytest.approx(square.start_score_, abs=2e-4)


def test_scores_integrate_to_one_and_samples_follow_them():
    rng = np.random.default_rng(0)
    t = rng.uniform(-2, 2, 500)
    X = np.stack([t, t**2 + 0.2 * rng.normal(size=500)], 1)
    flow = quick(n_components=1, max_iter=20).fit(X)
    a, b = np.linspace(-6, 6, 700), np.linspace(-5, 9, 700)
    grid = np.stack(np.meshgrid(a, b), -1).reshape(-1, 2)
    mass = np.exp(flow.score_samples(grid)) * (a[1] - a[0]) * (b[1] - b[0])
    assert abs(mass.sum() - 1) < 5e-3
    sample = flow.sample(40_000, random_state=0)
    np.testing.assert_allclose(sample.mean(0), mass @ grid, atol=0.05)
    np.testing.assert_allclose(
        np.cov(sample.T), np.cov(grid.T, aweights=mass.clip(0)), rtol=0.1, atol=0.05
    )


@pytest.mark.parametrize(
    ("n_components", "expected"), [(1, 1), (7, 7), (0.5, 4), (0.1, 1), (1.0, 7)]
)
def test_widths(n_components, expected, table):
    flow = quick(n_components=n_components).fit(table)
    assert flow.n_components_ == expected
    assert flow.transform(table[:5]).shape == (5, expected)
    assert len(flow.get_feature_names_out()) == expected


def test_auto_keeps_the_best_of_its_widths(table):
    flow = quick(n_components="auto").set_callbacks(ProgressBar()).fit(table)
    assert flow.n_components_ in (4, 2, 1)
    alone = quick(n_components=flow.n_components_).fit(table)
    assert flow.best_score_ == pytest.approx(alone.best_score_, abs=0.3)
    blind = quick(n_components="auto", early_stopping=False).fit(table)
    assert blind.n_components_ == 4  # nothing to judge by
    assert quick(n_components="auto").fit(table[:12]).n_components_ == 4
    assert quick(n_components="auto").fit(table[:, :1]).n_components_ == 1


def test_a_warm_start_keeps_the_width(table):
    flow = quick(n_components="auto", warm_start=True).fit(table)
    width = flow.n_components_
    assert flow.fit(table).n_components_ == width
    partial = quick(n_components=2).partial_fit(table).partial_fit(table)
    assert partial.n_components_ == 2
    assert np.isfinite(partial.score(table))


def test_units_shift_scores(table):
    settings = {"start": "standard", "base": "normal", "dtype": "float64", "n_components": 3}
    first = quick(**settings).fit(table).score_samples(table)
    second = quick(**settings).fit(table * 8 + 5).score_samples(table * 8 + 5)
    np.testing.assert_allclose(second, first - 7 * np.log(8), atol=1e-6)


def test_a_score_does_not_depend_on_its_neighbours(table):
    flow = quick(n_components=2).fit(table)
    alone = np.concatenate([flow.score_samples(row[None]) for row in table[:20]])
    np.testing.assert_allclose(alone, flow.score_samples(table)[:20], atol=1e-9)


def test_refitting_is_bit_for_bit(table):
    first, second = (quick(n_components=2).fit(table) for _ in range(2))
    assert np.array_equal(first.score_samples(table), second.score_samples(table))


def test_it_reconstructs_about_as_pca_where_pca_is_right(table):
    X = (table - table.mean(0)) / table.std(0)
    flow = quick(n_components=3, max_iter=15).fit(X[:500])
    pca = PCA(3).fit(X[:500])
    ours = flow.inverse_transform(flow.transform(X[500:]))
    theirs = pca.inverse_transform(pca.transform(X[500:]))
    assert ((ours - X[500:]) ** 2).mean() < 2 * ((theirs - X[500:]) ** 2).mean()


def test_the_parts_tell_where_a_row_is_odd(table):
    """A row off the factors' plane is usual in the latent space and not in the dropped part."""
    flow = quick(n_components=3, max_iter=15).fit(table[:500])
    normal = np.linalg.svd(table - table.mean(0))[2][-1]
    usual = flow.score_components(table[500:])
    odd = flow.score_components(table[500:] + 3 * normal)
    assert odd["dropped"].mean() < usual["dropped"].mean() - 10
    assert abs(odd["latent"].mean() - usual["latent"].mean()) < 10


def test_searches_and_pipelines(table):
    grid = {"n_components": [1, 3], "decoder": ["auto", "gaussian"]}
    search = GridSearchCV(quick(max_iter=2), grid, cv=2).fit(table[:200])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    pipeline = make_pipeline(StandardScaler(), quick(n_components=2)).fit(table)
    assert pipeline.transform(table).shape == (600, 2)
    detector = quick(n_components=2, contamination=0.05).fit(table)
    assert (detector.predict(table) == -1).sum() == 30


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_components": 9}, "more than the 7 columns"),
        ({"decoder": "gaussian", "base": "student_t"}, "cannot begin"),
        ({"decoder": "spline", "base": "mixture"}, "cannot begin"),
        ({"image_shape": (1, 7, 1), "decoder": "full"}, "is for tables"),
        ({"image_shape": (1, 7, 1), "funnel": "autoregressive"}, "is for tables"),
        ({"image_shape": (1, 7, 1), "base": "mixture"}, "is for tables"),
        ({"image_shape": (1, 2, 2)}, "4 values, X has 7 columns"),
    ],
)
def test_combinations_that_make_no_sense_are_refused(parameters, message, table):
    flow = quick(**parameters)
    with pytest.raises(ValueError, match=message):
        flow.fit(table)
    assert not hasattr(flow, "flow_")


@pytest.mark.parametrize("decoder", ["gaussian", "student_t", "spline"])
@pytest.mark.parametrize("funnel", ["coupling", "dense", "slice"])
def test_images(decoder, funnel, digits):
    flow = FunnelFlow(
        8,
        image_shape=(1, 8, 8),
        decoder=decoder,
        funnel=funnel,
        n_layers=1,
        n_layers_after=1,
        n_hidden_channels=8,
        learning_rate_init=0.01,
        max_iter=8,
        random_state=0,
    ).fit(digits[:500])
    assert flow.best_score_ > flow.start_score_ + 0.5
    held_out = digits[500:560]
    Z = flow.transform(held_out)
    assert Z.shape == (60, 8)
    np.testing.assert_allclose(flow.transform(flow.inverse_transform(Z)), Z, atol=1e-5)
    parts = flow.score_components(held_out)
    np.testing.assert_allclose(sum(parts.values()), flow.score_samples(held_out), atol=1e-8)
    loaded = pickle.loads(pickle.dumps(flow))
    np.testing.assert_array_equal(loaded.score_samples(held_out), flow.score_samples(held_out))
    assert flow.sample(5, random_state=0).shape == (5, 64)


@pytest.mark.parametrize("n_components", [1, 16, 40, 64])
def test_any_number_of_latent_pixels(n_components, digits):
    flow = FunnelFlow(
        n_components, image_shape=(1, 8, 8), n_layers=1, n_hidden_channels=4, max_iter=1
    ).fit(digits[:200])
    assert flow.transform(digits[:3]).shape == (3, n_components)


def test_digits_by_default():
    """The reference's split: the shrunk Gaussian has 50.6 nats here, the best mixture 64.2."""
    levels, rng = load_digits().data, np.random.default_rng(0)
    X = rng.permutation((levels + rng.uniform(size=levels.shape)) / 17)
    flow = FunnelFlow(max_iter=5, random_state=0).fit(X[:1200], X_val=X[1200:1450])
    assert flow.score(X[1450:]) > 64.5


def test_few_images_do_not_span_a_density_of_their_own(digits):
    for n in (10, 60):
        flow = FunnelFlow(30, image_shape=(1, 8, 8), n_layers=1, max_iter=2, random_state=0)
        assert flow.fit(digits[:n]).score(digits[500:700]) > -400


def test_all_columns_kept_is_the_square_flow(table):
    """No decoder, so its kind says nothing about the start."""
    plain = quick(n_components=7).fit(table)
    assert plain.start_ == quick(n_components=1.0, decoder="full").fit(table).start_


def test_a_decoder_that_diverges_is_rolled_back(table):
    flow = quick(n_components=2, decoder="lowrank", learning_rate_init=1e3).fit(table)
    assert np.isfinite(flow.score_samples(table)).all()


def test_a_full_covariance_of_many_columns_is_refused():
    X = np.random.default_rng(0).normal(size=(30, 220))
    with pytest.raises(ValueError, match="lowrank"):
        quick(decoder="full").fit(X)


def test_without_whitening_a_normal_keeps_the_datas_axes(table):
    flow = quick(n_components=2, start="standard", base="normal", learning_rate_init=1e-12).fit(
        table
    )
    Z = PCA(2).fit_transform((table - table.mean(0)) / table.std(0))
    correlation = np.corrcoef(flow.transform(table).T, Z.T)[:2, 2:]
    np.testing.assert_allclose(np.abs(correlation), np.eye(2), atol=0.05)
