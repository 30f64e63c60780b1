"""Fewer latent dimensions than columns: likelihoods of FunnelFlow and FlowifiedMLP.

    PYTHONPATH=. python benchmarks/reduction.py toys digits
    PYTHONPATH=. python benchmarks/reduction.py --data DIR mnist

* toys: eight Gaussians and a checkerboard, standardised, 20,000 rows, against the truth; narrowing
  networks and widening ones, with the gap of their bounds.
* digits: 1,200 / 250 / 347 rows in units of 17 grey levels, dequantised once ("frozen") and anew in
  every epoch ("fresh"), beside the shrunk Gaussian, factor analysis and the best mixture.
* mnist: bits per dimension after a fixed number of epochs, beside the shrunk Gaussian; writes
  pictures of samples and reconstructions beside the CSV.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from report import write_rows
from scipy.special import logsumexp
from sklearn.covariance import LedoitWolf
from sklearn.datasets import load_digits
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.mixture import GaussianMixture

from skflow import FlowifiedMLP, FunnelFlow, NormalizingFlow
from skflow.inspection import bits_per_dimension


def fitted(model, X, X_val=None):
    """Fit quietly; also the seconds it took."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", DataConversionWarning)
        model.set_params(random_state=0).fit(X, X_val=X_val)
    return model, time.perf_counter() - start


def reported(row: dict) -> dict:
    print(row, flush=True)
    return row


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


def toys(args) -> list[dict]:
    plain = {"start": "whiten", "base": "normal", "max_iter": 100, "learning_rate_init": 3e-3}
    wide = {"hidden_layer_sizes": (16, 16, 16, 2, 2), "augment": "gaussian"}
    models = {
        "FlowifiedMLP()": {},
        "narrowing (2, 2, 1)": {"hidden_layer_sizes": (2, 2, 1)},
        "widening (16, 16, 16, 2, 2)": wide,
        "square, from the Gaussian": {**plain, "hidden_layer_sizes": (2,) * 8},
        "square, one spline a layer": {
            **plain, "hidden_layer_sizes": (2,) * 8, "activation": "shared_spline",
        },
        "widening, from the Gaussian": {**plain, **wide},
    }  # fmt: skip
    rows = []
    for make in (eight_gaussians, checkerboard):
        rng = np.random.default_rng(0)
        X, _ = make(20_000, rng)
        X_test, truth = make(5_000, rng)
        for name, parameters in models.items():
            model, seconds = fitted(FlowifiedMLP(**parameters), X)
            score = model.score(X_test)
            rows.append(
                reported(
                    {
                        "toy": make.__name__,
                        "model": name,
                        "test_nats": score,
                        "minus_truth": score - truth,
                        "exact": model.exact_,
                        "bound_gap": model.bound_gap_,
                        "epochs": model.n_iter_,
                        "seconds": seconds,
                    }
                )
            )
    return rows


# -------------------------------------------------------------------------------- digits


def digits_rows() -> tuple[np.ndarray, np.ndarray]:
    """The grey levels' middles and the dequantised rows, in units of 17 levels, shuffled."""
    levels, rng = load_digits().data, np.random.default_rng(0)
    dequantised = levels + rng.uniform(size=levels.shape)
    order = rng.permutation(len(levels))
    return (levels[order] + 0.5) / 17, dequantised[order] / 17


def gaussian_score(X, X_test, *, standardise: bool) -> float:
    """Mean log-density under the Gaussian with Ledoit and Wolf's covariance."""
    mean, scale = X.mean(0), X.std(0) if standardise else np.ones(X.shape[1])
    model = LedoitWolf().fit((X - mean) / scale)
    d = X.shape[1]
    square = model.mahalanobis((X_test - mean) / scale)
    log_det = np.linalg.slogdet(model.precision_)[1]
    constant = 0.5 * log_det - d / 2 * np.log(2 * np.pi) - np.log(scale).sum()
    return float((constant - 0.5 * square).mean())


def mixture_score(X, X_val, X_test) -> tuple[float, str]:
    mean, scale = X.mean(0), X.std(0)
    space = [(part - mean) / scale for part in (X, X_val, X_test)]
    fits = [
        GaussianMixture(k, reg_covar=reg, random_state=0).fit(space[0])
        for k in (1, 2, 4, 6, 8, 10, 12, 16)
        for reg in (1e-2, 3e-2, 1e-1, 3e-1)
    ]
    best = max(fits, key=lambda model: model.score(space[1]))
    name = f"GaussianMixture({best.n_components}, reg_covar={best.reg_covar:g})"
    return best.score(space[2]) - np.log(scale).sum(), name


def digits(args) -> list[dict]:
    levels, dequantised = digits_rows()
    X, X_val, X_test = dequantised[:1200], dequantised[1200:1450], dequantised[1450:]
    mean, scale = X.mean(0), X.std(0)
    factors = FactorAnalysis(24, random_state=0).fit((X - mean) / scale)
    factor_score = factors.score((X_test - mean) / scale) - np.log(scale).sum()
    mixture, name = mixture_score(X, X_val, X_test)
    rows = [
        {
            "model": "LedoitWolf",
            "noise": "frozen",
            "test_nats": gaussian_score(X, X_test, standardise=True),
        },
        {"model": "FactorAnalysis(24)", "noise": "frozen", "test_nats": factor_score},
        {"model": name, "noise": "frozen", "test_nats": mixture},
    ]
    from_gaussian = {"start": "whiten", "base": "normal"}
    models = {
        "FunnelFlow()": FunnelFlow(),
        "FunnelFlow(8)": FunnelFlow(8),
        "FlowifiedMLP()": FlowifiedMLP(),
        "NormalizingFlow()": NormalizingFlow(),
        "FlowifiedMLP((8, 8, 8)), from the Gaussian": FlowifiedMLP((8, 8, 8), **from_gaussian),
        "FunnelFlow(8), from the Gaussian": FunnelFlow(8, **from_gaussian),
    }
    for noise, part in (("frozen", dequantised), ("fresh", levels)):
        for name, model in models.items():
            model, seconds = fitted(model, part[:1200], part[1200:1450])
            rows.append(
                reported(
                    {
                        "model": name,
                        "noise": noise,
                        "test_nats": model.score(X_test),
                        "start": model.start_score_,
                        "latent": model.n_components_,
                        "epochs": model.n_iter_,
                        "seconds": seconds,
                    }
                )
            )
    return rows


# --------------------------------------------------------------------------------- mnist


def mnist(args) -> list[dict]:
    file = np.load(Path(args.data) / "image/mnist.npz")
    images = file["X_train"].reshape(-1, 784).astype(float)
    X, X_val = images[: args.images], images[50_000:51_000]
    X_test = file["X_test"].reshape(-1, 784).astype(float)[:2_000]
    rng = np.random.default_rng(0)
    noisy = [part + rng.uniform(-0.5, 0.5, size=part.shape) for part in (X, X_test)]
    flat = -gaussian_score(*noisy, standardise=False) / (784 * np.log(2))
    rows = [reported({"model": "LedoitWolf, flat", "bits_per_dimension": flat})]
    shape = {"image_shape": (1, 28, 28)}
    dense = (512, 256, 128, 64, 32, 8)
    models = {
        "flowified_mlp": FlowifiedMLP(dense, n_channels=(), **shape),
        "flowified_convolutions": FlowifiedMLP((128, 32), **shape),
        "flowified_overlapping": FlowifiedMLP(
            (128, 32), kernel_size=3, augment="gaussian", n_importance_samples=8, **shape
        ),
        "funnel": FunnelFlow(49, decoder="spline", **shape),
    }
    chosen = args.models or list(models)
    for name in chosen:
        model = models[name].set_params(max_iter=args.epochs, n_iter_no_change=args.epochs)
        model, seconds = fitted(model, X, X_val)
        rows.append(
            reported(
                {
                    "model": name,
                    "bits_per_dimension": bits_per_dimension(model, X_test),
                    "start": -model.start_score_ / (784 * np.log(2)),
                    "latent": model.n_components_,
                    "exact": model.exact_,
                    "bound_gap_bits": model.bound_gap_ / (784 * np.log(2)),
                    "epochs": model.n_iter_,
                    "seconds": seconds,
                }
            )
        )
        save_pictures(model, X_test, args.out.with_name(f"mnist_{name}.png"))
    return rows


def save_pictures(model, X_test, path: Path) -> None:
    """Two rows of samples; one of test images, one of reconstructions, one of drawn ones."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    n = 12
    latent = model.transform(X_test[:n])
    rows = [
        *model.sample(2 * n, random_state=0).reshape(2, n, 784),
        X_test[:n],
        model.inverse_transform(latent),
        model.inverse_transform(latent, mode="sample", random_state=0),
    ]
    grid = np.stack(rows).reshape(len(rows), n, 28, 28).transpose(0, 2, 1, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    plt.imsave(path, grid.reshape(len(rows) * 28, n * 28).clip(0, 255), cmap="gray_r", dpi=100)


TASKS = {f.__name__: f for f in (toys, digits, mnist)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="+", choices=list(TASKS))
    parser.add_argument("--data", help="folder that holds image/mnist.npz")
    parser.add_argument("--images", type=int, default=20_000, help="MNIST images to train on")
    parser.add_argument("--epochs", type=int, default=20, help="on MNIST")
    parser.add_argument("--models", nargs="*", help="of mnist; all by default")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/reduction.csv")
    args = parser.parse_args()
    for task in args.tasks:
        rows = TASKS[task](args)
        text = write_rows(rows, args.out.with_name(f"{args.out.stem}_{task}.csv"))
        print(text, flush=True)


if __name__ == "__main__":
    main()
