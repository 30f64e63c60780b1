"""What SelfNormalizingFlow adds to the contract: gradients, images, the learned inverse."""

import pickle

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from skflow import SelfNormalizingFlow
from skflow.inspection import bits_per_dimension

# Three epochs are never enough; that is what makes these tests quick.
pytestmark = pytest.mark.filterwarnings("ignore:the held-out score was still rising")

MODES = ["exact", "newton", "lu", "relative", "self"]
SMALL = {
    "n_layers": 2,
    "n_bins": 4,
    "max_iter": 3,
    "max_mixture_components": 2,
    "random_state": 0,
}
PLAIN = {"start": "standard", "base": "normal"}


@pytest.fixture(scope="module")
def moons():
    X = make_moons(2_000, noise=0.05, random_state=0)[0]
    return (X - X.mean(0)) / X.std(0)


@pytest.fixture(scope="module")
def digits():
    return load_digits().data


def gaussian(n, d, condition, seed=0):
    """Rows of a correlated Gaussian and their mean log-density under the truth."""
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
    scale = np.geomspace(1, condition**-0.5, d)
    z = rng.normal(size=(n, d))
    truth = -0.5 * (z**2).sum(1) - np.log(scale).sum() - d / 2 * np.log(2 * np.pi)
    return z * scale @ rotation.T, truth


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_learns_a_correlation(mode):
    X, truth = gaussian(3_000, 6, 30)
    flow = SelfNormalizingFlow(
        **PLAIN, n_layers=1, logdet_gradient=mode, max_iter=60, tol=1e-4, random_state=0
    ).fit(X[:2_500])
    assert flow.start_score_ < truth.mean() - 1  # it began without the correlations
    assert flow.score(X[2_500:]) > truth[2_500:].mean() - 0.1
    assert flow.logdet_gradient_ == mode
    assert flow.condition_number_ > 1.5  # a rotation has 1


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_starts_at_the_start(mode, moons):
    flow = SelfNormalizingFlow(**{**SMALL, "learning_rate_init": 1e-12}, logdet_gradient=mode).fit(
        moons
    )
    assert flow.best_score_ == pytest.approx(flow.start_score_, abs=1e-4)


def test_the_start_is_at_least_the_gaussian_and_its_copula():
    X, _ = gaussian(4_000, 5, 30)
    X = np.sinh(X)  # heavy marginals
    train, val = X[:3_200], X[3_200:]
    flow = SelfNormalizingFlow(**SMALL).fit(train, X_val=val)
    for start in ("whiten", "marginal"):
        classic = SelfNormalizingFlow(
            **{**SMALL, "start": start, "base": "normal", "n_layers": 0}
        ).fit(train, X_val=val)
        assert flow.start_score_ >= classic.score(val) - 0.01


def test_moons_without_a_mixture(moons):
    """Rotations and elementwise splines alone bend around two moons (truth about 1.1)."""
    flow = SelfNormalizingFlow(start="whiten", base="normal", max_iter=60, random_state=0)
    assert flow.fit(moons[:1_500]).score(moons[1_500:]) > -1.5


@pytest.mark.filterwarnings("ignore:a learned inverse is off")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rate_times_d", [0.3, 1.0])
def test_large_steps_end_finite(mode, rate_times_d):
    X, _ = gaussian(600, 10, 100)
    flow = SelfNormalizingFlow(
        **{**SMALL, **PLAIN, "learning_rate_init": rate_times_d / 10, "max_iter": 10},
        logdet_gradient=mode,
        early_stopping=False,
    ).fit(X)
    assert np.isfinite(flow.score_samples(X)).all()
    assert np.isfinite(flow.inverse_error_)


def test_the_guard_counts_its_refreshes():
    X, _ = gaussian(400, 10, 100)
    settings = {**SMALL, **PLAIN, "early_stopping": False, "logdet_gradient": "newton"}
    calm = SelfNormalizingFlow(**settings, learning_rate_init=1e-4).fit(X)
    settings["max_iter"] = 20  # beyond the warm-up
    wild = SelfNormalizingFlow(**settings, learning_rate_init=1.0).fit(X)
    assert calm.n_refreshes_ == 0 < wild.n_refreshes_


def test_the_learned_inverse_ends_polished():
    """Also after steps that lost it on the way."""
    X, _ = gaussian(400, 10, 100)
    settings = {**SMALL, **PLAIN, "logdet_gradient": "self", "max_iter": 20}
    flow = SelfNormalizingFlow(**settings, learning_rate_init=0.1, early_stopping=False).fit(X)
    assert flow.n_refreshes_ > 0
    assert flow.inverse_error_ < 0.1


def test_weights_of_two_are_no_weights(moons):
    settings = {**SMALL, "logdet_gradient": "self"}
    plain = SelfNormalizingFlow(**settings).fit(moons[:500])
    doubled = SelfNormalizingFlow(**settings).fit(moons[:500], sample_weight=np.full(500, 2.0))
    np.testing.assert_allclose(plain.score_samples(moons), doubled.score_samples(moons))


def test_learned_inverse_is_close_and_marked(moons):
    settings = {**SMALL, "logdet_gradient": "self", "max_iter": 10}
    exact = SelfNormalizingFlow(**settings).fit(moons)
    learned = SelfNormalizingFlow(**settings, inverse="learned").fit(moons)
    assert 0 < learned.inverse_error_ < 0.01
    np.testing.assert_array_equal(exact.score_samples(moons), learned.score_samples(moons))
    there = exact.inverse_transform(exact.transform(moons))
    np.testing.assert_allclose(there, moons, atol=1e-9)
    back = learned.inverse_transform(learned.transform(moons))
    assert 1e-9 < np.abs(back - moons).mean() < 0.05


def test_a_bad_learned_inverse_is_announced():
    X, _ = gaussian(500, 10, 1e4)
    flow = SelfNormalizingFlow(
        **{**SMALL, **PLAIN, "learning_rate_init": 0.05, "max_iter": 20},
        logdet_gradient="self",
        polish_every=0,
        reconstruction_weight=0.0,
        early_stopping=False,
    )
    with pytest.warns(ConvergenceWarning, match="polish_every=1"):
        flow.fit(X)
    assert flow.inverse_error_ > 0.1
    assert np.isfinite(flow.score(X))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"inverse": "learned"}, "needs logdet_gradient='self'"),
        ({"architecture": "conv"}, "needs image_shape"),
        ({"image_shape": (1, 3, 3)}, "9 values, X has 2 columns"),
        ({"image_shape": (2, 1)}, "channels, height, width"),
        ({"image_shape": (1, 1.5, 2)}, "channels, height, width"),
        ({"image_shape": (1, 1, 2), "architecture": "glow"}, "even height and width"),
        ({"image_shape": (1, 1, 2), "logdet_gradient": "lu"}, "architecture='glow'"),
    ],
)
def test_combinations_that_make_no_sense_are_refused(parameters, message, moons):
    flow = SelfNormalizingFlow(**parameters)
    with pytest.raises(ValueError, match=message):
        flow.fit(moons)
    assert not hasattr(flow, "flow_")


@pytest.mark.parametrize(
    ("architecture", "mode"),
    [("conv", "self"), ("conv", "exact"), ("glow", "self"), ("glow", "lu"), ("dense", "newton")],
)
def test_images(architecture, mode, digits):
    flow = SelfNormalizingFlow(
        architecture,
        image_shape=(1, 8, 8),
        n_layers=1,
        logdet_gradient=mode,
        n_hidden_channels=8,
        learning_rate_init=0.01,
        max_iter=8,
        random_state=0,
    ).fit(digits[:600])
    assert flow.best_score_ > flow.start_score_ + 0.5
    held_out = digits[600:700]
    np.testing.assert_allclose(
        flow.inverse_transform(flow.transform(held_out)), held_out, atol=1e-6
    )
    samples = flow.sample(20, random_state=0)
    assert samples.min() >= -0.5
    assert samples.max() <= 16.5
    again = pickle.loads(pickle.dumps(flow))
    np.testing.assert_array_equal(again.score_samples(held_out), flow.score_samples(held_out))
    # 17 levels take log2(17) bits without any model.
    assert bits_per_dimension(flow, held_out) < np.log2(17) - 1


def test_pixels_are_dequantised_without_a_warning_and_alike(digits):
    flow = SelfNormalizingFlow(image_shape=(1, 8, 8), n_layers=1, max_iter=1).fit(digits[:200])
    assert (flow.noise_floor_ == 1).all()  # the constant pixels of the border included


def test_images_need_no_mixture_to_start_from_it(digits):
    """Squeezes are undone: a base fitted to the pixels stays the density at epoch 0."""
    scores = [
        SelfNormalizingFlow(
            architecture,
            image_shape=(1, 8, 8),
            base="mixture",
            start="standard",
            max_mixture_components=2,
            n_layers=1,
            max_iter=1,
            random_state=0,
        )
        .fit(digits[:400])
        .start_score_
        for architecture in ("dense", "conv", "glow")
    ]
    np.testing.assert_allclose(scores, scores[0], atol=1e-3)


IMAGES = {"image_shape": (1, 8, 8), "n_layers": 1, "max_iter": 1, "random_state": 0}


def test_levels_are_looked_for_in_all_rows(digits):
    blank = np.zeros((1_000, 64))
    flow = SelfNormalizingFlow(**IMAGES).fit(np.concatenate([blank, digits[:300]]))
    assert (flow.noise_floor_ == 1).all()


def test_rows_of_weight_zero_leave_no_trace_in_the_levels(digits):
    X = np.concatenate([digits[:200], np.full((1, 64), 1_000.0)])
    flow = SelfNormalizingFlow(**IMAGES).fit(X, sample_weight=np.r_[np.ones(200), 0])
    assert (flow.bounds_[1] == 16).all()


def test_going_on_keeps_the_levels_of_the_first_images(digits):
    flow = SelfNormalizingFlow(**IMAGES).partial_fit(digits[:300].clip(max=14))
    with pytest.raises(ValueError, match="outside their bounds"):
        flow.partial_fit(digits[:300])
    wide = SelfNormalizingFlow(**IMAGES, bounds=[(0, 16)] * 64, start="standard")
    wide.partial_fit(digits[:300].clip(max=14)).partial_fit(digits[:300])
    assert wide.score(digits[:300]) > -200
    assert wide.sample(100, random_state=0).min() >= 0


def test_validation_images_may_be_brighter(digits):
    flow = SelfNormalizingFlow(**IMAGES).fit(digits[:200].clip(max=14), X_val=digits[200:300])
    assert np.isfinite(flow.best_score_)


def test_bytes_have_their_known_range(digits):
    for scale, top in ((15.0, 255.0), (15.0 / 255, 1.0)):
        X = (digits * 15 + np.arange(1797)[:, None] % 15) * scale / 15  # up to 254
        assert (SelfNormalizingFlow(**IMAGES).fit(X[:200]).bounds_[1] == top).all()


@pytest.mark.filterwarnings("ignore:columns:sklearn.exceptions.DataConversionWarning")
def test_images_without_a_lattice_still_have_a_noise_floor(digits):
    ink = digits[:300] ** 1.7  # levels, but no common step
    flow = SelfNormalizingFlow(**IMAGES).fit(ink)
    assert (flow.noise_floor_ > 0).all()


def test_a_warm_start_takes_the_present_options(moons):
    flow = SelfNormalizingFlow(**SMALL, logdet_gradient="self", warm_start=True).fit(moons[:300])
    assert flow.fit(moons[:300]).n_refreshes_ == 0
    flow.set_params(inverse="learned", polish_every=0).fit(moons[:300])
    layer = flow.flow_.learned.steps[0]
    assert (layer.learned_inverse, layer.polish_every) == (True, 0)
    again = pickle.loads(pickle.dumps(flow))
    assert again.flow_.learned.steps[0].learned_inverse
    assert all(p.grad is None for p in flow.flow_.parameters())


def test_continuous_images_need_no_bounds():
    X = np.random.default_rng(0).normal(size=(200, 16))
    flow = SelfNormalizingFlow(image_shape=(1, 4, 4), n_layers=1, max_iter=2).fit(X)
    assert (flow.noise_floor_ == 0).all()
    assert np.isfinite(flow.score_samples(100 * X)).all()


def test_a_grid_of_gradients(moons):
    grid = {"logdet_gradient": ["self", "lu"]}
    search = GridSearchCV(SelfNormalizingFlow(**SMALL), grid, cv=2).fit(moons[:300])
    assert search.best_estimator_.logdet_gradient_ in ("self", "lu")


def test_going_on_from_a_learned_inverse(moons):
    flow = SelfNormalizingFlow(**SMALL, logdet_gradient="self", warm_start=True).fit(moons[:500])
    first = flow.best_score_
    flow.fit(moons[:500])
    assert flow.best_score_ >= first - 0.05
    partial = SelfNormalizingFlow(**SMALL, logdet_gradient="self")
    for _ in range(3):
        partial.partial_fit(moons[:500])
    assert np.isfinite(partial.score(moons))


def test_auto_goes_by_width_and_batch():
    from skflow.architectures.self_normalizing import fastest_gradient

    assert fastest_gradient(16, 256, "cpu") == "newton"
    assert fastest_gradient(512, 256, "cpu") == "exact"
    assert fastest_gradient(2048, 256, "cpu") == "lu"
    assert fastest_gradient(512, 4096, "cuda") == "newton"
