"""Images by SurVAE layers: bits per dimension with slices and max-pools, uniform and learned noise.

    PYTHONPATH=. python benchmarks/survae_images.py digits
    PYTHONPATH=. python benchmarks/survae_images.py --data DIR digits mnist

Every number is of quantised images, -log2 P(x) / d: "elbo" by one draw of the dequantisation noise,
"iw" by the importance-weighted average of several, a tighter bound. Beside them the shrunk Gaussian
as a density of evenly spread levels, by the same two bounds.

* digits: 1,200 / 250 / 347 images of 17 levels, the split of `reduction.py`; "elbo_nats" is in the
  units of its table.
* mnist: 256 levels; as many images and epochs as asked for, validated on 500, tested on 500.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from reduction import digits_rows, reported
from report import write_rows
from sklearn.covariance import LedoitWolf

from skflow.data.fit_data import FitData
from skflow.data.rows import Rows
from skflow.estimators.survae_image_layers import image_flow, image_plan, initialize_image_flow
from skflow.flow import Flow
from skflow.training.fit import Fitted, fit_flow
from skflow.training.settings import Settings
from skflow.transforms.noise import fresh_noise

N_DRAWS = {"digits": 64, "mnist": 16}
VARIANTS = [
    (pooling, dequantization)
    for pooling in ("slice", "max")
    for dequantization in ("uniform", "variational")
]


def gaussian_row(name: str, X, X_test) -> dict:
    """Both bounds under the Gaussian with Ledoit and Wolf's covariance, for steps of one.

    Standardised first or not, as in `reduction.py`: MNIST's border pixels hardly vary.
    """
    rng = np.random.default_rng(0)
    d = X.shape[1]
    spread = X + rng.uniform(-0.5, 0.5, size=X.shape)
    mean, scale = spread.mean(0), spread.std(0) if name == "digits" else np.ones(d)
    model = LedoitWolf().fit((spread - mean) / scale)
    log_det = np.linalg.slogdet(model.precision_)[1]
    constant = 0.5 * log_det - d / 2 * np.log(2 * np.pi) - np.log(scale).sum()
    draws = []
    for _ in range(N_DRAWS[name]):
        rows = X_test + rng.uniform(-0.5, 0.5, size=X_test.shape)
        draws.append(constant - 0.5 * model.mahalanobis((rows - mean) / scale))
    weighted = np.logaddexp.reduce(draws) - np.log(len(draws))
    return {"data": name, "model": "LedoitWolf", **bounds(np.mean(draws), weighted.mean(), d)}


def bounds(elbo: float, weighted: float, d: int) -> dict:
    nats_per_bit = d * np.log(2)
    return {"elbo_bits": float(-elbo / nats_per_bit), "iw_bits": float(-weighted / nats_per_bit)}


@torch.no_grad()
def mean_log_prob(flow: Flow, x: torch.Tensor, n_draws: int) -> float:
    noise = fresh_noise(torch.Generator().manual_seed(1))
    chunks = x.split(250)
    scores = [flow.log_prob(part, n_importance_samples=n_draws, noise=noise) for part in chunks]
    return float(torch.cat(scores).mean())


def fitted_rows(
    name: str, parts, shape, n_levels: int, n_hidden_channels: int, settings: Settings
) -> list[dict]:
    """All variants; ``parts`` are levels in steps of one, to train, to validate and to test."""
    X, X_val, X_test = (torch.as_tensor(part, dtype=torch.float64) for part in parts)
    d = X.shape[1]
    rows = [reported(gaussian_row(name, parts[0], parts[2]))]
    for pooling, dequantization in VARIANTS:
        start = time.perf_counter()
        plan = image_plan(
            shape,
            step=1.0,
            lowest=0.0,
            n_levels=n_levels,
            n_rows=len(X),
            pooling=pooling,
            dequantization=dequantization,
            n_hidden_channels=n_hidden_channels,
        )
        flow = image_flow(plan, torch.Generator().manual_seed(0))
        initialize_image_flow(flow, X, None, torch.Generator().manual_seed(0))
        at_start = mean_log_prob(flow.eval(), X_test, 1)
        fitted = fit_flow(Fitted(flow, FitData.plain(Rows(X), Rows(X_val))), settings, seed=0)
        flow, outcome = fitted.flow, fitted.outcome
        seconds = time.perf_counter() - start
        elbo = mean_log_prob(flow.eval(), X_test, 1)
        weighted = mean_log_prob(flow, X_test, N_DRAWS[name])
        rows.append(
            reported(
                {
                    "data": name,
                    "model": f"{pooling}, {dequantization}",
                    **bounds(elbo, weighted, d),
                    "start_bits": float(-at_start / (d * np.log(2))),
                    "elbo_nats": float(elbo) + float(d * np.log(n_levels)),
                    "epochs": len(outcome.history),
                    "seconds": seconds,
                }
            )
        )
    return rows


def digits(args) -> list[dict]:
    levels = np.rint(digits_rows()[0] * 17 - 0.5)
    parts = levels[:1200], levels[1200:1450], levels[1450:]
    settings = Settings(args.digits_epochs, 128, 3e-3, 1e-4, 10, 1e-4, None)
    return fitted_rows("digits", parts, (1, 8, 8), 17, args.hidden_channels, settings)


def mnist(args) -> list[dict]:
    file = np.load(Path(args.data) / "image/mnist.npz")
    images = file["X_train"].reshape(-1, 784).astype(float)
    X_test = file["X_test"].reshape(-1, 784).astype(float)[:500]
    parts = images[: args.images], images[50_000:50_500], X_test
    settings = Settings(args.epochs, 64, 3e-3, 1e-4, args.epochs, 1e-4, None)
    return fitted_rows("mnist", parts, (1, 28, 28), 256, args.hidden_channels, settings)


TASKS = {f.__name__: f for f in (digits, mnist)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="+", choices=list(TASKS))
    parser.add_argument("--data", help="folder that holds image/mnist.npz")
    parser.add_argument("--digits-epochs", type=int, default=40)
    parser.add_argument("--images", type=int, default=2_000, help="MNIST images to train on")
    parser.add_argument("--epochs", type=int, default=8, help="on MNIST")
    parser.add_argument("--hidden-channels", type=int, default=32, help="the plan's default is 64")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results/survae_images.csv"
    )
    args = parser.parse_args()
    rows = [row for task in args.tasks for row in TASKS[task](args)]
    print(write_rows(rows, args.out), flush=True)


if __name__ == "__main__":
    main()
