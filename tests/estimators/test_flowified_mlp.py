"""What FlowifiedMLP adds to the contract: exact unless it widens, and then honest about it."""

import pickle

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from sklearn.datasets import load_digits, make_moons
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV

from skflow import FlowifiedMLP, NormalizingFlow
from skflow.transforms.noise import fresh_noise

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:columns:sklearn.exceptions.DataConversionWarning"),
]
SMALL = {
    "n_bins": 4,
    "decoder_hidden_layer_sizes": (8, 8),
    "max_iter": 3,
    "max_mixture_components": 4,
    "random_state": 0,
}
WIDE = {"augment": "gaussian", "n_importance_samples": 16}


def quick(*args, **changes):
    return FlowifiedMLP(*args, **{**SMALL, **changes})


@pytest.fixture(scope="module")
def moons():
    return make_moons(500, noise=0.1, random_state=0)[0]


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(500, 3)) + 4 * rng.integers(0, 2, (500, 1))
    return factors @ rng.normal(size=(3, 6)) + 0.3 * rng.normal(size=(500, 6))


@pytest.fixture(scope="module")
def digits():
    return np.random.default_rng(0).permutation(load_digits().data)


@pytest.mark.parametrize("activation", ["spline", "shared_spline", "leaky_relu"])
@pytest.mark.parametrize("sizes", [(6, 6), (4, 2), (3,), (5, 4, 3, 2, 1)])
def test_a_network_that_never_widens_is_exact(activation, sizes, table):
    flow = quick(sizes, activation=activation).fit(table)
    assert flow.exact_
    assert flow.bound_gap_ == 0
    Z = flow.transform(table)
    assert Z.shape == (500, sizes[-1])
    np.testing.assert_allclose(flow.transform(flow.inverse_transform(Z)), Z, atol=1e-5)
    drawn = flow.inverse_transform(Z, mode="sample", random_state=0)
    np.testing.assert_allclose(flow.transform(drawn), Z, atol=1e-5)
    loaded = pickle.loads(pickle.dumps(flow))
    assert np.array_equal(loaded.score_samples(table), flow.score_samples(table))


@pytest.mark.parametrize("decoder", ["gaussian", "lowrank", "full", "student_t", "spline"])
def test_decoders(decoder, table):
    flow = quick((3, 2), decoder=decoder).fit(table)
    assert flow.best_score_ >= flow.start_score_
    assert np.isfinite(flow.sample(20, random_state=0)).all()


@pytest.mark.parametrize("start", ["standard", "whiten", "marginal"])
@pytest.mark.parametrize("base", ["normal", "mixture"])
@pytest.mark.parametrize("sizes", [(6, 6), (3, 2), (9, 4)])
def test_it_begins_where_the_square_flow_begins(start, base, sizes, table):
    settings = {"start": start, "base": base, "learning_rate_init": 1e-12}
    ours = quick(sizes, **settings, **WIDE).fit(table)
    shared = {name: SMALL[name] for name in ("max_iter", "max_mixture_components", "random_state")}
    square = NormalizingFlow(**shared, **settings, n_layers=1).fit(table)
    # The noise that a widening layer adds is the base's own at first: no gap.
    assert ours.start_score_ == pytest.approx(square.start_score_, abs=2e-3)


def test_widening_is_a_bound_that_says_so(moons):
    settings = {"start": "whiten", "base": "normal", "learning_rate_init": 1e-2, "batch_size": 50}
    flow = quick((8, 8, 2), max_iter=30, **settings, **WIDE).fit(moons)
    assert flow.best_iter_ > 0  # the start has no gap
    assert not flow.exact_
    # The gap anew, by other draws, every row with its own.
    noise = fresh_noise(torch.Generator().manual_seed(1))
    draws = np.stack([flow.flow_(torch.tensor(moons), noise=noise).numpy() for _ in range(256)])
    gaps = logsumexp(draws, axis=0) - np.log(256) - draws.mean(0)
    error = gaps.std() * np.sqrt(1 / 200 + 1 / 500)  # it was measured on 200 rows
    assert abs(flow.bound_gap_ - gaps.mean()) < 4 * error
    assert gaps.mean() > 4 * error
    # Deterministic, and no row depends on its neighbours.
    assert np.array_equal(flow.score_samples(moons), flow.score_samples(moons))
    alone = np.concatenate([flow.score_samples(row[None]) for row in moons[:10]])
    np.testing.assert_allclose(alone, flow.score_samples(moons)[:10], atol=1e-9)
    loaded = pickle.loads(pickle.dumps(flow))
    assert np.array_equal(loaded.score_samples(moons), flow.score_samples(moons))


def test_the_bound_closes_on_a_density(moons):
    """With many draws it integrates to one: the noise covers the line."""
    flow = quick((4, 2), start="whiten", base="normal", max_iter=10, **WIDE).fit(moons)
    flow.set_params(n_importance_samples=500)
    a, b = np.linspace(-3.5, 4.5, 90), np.linspace(-3, 3.5, 90)
    grid = np.stack(np.meshgrid(a, b), -1).reshape(-1, 2)
    total = np.exp(flow.score_samples(grid)).sum() * (a[1] - a[0]) * (b[1] - b[0])
    assert abs(total - 1) < 0.03


def test_training_a_bound_leaves_global_randomness_alone(moons):
    before = torch.get_rng_state()
    first = quick((6, 2), **WIDE).fit(moons)
    assert torch.equal(before, torch.get_rng_state())
    second = quick((6, 2), **WIDE).fit(moons)
    assert np.array_equal(first.score_samples(moons), second.score_samples(moons))
    assert first.bound_gap_ == second.bound_gap_


def test_squares_learn_two_moons_from_the_gaussian(moons):
    settings = {"start": "whiten", "base": "normal", "n_bins": 8, "learning_rate_init": 5e-3}
    flow = quick((2,) * 6, **{**settings, "max_iter": 60}).fit(moons[:400])
    assert flow.score(moons[400:]) > flow.start_score_ + 0.3


@pytest.mark.parametrize(
    ("sizes", "parameters", "message"),
    [
        ((8, 2), {}, "widens from 6 to 8"),
        ((3, 4), {}, "widens from 3 to 4"),
        ((), {}, "at least one positive width"),
        ((0,), {}, "at least one positive width"),
        ((2,), {"image_shape": (6, 1, 1), "n_channels": (9,)}, "too small"),
        ((2,), {"image_shape": (1, 2, 3), "n_channels": (9,)}, "widens from 4"),
        ((2,), {"image_shape": (1, 2, 3), "n_channels": (1, 1)}, "too small"),
        ((2,), {"decoder": "full", "base": "mixture"}, "cannot begin"),
    ],
)
def test_combinations_that_make_no_sense_are_refused(sizes, parameters, message, table):
    flow = quick(sizes, **parameters)
    with pytest.raises(ValueError, match=message):
        flow.fit(table)
    assert not hasattr(flow, "flow_")


@pytest.mark.parametrize(
    ("sizes", "parameters", "exact"),
    [
        ((16, 4), {}, True),
        ((16, 4), {"n_channels": ()}, True),
        ((8, 4), {"n_channels": (2, 3)}, True),
        ((16, 4), {"kernel_size": 3, **WIDE, "n_importance_samples": 2}, False),
        ((16, 4), {"n_channels": (6,), **WIDE, "n_importance_samples": 2}, False),
    ],
)
def test_images(sizes, parameters, exact, digits):
    flow = quick(sizes, image_shape=(1, 8, 8), **parameters).fit(digits[:400])
    assert flow.exact_ is exact
    assert flow.best_score_ > flow.start_score_
    held_out = digits[400:450]
    Z = flow.transform(held_out)
    assert Z.shape == (50, 4)
    if exact:
        np.testing.assert_allclose(flow.transform(flow.inverse_transform(Z)), Z, atol=1e-5)
    loaded = pickle.loads(pickle.dumps(flow))
    assert np.array_equal(loaded.score_samples(held_out), flow.score_samples(held_out))
    assert np.isfinite(flow.sample(5, random_state=0)).all()


def test_overlapping_windows_need_leave(digits):
    with pytest.raises(ValueError, match="windows overlap"):
        quick(image_shape=(1, 8, 8), kernel_size=3).fit(digits[:100])


def test_a_search_over_architectures(table):
    grid = {"hidden_layer_sizes": [(3,), (4, 2)]}
    search = GridSearchCV(quick(max_iter=2), grid, cv=2).fit(table)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_ends_of_the_scale(table):
    assert quick().fit(table[:, :1]).n_components_ == 1
    assert quick().fit(table[:15]).n_iter_ == 0  # nothing held out: the start stands
    wide = np.random.default_rng(0).normal(size=(40, 300))
    assert quick(max_iter=1).fit(wide).n_components_ == 16
    assert np.isfinite(quick().partial_fit(table).partial_fit(table).score(table))


def test_digits_by_default():
    """The reference's split: the shrunk Gaussian has 50.6 nats here, the best mixture 64.2."""
    levels, rng = load_digits().data, np.random.default_rng(0)
    X = rng.permutation((levels + rng.uniform(size=levels.shape)) / 17)
    flow = FlowifiedMLP(max_iter=5, random_state=0).fit(X[:1200], X_val=X[1200:1450])
    assert flow.score(X[1450:]) > 64.5


@pytest.mark.parametrize("n", [10, 50, 66])
@pytest.mark.parametrize("parameters", [{}, {"n_channels": ()}])
def test_few_images_do_not_span_a_density_of_their_own(n, parameters, digits):
    flow = quick((16, 4), image_shape=(1, 8, 8), **parameters).fit(digits[:n])
    assert flow.score(digits[500:700]) > -250


def test_the_measured_gap_covers_what_many_draws_add(digits):
    wide = {"augment": "gaussian", "n_importance_samples": 4, "n_channels": (6,)}
    flow = quick((12, 3), image_shape=(1, 8, 8), max_iter=2, **wide).fit(digits[:300])
    assert flow.bound_gap_ >= 0
    one_draw = np.mean(
        [
            flow.flow_(
                torch.tensor(digits[:200]),
                noise=fresh_noise(torch.Generator().manual_seed(seed)),
            ).mean()
            for seed in range(40)
        ]
    )
    score = flow.set_params(n_importance_samples=512).score(digits[:200])
    assert score - one_draw < flow.bound_gap_ + 0.5


def test_without_whitening_a_normal_keeps_the_datas_axes(table):
    flow = quick((2,), start="standard", base="normal", learning_rate_init=1e-12).fit(table)
    Z = PCA(2).fit_transform((table - table.mean(0)) / table.std(0))
    correlation = np.corrcoef(flow.transform(table).T, Z.T)[:2, 2:]
    np.testing.assert_allclose(np.abs(correlation), np.eye(2), atol=0.05)
