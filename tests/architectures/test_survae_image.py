"""The image model: probabilities of levels that add up, a sane start, and a training that helps."""

import json
import math

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits

from skflow.architectures.survae_image import ImagePlan
from skflow.data.fit_data import FitData
from skflow.data.rows import Rows
from skflow.flow import Flow
from skflow.inspection import bits_per_dimension
from skflow.starts.survae_image import initialize_image_flow
from skflow.training.fit import Fitted, fit_flow
from skflow.training.settings import Settings
from skflow.transforms import Compose, Funnel, MaxPool
from skflow.transforms.noise import fresh_noise, shared_noise
from tests.contract.table import generator, randomise

DIGITS = {"step": 1.0, "lowest": 0.0, "n_levels": 17}


def make_flow(x, shape, *, weight=None, scale=0.0, **options):
    """A flow initialised on levels ``x``, with random parameters where ``scale`` says so."""
    plan = ImagePlan(shape, **{**DIGITS, "n_hidden_channels": 8, **options}).for_rows(len(x))
    flow = plan.flow(generator())
    initialize_image_flow(flow, x, weight, generator(9))
    fixed = dict(flow.fixed.named_parameters())
    assert not any(p.requires_grad for p in fixed.values())
    randomise(flow.learned, scale=scale)
    return flow.eval()


def random_images(n, shape, n_levels=17, seed=0):
    """Levels that depend on their neighbours, so that maps have something to find."""
    noise = torch.randn(n, *shape, generator=generator(seed), dtype=torch.float64)
    smooth = noise + noise.roll(1, 2) + noise.roll(1, 3)
    share = torch.special.ndtr(smooth / math.sqrt(3)).flatten(1)
    return torch.floor(share * n_levels).clamp(0, n_levels - 1)


@pytest.fixture(scope="module")
def digits():
    return torch.as_tensor(load_digits().data)


def test_a_plan_is_plain_values():
    plan = ImagePlan((1, 8, 8), **{**DIGITS, "step": np.float64(1.0)}).for_rows(100)
    assert ImagePlan.from_plain(json.loads(json.dumps(plan.to_plain()))) == plan
    assert type(plan.step) is float
    assert [plan.for_rows(n).marginal_knots for n in (1, 10, 63, 64, 10**6)] == [4, 4, 8, 16, 64]


@pytest.mark.parametrize("pooling", ["slice", "max"])
@pytest.mark.parametrize(
    ("shape", "latent"),
    [
        ((1, 8, 8), {"slice": 32, "max": 16}),
        ((3, 4, 4), {"slice": 24, "max": 12}),
        ((1, 6, 6), {"slice": 36, "max": 36}),
        ((1, 7, 5), {"slice": 35, "max": 35}),
        ((2, 2, 2), {"slice": 8, "max": 8}),
        ((1, 1, 1), {"slice": 1, "max": 1}),
    ],
)
def test_both_directions_agree_on_the_latents(pooling, shape, latent):
    x = random_images(120, shape)
    flow = make_flow(x, shape, scale=0.1, pooling=pooling)
    fixed, learned = flow.fixed, flow.learned
    assert not flow.exact
    assert flow.base.n_features == latent[pooling]
    pixels, scales = learned.steps
    # After the logit: in its far tails float64 cannot tell values from the bounds.
    bijective = Compose([pixels.steps[2], *scales.steps])
    with torch.no_grad():
        y = Compose(pixels.steps[:2])(fixed(x)[0], noise=fresh_noise(generator(1)))[0]
        z, contribution = bijective(y)
        assert contribution.isfinite().all()
        again = bijective.inverse(z)
        torch.testing.assert_close(bijective(again)[0], z, atol=1e-5, rtol=1e-5)
        if not any(isinstance(step, Funnel | MaxPool) for step in scales.steps):
            torch.testing.assert_close(again, y, atol=1e-6, rtol=1e-6)
            torch.testing.assert_close(learned.inverse(z), fixed(x)[0])
        samples = flow.sample(50, generator=generator(2))
    assert samples.shape == (50, math.prod(shape))
    assert torch.equal(samples, samples.round())
    assert samples.min() >= 0
    assert samples.max() <= 16


@pytest.mark.parametrize("dequantization", ["uniform", "variational"])
@pytest.mark.parametrize("shape", [(1, 1, 2), (1, 2, 2)])
def test_probabilities_of_all_images_add_up(shape, dequantization):
    d, k = math.prod(shape), 3
    x = random_images(100, shape, k)
    flow = make_flow(x, shape, scale=0.05, n_levels=k, dequantization=dequantization)
    images = torch.cartesian_prod(*[torch.arange(k, dtype=torch.float64)] * d)
    n = 50_000 // len(images)
    with torch.no_grad():
        draws = flow.log_prob(images.repeat(n, 1), noise=fresh_noise(generator(3))).view(n, -1)

    def bound(n_draws):
        used = draws[: n // n_draws * n_draws].unflatten(0, (-1, n_draws))
        return (used.logsumexp(1) - math.log(n_draws)).mean(0)

    p, error = draws.exp().mean(0), (draws.exp().var(0) / n).sum().sqrt()
    assert error < 0.04
    assert abs(p.sum() - 1) < 3 * error
    values = [float((p * bound(m)).sum()) for m in (1, 10, 100, n)]
    assert values == sorted(values)


def test_weights_of_one_change_nothing_at_the_start(digits):
    weight = torch.ones(80, dtype=torch.float64)  # a weight is a number of rows
    flows = [make_flow(digits[:80], (1, 8, 8), weight=w, n_layers=1) for w in (None, weight)]
    scores = [f.log_prob(digits[80:90], noise=shared_noise(generator(1))) for f in flows]
    torch.testing.assert_close(*scores, atol=1e-6, rtol=0)


@pytest.mark.parametrize("pooling", ["slice", "max"])
def test_it_starts_near_the_classics(digits, pooling):
    flow = make_flow(digits[:800], (1, 8, 8), pooling=pooling)
    with torch.no_grad():
        bits = (
            -flow.log_prob(digits[800:], noise=fresh_noise(generator())).mean() / 64 / math.log(2)
        )
    # Gaussian of the shrunk covariance: 2.95.
    assert 1.5 < bits < {"slice": 2.4, "max": 2.8}[pooling]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pooling": "max", "dequantization": "uniform"},
        {"coupling": "spline", "n_scales": 1},
    ],
    ids=["default", "max", "spline"],
)
def test_two_epochs_help(digits, options):
    flow = make_flow(digits[:200], (1, 8, 8), n_layers=2, **options)
    # A noise floor of the estimator's does no harm: the layer goes by levels.
    data = FitData.plain(Rows(digits[:200]), Rows(digits[200:300]), np.ones(64))
    settings = Settings(2, 5, 3e-3, tol=0.0)
    fitted = fit_flow(Fitted(flow, data), settings, seed=0)
    flow, outcome = fitted.flow, fitted.outcome
    assert outcome.n_rollbacks == 0
    assert outcome.best_score > outcome.start_score + 0.2
    with torch.no_grad():
        score = flow.eval().log_prob(digits[200:300], noise=fresh_noise(generator())).mean()
    assert abs(score - outcome.best_score) < 1.5


@pytest.mark.parametrize("pooling", ["slice", "max"])
def test_gradients_are_finite_in_single_precision(pooling):
    x = random_images(100, (1, 8, 8), 256)
    x[:, :3] = 0  # blank pixels
    x[:, 3] = 255
    flow = make_flow(x, (1, 8, 8), scale=0.05, n_levels=256, pooling=pooling).float().train()
    loss = -flow(x.float(), noise=fresh_noise(generator()))
    assert loss.isfinite().all()
    loss.mean().backward()
    learned = flow.learned
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learned.parameters())


def test_the_density_is_in_the_units_of_the_rows(digits):
    flow = make_flow(digits[:300], (1, 8, 8))
    eighths = make_flow(digits[:300] / 8 + 1, (1, 8, 8), step=1 / 8, lowest=1.0)
    x = digits[300:330]
    with torch.no_grad():
        ones, others = (
            f.log_prob(rows, n_importance_samples=2, noise=shared_noise(generator(1)))
            for f, rows in ((flow, x), (eighths, x / 8 + 1))
        )
        sampled = eighths.sample(20, generator=generator(1))
    torch.testing.assert_close(others, ones + 64 * math.log(8))
    torch.testing.assert_close(sampled * 8, (sampled * 8).round())


class Scorer(BaseEstimator):
    """What `bits_per_dimension` asks of an estimator."""

    def __init__(self, flow: Flow):
        self.flow = flow

    def fit(self, X):
        self.noise_floor_ = np.ones(X.shape[1])
        return self

    def score(self, X):
        with torch.no_grad():
            rows = torch.as_tensor(X)
            return float(self.flow.log_prob(rows, noise=shared_noise(generator(1))).mean())


def test_bits_per_dimension_are_those_of_the_levels(digits):
    model = Scorer(make_flow(digits[:300], (1, 8, 8))).fit(digits)
    x = digits[300:320].numpy()
    # Whatever noise it adds within the cells, the score is that of the levels.
    assert bits_per_dimension(model, x, n_draws=2) == pytest.approx(
        -model.score(x) / 64 / math.log(2)
    )


def test_one_row_and_other_devices(digits):
    flow = make_flow(digits[:100], (1, 8, 8))
    one, some = (flow.log_prob(digits[:n], noise=shared_noise(generator(1))) for n in (1, 5))
    torch.testing.assert_close(one, some[:1])
    assert one.dtype == flow.sample(2).dtype == torch.float64
    flow = flow.to("meta")
    assert flow.log_prob(torch.ones(3, 64, dtype=torch.float64, device="meta")).is_meta
    assert flow.sample(3).is_meta
