"""Fewer latent dimensions than columns: likelihoods of FunnelFlow and FlowifiedMLP.

* toys: eight Gaussians and a checkerboard, standardised, 20,000 rows, against the truth; narrowing
  networks and widening ones, with the gap of their bounds.
* digits: 1,200 / 250 / 347 rows in units of 17 grey levels, dequantised once ("frozen") and anew in
  every epoch ("fresh"), beside the shrunk Gaussian, factor analysis and the best mixture.
* mnist: bits per dimension after a fixed number of epochs, beside the shrunk Gaussian; writes
  pictures of samples and reconstructions beside the CSV.
"""

from functools import partial

import numpy as np
from scipy.special import logsumexp
from sklearn.decomposition import FactorAnalysis
from sklearn.mixture import GaussianMixture

from benchmarks.support.digits import dequantised_digits
from benchmarks.support.fitting import Clock, fitted
from benchmarks.support.images import SHAPE, mnist, save_grid
from benchmarks.support.peers import gaussian_score
from benchmarks.support.pieces import Outcome, Piece
from skflow import FlowifiedMLP, FunnelFlow, NormalizingFlow
from skflow.inspection import bits_per_dimension

BITS = 784 * np.log(2)  # nats of an MNIST image for a bit per dimension


def add_options(parser) -> None:
    parser.add_argument("--rows", type=int, default=20_000, help="of toys, to train on")
    parser.add_argument("--images", type=int, default=10_000, help="MNIST images to train on")
    parser.add_argument("--epochs", type=int, default=8, help="on MNIST")
    parser.add_argument("--max-iter", type=int, help="epochs of toys and digits, if not theirs")


def pieces(options):
    shorter = {} if options.max_iter is None else {"max_iter": options.max_iter}
    for make in (eight_gaussians, checkerboard):
        for name, parameters in TOY_MODELS.items():
            model = FlowifiedMLP(**{**parameters, **shorter})
            run = partial(toy, make, model, options.rows)
            yield Piece(f"toys/{make.__name__}", name, run)
    for name in CLASSICS:
        yield Piece("digits/frozen", name, partial(classic_of_digits, name))
    for noise in ("frozen", "fresh"):
        for name, model in DIGITS_MODELS.items():
            run = partial(digits, model, shorter, noise)
            yield Piece(f"digits/{noise}", name, run)
    if options.data is not None:
        yield Piece("mnist", "LedoitWolf, flat", partial(flat_gaussian, options))
        for name, model in IMAGE_MODELS.items():
            yield Piece("mnist", name, partial(images, name, model, options))


# ---------------------------------------------------------------------------------- toys


def eight_gaussians(n: int, rng, deviation: float = 0.1417) -> tuple[np.ndarray, float]:
    """Standardised; also the mean log-density of the rows under the truth."""
    radius = np.sqrt(2 * (1 - deviation**2))
    angles = np.arange(8) * np.pi / 4
    centres = radius * np.stack([np.cos(angles), np.sin(angles)], 1)
    X = centres[rng.integers(0, 8, n)] + deviation * rng.normal(size=(n, 2))
    square = ((X[:, None] - centres) ** 2).sum(2) / deviation**2
    log_density = logsumexp(-0.5 * square, axis=1) - np.log(16 * np.pi * deviation**2)
    return X, float(log_density.mean())


def checkerboard(n: int, rng) -> tuple[np.ndarray, float]:
    """Eight of sixteen squares, standardised; the density is the same on all of them."""
    x = rng.uniform(-4, 4, n)
    y = rng.uniform(0, 2, n) + 4 * rng.integers(0, 2, n) - 4
    y = np.where(np.floor(x / 2) % 2 == 0, y, y + 2)
    scale = 8 / np.sqrt(12)
    return np.stack([x, y], 1) / scale, float(2 * np.log(scale) - np.log(32))


PLAIN = {"start": "whiten", "base": "normal", "max_iter": 100, "learning_rate_init": 3e-3}
SQUARE = {**PLAIN, "hidden_layer_sizes": (2,) * 8}
WIDE = {"hidden_layer_sizes": (16, 16, 16, 2, 2), "augment": "gaussian"}
TOY_MODELS = {
    "FlowifiedMLP()": {},
    "narrowing (2, 2, 1)": {"hidden_layer_sizes": (2, 2, 1)},
    "widening (16, 16, 16, 2, 2)": WIDE,
    "square, from the Gaussian": SQUARE,
    "square, one spline a layer": {**SQUARE, "activation": "shared_spline"},
    "widening, from the Gaussian": {**PLAIN, **WIDE},
}


def toy(make, model, rows: int) -> Outcome:
    rng = np.random.default_rng(0)
    X, _ = make(rows, rng)
    X_test, truth = make(5_000, rng)
    model, seconds = fitted(model.set_params(random_state=0), X)
    score = model.score(X_test)
    metrics = {
        "test_nats": score,
        "minus_truth": score - truth,
        "exact": model.exact_,
        "bound_gap": model.bound_gap_,
        "epochs": model.n_iter_,
    }
    return Outcome(seconds, metrics)


# -------------------------------------------------------------------------------- digits

FROM_GAUSSIAN = {"start": "whiten", "base": "normal"}
DIGITS_MODELS = {
    "FunnelFlow()": FunnelFlow(),
    "FunnelFlow(8)": FunnelFlow(8),
    "FlowifiedMLP()": FlowifiedMLP(),
    "NormalizingFlow()": NormalizingFlow(),
    "FlowifiedMLP((8, 8, 8)), from the Gaussian": FlowifiedMLP((8, 8, 8), **FROM_GAUSSIAN),
    "FunnelFlow(8), from the Gaussian": FunnelFlow(8, **FROM_GAUSSIAN),
}
CLASSICS = ("LedoitWolf", "FactorAnalysis(24)", "GaussianMixture")


def digits(model, shorter: dict, noise: str) -> Outcome:
    levels, dequantised = dequantised_digits()
    part = dequantised if noise == "frozen" else levels
    model.set_params(random_state=0, **shorter)
    model, seconds = fitted(model, part[:1200], part[1200:1450])
    metrics = {
        "test_nats": model.score(dequantised[1450:]),
        "start": model.start_score_,
        "latent": model.n_components_,
        "epochs": model.n_iter_,
    }
    return Outcome(seconds, metrics)


def classic_of_digits(name: str) -> Outcome:
    _, rows = dequantised_digits()
    X, X_val, X_test = rows[:1200], rows[1200:1450], rows[1450:]
    mean, scale = X.mean(0), X.std(0)
    Z, Z_val, Z_test = ((part - mean) / scale for part in (X, X_val, X_test))
    clock, note = Clock(), ""
    if name == "LedoitWolf":
        score = gaussian_score(X, X_test, standardise=True)
    elif name == "FactorAnalysis(24)":
        score = FactorAnalysis(24, random_state=0).fit(Z).score(Z_test) - np.log(scale).sum()
    else:
        fits = [
            GaussianMixture(k, reg_covar=reg, random_state=0).fit(Z)
            for k in (1, 2, 4, 6, 8, 10, 12, 16)
            for reg in (1e-2, 3e-2, 1e-1, 3e-1)
        ]
        best = max(fits, key=lambda model: model.score(Z_val))
        note = f"{best.n_components} components, reg_covar={best.reg_covar:g}"
        score = best.score(Z_test) - np.log(scale).sum()
    return Outcome(clock.seconds(), {"test_nats": score, "note": note})


# --------------------------------------------------------------------------------- mnist

IMAGE_MODELS = {
    "flowified_mlp": partial(FlowifiedMLP, (512, 256, 128, 64, 32, 8), n_channels=()),
    "flowified_convolutions": partial(FlowifiedMLP, (128, 32)),
    "flowified_overlapping": partial(
        FlowifiedMLP, (128, 32), kernel_size=3, augment="gaussian", n_importance_samples=8
    ),
    "funnel": partial(FunnelFlow, 49, decoder="spline"),
}


def image_rows(options) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    train, test = mnist(options.data)
    return train[: options.images], train[50_000:51_000], test[:2_000]


def flat_gaussian(options) -> Outcome:
    X, _, X_test = image_rows(options)
    rng, clock = np.random.default_rng(0), Clock()
    noisy = [part + rng.uniform(-0.5, 0.5, size=part.shape) for part in (X, X_test)]
    bits = -gaussian_score(*noisy, standardise=False) / BITS
    return Outcome(clock.seconds(), {"bits_per_dimension": bits})


def images(name: str, make, options) -> Outcome:
    X, X_val, X_test = image_rows(options)
    epochs = {"max_iter": options.epochs, "n_iter_no_change": options.epochs}
    model, seconds = fitted(make(image_shape=SHAPE, random_state=0, **epochs), X, X_val)
    metrics = {
        "bits_per_dimension": bits_per_dimension(model, X_test),
        "start": -model.start_score_ / BITS,
        "latent": model.n_components_,
        "exact": model.exact_,
        "bound_gap_bits": model.bound_gap_ / BITS,
        "epochs": model.n_iter_,
    }
    save_pictures(model, X_test[:12], options.out / f"mnist_{name}.png")
    return Outcome(seconds, metrics)


def save_pictures(model, X, path) -> None:
    """Two rows of samples; one of test images, one of reconstructions, one of drawn ones."""
    latent = model.transform(X)
    drawn = model.inverse_transform(latent, mode="sample", random_state=0)
    samples = model.sample(2 * len(X), random_state=0).reshape(2, len(X), 784)
    save_grid([*samples, X, model.inverse_transform(latent), drawn], 28, path)
