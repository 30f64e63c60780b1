"""What the gradients of SelfNormalizingFlow are worth: likelihoods at equal steps.

* gaussian: a correlated Gaussian, d = 32, condition number 1000, given raw, against its analytic
  likelihood; the whole estimator, and the layers alone without whitening, the paper's procedure
  among them.
* mixture: 32 columns, six modes, bent; every gradient from the same start, the same steps.
* moons: two moons, 5,000 rows, standardised.
* rates: learning rate times d up to 1; what is left of every mode.
* mnist: the paper's two dense layers on MNIST, exact against self and newton at equal steps.
* conv: the paper's nine convolutions on MNIST; writes a picture of samples beside the CSV.

Steps, not seconds, are equal here; ``run.py steps`` has the seconds.
"""

from functools import partial

import numpy as np
from sklearn.datasets import make_moons
from sklearn.mixture import GaussianMixture

from benchmarks.support.fitting import Clock, fitted
from benchmarks.support.images import SHAPE, save_grid
from benchmarks.support.images import mnist as mnist_images
from benchmarks.support.pieces import Outcome, Piece
from skflow import SelfNormalizingFlow
from skflow.inspection import bits_per_dimension

MODES = ("exact", "newton", "lu", "relative", "self")
PAPER = {"logdet_gradient": "self", "polish_every": 0}
WITHOUT_HELP = {"start": "standard", "base": "normal"}  # no whitening, no mixture
FROM_GAUSSIAN = {"start": "whiten", "base": "normal"}
NATS = 784 * np.log(2)  # of a bit per dimension of an MNIST image


def add_options(parser) -> None:
    parser.add_argument("--max-iter", type=int, help="epochs, if not those of each task")
    parser.add_argument("--images", type=int, default=50_000, help="to train on in mnist")
    parser.add_argument("--epochs", type=int, default=3, help="of mnist")
    parser.add_argument("--conv-images", type=int, default=20_000, help="to train on in conv")
    parser.add_argument("--conv-epochs", type=int, default=8)


def pieces(options):
    for task, (make, settings, components) in TASKS.items():
        for name, parameters in settings.items():
            yield Piece(task, name, partial(outcome, make, parameters, options))
        if components is not None:
            yield Piece(task, "GaussianMixture", partial(gaussian_mixture, make, components))
    if options.data is not None:
        for name, parameters in IMAGE_SETTINGS.items():
            yield Piece("mnist", name, partial(mnist, parameters, options))
        yield Piece("conv", "self", partial(conv, options))


def outcome(make, parameters: dict, options) -> Outcome:
    (X, X_val, X_test), reference = make()
    shorter = {} if options.max_iter is None else {"max_iter": options.max_iter}
    model = SelfNormalizingFlow(random_state=0, **{**parameters, **shorter})
    model, seconds = fitted(model, X, X_val)
    return Outcome(seconds, measured(model, -model.score(X_test), reference))


def measured(model, nll: float, reference: float | None = None) -> dict:
    excess = {} if reference is None else {"minus_reference": nll - reference}
    return {
        "test_nll": nll,
        **excess,
        "epochs": model.n_iter_,
        "inverse_error": model.inverse_error_,
        "condition": model.condition_number_,
        "refreshes": model.n_refreshes_,
    }


def gaussian_mixture(make, components) -> Outcome:
    """The peer; its components are chosen on the validation rows."""
    (X, X_val, X_test), _ = make()
    clock = Clock()
    fits = [GaussianMixture(k, random_state=0).fit(X) for k in components]
    best = max(fits, key=lambda m: m.score(X_val))
    metrics = {"test_nll": -best.score(X_test), "note": f"{best.n_components} components"}
    return Outcome(clock.seconds(), metrics)


# ------------------------------------------------- rows, with their mean negative log-density


def split(X, n_train, n_val):
    return X[:n_train], X[n_train : n_train + n_val], X[n_train + n_val :]


def correlated_gaussian():
    d, condition, rng = 32, 1e3, np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
    scale = np.geomspace(1, condition**-0.5, d)  # of the columns; the covariance has 1e3
    z = rng.normal(size=(25_000, d))
    truth = 0.5 * (z[22_500:] ** 2).sum(1).mean() + np.log(scale).sum() + d / 2 * np.log(2 * np.pi)
    return split(z * scale @ rotation.T, 20_000, 2_500), truth


def bent_mixture(n: int, n_train: int, n_val: int):
    """Six modes in 32 columns, bent and mixed: no Gaussian mixture in closed form."""
    d, rng = 32, np.random.default_rng(0)
    means = 2.5 * rng.normal(size=(6, d)) / np.sqrt(d) * 3
    x = means[rng.integers(0, 6, n)] + rng.normal(size=(n, d)) * np.geomspace(1, 0.2, d)
    x[:, 1::2] += 0.5 * np.tanh(x[:, ::2]) ** 2
    return split(x @ np.linalg.qr(rng.normal(size=(d, d)))[0], n_train, n_val), None


def two_moons(noise: float):
    X, _ = make_moons(9_000, noise=noise, random_state=0)
    X = (X - X[:5_000].mean(0)) / X[:5_000].std(0)
    return split(X, 4_500, 500), None


# ------------------------------------------------------------------------------ settings


def by_mode(suffix: str = "", **parameters) -> dict[str, dict]:
    return {f"{mode}{suffix}": {"logdet_gradient": mode, **parameters} for mode in MODES}


LONG = {**WITHOUT_HELP, "n_layers": 1, "max_iter": 100, "tol": 1e-4, "n_iter_no_change": 10}
GAUSSIAN = {
    **by_mode(),
    "paper (no polish)": PAPER,
    **by_mode(", not whitened", **LONG),
    "paper, not whitened": {**PAPER, **LONG},
    "paper, not whitened, λ = 10": {**PAPER, **LONG, "reconstruction_weight": 10.0},
    "paper, not whitened, λ = 100": {**PAPER, **LONG, "reconstruction_weight": 100.0},
}
MIXTURE = {
    **by_mode(),
    **by_mode(", from the Gaussian", **FROM_GAUSSIAN, max_iter=40, tol=1e-4),
}
MOONS = {
    "default": {},
    "from the Gaussian, 8 layers": {**FROM_GAUSSIAN, "n_layers": 8, "max_iter": 100},
    "paper's activation, 8 layers": {
        "activation": "smooth_leaky_relu",
        "logdet_gradient": "self",
        "n_layers": 8,
        "max_iter": 100,
    },
}
RATES = {
    f"{name}, rate x d = {product}": {
        **mode,
        "learning_rate_init": product / 32,
        **FROM_GAUSSIAN,
        "max_iter": 20,
    }
    for product in (0.1, 0.3, 1.0)
    for name, mode in {**by_mode(), "paper": PAPER}.items()
}
# Rows, settings, and the numbers of components that the Gaussian mixture may choose from.
TASKS = {
    "gaussian": (correlated_gaussian, GAUSSIAN, None),
    "mixture": (partial(bent_mixture, 15_000, 10_000, 2_500), MIXTURE, (6, 12, 24)),
    "moons/noise 0.05": (partial(two_moons, 0.05), MOONS, (8, 16, 32)),
    "moons/noise 0.1": (partial(two_moons, 0.1), MOONS, (8, 16, 32)),
    "rates": (partial(bent_mixture, 6_000, 4_500, 500), RATES, None),
}
IMAGE_SETTINGS = {
    **{mode: {"logdet_gradient": mode} for mode in ("exact", "self", "newton")},
    "self, λ = 1": {"logdet_gradient": "self", "reconstruction_weight": 1.0},
}


# --------------------------------------------------------------------------------- mnist


def image_rows(options, n_train: int):
    images, test = mnist_images(options.data)
    return images[:n_train], images[50_000:51_000], test[:2_000]


def image_outcome(model, seconds: float, X_test) -> Outcome:
    bits = bits_per_dimension(model, X_test)
    return Outcome(seconds, {**measured(model, bits * NATS), "bits_per_dimension": bits})


def mnist(parameters: dict, options) -> Outcome:
    """W = I, smooth leaky ReLU, Adam 1e-4, batch 100: table 1 of the paper, fewer epochs."""
    X, X_val, X_test = image_rows(options, options.images)
    model = SelfNormalizingFlow(
        architecture="dense",
        image_shape=SHAPE,
        n_layers=2,
        activation="smooth_leaky_relu",
        **parameters,
        start="standard",
        learning_rate_init=1e-4,
        batch_size=100,
        max_iter=options.epochs,
        n_iter_no_change=options.epochs,
        noise=0.0,
        random_state=0,
    )
    model, seconds = fitted(model, X, X_val)
    return image_outcome(model, seconds, X_test)


def conv(options) -> Outcome:
    X, X_val, X_test = image_rows(options, options.conv_images)
    model = SelfNormalizingFlow(
        image_shape=SHAPE,
        n_bins=5,
        batch_size=100,
        max_iter=options.conv_epochs,
        n_iter_no_change=options.conv_epochs,
        random_state=0,
    )
    model, seconds = fitted(model, X, X_val)
    samples = model.sample(40, random_state=0).reshape(4, 10, 784)
    save_grid(samples, 28, options.out / "mnist_samples.png")
    outcome = image_outcome(model, seconds, X_test)
    outcome.metrics["start_nll"] = -model.start_score_
    return outcome
