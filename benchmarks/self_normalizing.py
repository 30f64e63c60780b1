"""What the gradients of SelfNormalizingFlow are worth: likelihoods at equal steps.

    PYTHONPATH=. python benchmarks/self_normalizing.py --data DIR gaussian mixture moons rates
    PYTHONPATH=. python benchmarks/self_normalizing.py --data DIR mnist conv

* gaussian: a correlated Gaussian, d = 32, condition number 1000, given raw, against its analytic
  likelihood; the whole estimator, and the layers alone without whitening, the paper's procedure
  among them.
* mixture: 32 columns, six modes, bent; every gradient from the same start, the same steps.
* moons: two moons, 5,000 rows, standardised.
* rates: learning rate times d up to 1; what is left of every mode.
* mnist: the paper's two dense layers on MNIST, exact against self and newton at equal steps.
* conv: the paper's nine convolutions on MNIST; writes a picture of samples beside the CSV.

Steps, not seconds, are equal here; `benchmarks/steps.py` has the seconds.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from report import write_rows
from sklearn.datasets import make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from skflow import SelfNormalizingFlow
from skflow.inspection import bits_per_dimension

MODES = ("exact", "newton", "lu", "relative", "self")
PAPER = {"logdet_gradient": "self", "polish_every": 0}
WITHOUT_HELP = {"start": "standard", "base": "normal"}  # no whitening, no mixture


def fitted(X, X_val, **parameters) -> tuple[SelfNormalizingFlow, float]:
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = SelfNormalizingFlow(random_state=0, **parameters).fit(X, X_val=X_val)
    return model, time.perf_counter() - start


def row_of(task, setting, model, seconds, nll, reference) -> dict:
    row = {
        "task": task,
        "setting": setting,
        "test_nll": nll,
        "minus_reference": None if reference is None else nll - reference,
        "epochs": model.n_iter_,
        "inverse_error": model.inverse_error_,
        "condition": model.condition_number_,
        "refreshes": model.n_refreshes_,
        "seconds": seconds,
    }
    print(row, flush=True)
    return row


def compare(task, settings: dict[str, dict], parts, reference=None) -> list[dict]:
    """Fit each setting to the same rows; one CSV row each."""
    X, X_val, X_test = parts
    rows = []
    for name, parameters in settings.items():
        model, seconds = fitted(X, X_val, **parameters)
        nll = -model.score(X_test)
        rows.append(row_of(task, name, model, seconds, nll, reference))
    return rows


def mixture_row(task: str, setting: str, parts, components) -> dict:
    """The peer: a Gaussian mixture, its components chosen on the validation rows."""
    X, X_val, X_test = parts
    start = time.perf_counter()
    fits = [GaussianMixture(k, random_state=0).fit(X) for k in components]
    best = max(fits, key=lambda m: m.score(X_val))
    row = {
        "task": task,
        "setting": f"GaussianMixture({best.n_components}){setting}",
        "test_nll": -best.score(X_test),
        "seconds": time.perf_counter() - start,
    }
    print(row, flush=True)
    return row


def split(X, n_train, n_val):
    return X[:n_train], X[n_train : n_train + n_val], X[n_train + n_val :]


def gaussian(args) -> list[dict]:
    d, condition, rng = 32, 1e3, np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
    scale = np.geomspace(1, condition**-0.5, d)  # of the columns; the covariance has 1e3
    z = rng.normal(size=(25_000, d))
    truth = 0.5 * (z[22_500:] ** 2).sum(1).mean() + np.log(scale).sum() + d / 2 * np.log(2 * np.pi)
    parts = split(z * scale @ rotation.T, 20_000, 2_500)
    settings = {f"{mode}": {"logdet_gradient": mode} for mode in MODES}
    settings["paper (no polish)"] = PAPER
    long = {**WITHOUT_HELP, "n_layers": 1, "max_iter": 100, "tol": 1e-4, "n_iter_no_change": 10}
    settings |= {f"{mode}, not whitened": {"logdet_gradient": mode, **long} for mode in MODES}
    settings["paper, not whitened"] = {**PAPER, **long}
    settings["paper, not whitened, λ = 10"] = {**PAPER, **long, "reconstruction_weight": 10.0}
    settings["paper, not whitened, λ = 100"] = {**PAPER, **long, "reconstruction_weight": 100.0}
    return compare("gaussian", settings, parts, truth)


def bent_mixture(n: int, rng: np.random.Generator) -> np.ndarray:
    """Six modes in 32 columns, bent and mixed: no Gaussian mixture in closed form."""
    d = 32
    means = 2.5 * rng.normal(size=(6, d)) / np.sqrt(d) * 3
    x = means[rng.integers(0, 6, n)] + rng.normal(size=(n, d)) * np.geomspace(1, 0.2, d)
    x[:, 1::2] += 0.5 * np.tanh(x[:, ::2]) ** 2
    return x @ np.linalg.qr(rng.normal(size=(d, d)))[0]


def mixture(args) -> list[dict]:
    parts = split(bent_mixture(15_000, np.random.default_rng(0)), 10_000, 2_500)
    settings = {f"{mode}": {"logdet_gradient": mode} for mode in MODES}
    plain = {"start": "whiten", "base": "normal", "max_iter": 40, "tol": 1e-4}
    settings |= {f"{mode}, from the Gaussian": {"logdet_gradient": mode, **plain} for mode in MODES}
    return [
        *compare("mixture", settings, parts),
        mixture_row("mixture", "", parts, (6, 12, 24)),
    ]


def moons(args) -> list[dict]:
    rows = []
    for noise in (0.05, 0.1):
        X, _ = make_moons(9_000, noise=noise, random_state=0)
        X = (X - X[:5_000].mean(0)) / X[:5_000].std(0)
        parts = split(X, 4_500, 500)
        settings = {
            f"default, noise {noise}": {},
            f"from the Gaussian, 8 layers, noise {noise}": {
                "start": "whiten",
                "base": "normal",
                "n_layers": 8,
                "max_iter": 100,
            },
            f"paper's activation, 8 layers, noise {noise}": {
                "activation": "smooth_leaky_relu",
                "logdet_gradient": "self",
                "n_layers": 8,
                "max_iter": 100,
            },
        }
        rows += compare("moons", settings, parts)
        rows.append(mixture_row("moons", f", noise {noise}", parts, (8, 16, 32)))
    return rows


def rates(args) -> list[dict]:
    d = 32
    X = bent_mixture(6_000, np.random.default_rng(0))
    settings = {
        f"{name}, rate x d = {product}": {
            **mode,
            "learning_rate_init": product / d,
            "start": "whiten",
            "base": "normal",
            "max_iter": 20,
        }
        for product in (0.1, 0.3, 1.0)
        for name, mode in {**{m: {"logdet_gradient": m} for m in MODES}, "paper": PAPER}.items()
    }
    return compare("rates", settings, split(X, 4_500, 500))


def mnist_parts(args, n_train):
    file = np.load(Path(args.data) / "image/mnist.npz")
    images = file["X_train"].reshape(-1, 784).astype(float)
    test = file["X_test"].reshape(-1, 784).astype(float)
    return images[:n_train], images[50_000:51_000], test[:2_000]


def image_row(task, name, model, seconds, X_test, args) -> dict:
    bits = bits_per_dimension(model, X_test)
    nats = bits * 784 * np.log(2)
    return {**row_of(task, name, model, seconds, nats, None), "bits_per_dimension": bits}


def mnist(args) -> list[dict]:
    """W = I, smooth leaky ReLU, Adam 1e-4, batch 100: table 1 of the paper, fewer epochs."""
    X, X_val, X_test = mnist_parts(args, args.images)
    rows = []
    settings = {mode: {"logdet_gradient": mode} for mode in ("exact", "self", "newton")}
    settings["self, λ = 1"] = {"logdet_gradient": "self", "reconstruction_weight": 1.0}
    for name, gradient in settings.items():
        model, seconds = fitted(
            X,
            X_val,
            architecture="dense",
            image_shape=(1, 28, 28),
            n_layers=2,
            activation="smooth_leaky_relu",
            **gradient,
            start="standard",
            learning_rate_init=1e-4,
            batch_size=100,
            max_iter=args.epochs,
            n_iter_no_change=args.epochs,
            noise=0.0,
        )
        rows.append(image_row("mnist", name, model, seconds, X_test, args))
        rows[-1]["minus_reference"] = rows[-1]["test_nll"] / rows[0]["test_nll"] - 1
    return rows


def conv(args) -> list[dict]:
    X, X_val, X_test = mnist_parts(args, args.images)
    model, seconds = fitted(
        X,
        X_val,
        image_shape=(1, 28, 28),
        n_bins=5,
        batch_size=100,
        max_iter=args.epochs,
        n_iter_no_change=args.epochs,
    )
    save_samples(model, args.out.with_name("mnist_samples.png"))
    print("start", -model.start_score_, "nats")
    return [image_row("conv", "self", model, seconds, X_test, args)]


def save_samples(model, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    samples = model.sample(40, random_state=0).reshape(4, 10, 28, 28)
    grid = samples.transpose(0, 2, 1, 3).reshape(4 * 28, 10 * 28)
    path.parent.mkdir(parents=True, exist_ok=True)
    plt.imsave(path, grid.clip(0, 255), cmap="gray_r", dpi=100)


TASKS = {f.__name__: f for f in (gaussian, mixture, moons, rates, mnist, conv)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="+", choices=list(TASKS))
    parser.add_argument("--data", help="folder that holds image/mnist.npz")
    parser.add_argument("--images", type=int, default=50_000, help="MNIST images to train on")
    parser.add_argument("--epochs", type=int, default=3, help="on MNIST")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results/self_normalizing.csv"
    )
    args = parser.parse_args()
    for task in args.tasks:
        rows = TASKS[task](args)
        text = write_rows(rows, args.out.with_name(f"{args.out.stem}_{task}.csv"))
        print(text, flush=True)


if __name__ == "__main__":
    main()
