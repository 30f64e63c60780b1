"""Images by SurVAE layers: bits per dimension with slices and max-pools, uniform and learned noise.

Every number is of quantised images, -log2 P(x) / d: "elbo" by one draw of the dequantisation noise,
"iw" by the importance-weighted average of several, a tighter bound. Beside them the shrunk Gaussian
as a density of evenly spread levels, by the same two bounds.

* digits: 1,200 / 250 / 347 images of 17 levels, the split of `reduction.py`; "elbo_nats" is in the
  units of its table.
* mnist: 256 levels; as many images and epochs as asked for, validated on 500, tested on 500.
"""

from functools import partial

import numpy as np
import torch

from benchmarks.support.digits import dequantised_digits
from benchmarks.support.fitting import Clock
from benchmarks.support.images import SHAPE, mnist
from benchmarks.support.internals import (
    ImagePlan,
    Settings,
    fresh_noise,
    initialize_image_flow,
    trained_flow,
)
from benchmarks.support.peers import gaussian_log_density
from benchmarks.support.pieces import Outcome, Piece
from skflow.flow import Flow

N_DRAWS = {"digits": 64, "mnist": 16}
N_LEVELS = {"digits": 17, "mnist": 256}
SHAPES = {"digits": (1, 8, 8), "mnist": SHAPE}


def add_options(parser) -> None:
    parser.add_argument("--digits-epochs", type=int, default=40)
    parser.add_argument("--images", type=int, default=2_000, help="MNIST images to train on")
    parser.add_argument("--epochs", type=int, default=8, help="on MNIST")
    parser.add_argument("--hidden-channels", type=int, default=32, help="the plan's default is 64")


def pieces(options):
    for name in ("digits", *(("mnist",) if options.data is not None else ())):
        yield Piece(name, "LedoitWolf", partial(gaussian, name, options))
        for pooling in ("slice", "max"):
            for noise in ("uniform", "variational"):
                run = partial(outcome, name, pooling, noise, options)
                yield Piece(name, f"{pooling}, {noise}", run)


def parts_of(name: str, options) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Levels in steps of one, to train, to validate and to test."""
    if name == "digits":
        levels = np.rint(dequantised_digits()[0] * 17 - 0.5)
        return levels[:1200], levels[1200:1450], levels[1450:]
    images, test = mnist(options.data)
    return images[: options.images], images[50_000:50_500], test[:500]


def settings_of(name: str, options) -> Settings:
    if name == "digits":
        return Settings(options.digits_epochs, 128, 3e-3, 1e-4, 10, 1e-4, None)
    return Settings(options.epochs, 64, 3e-3, 1e-4, options.epochs, 1e-4, None)


def gaussian(name: str, options) -> Outcome:
    """Both bounds under the Gaussian with Ledoit and Wolf's covariance, for steps of one.

    Standardised first or not, as in `reduction.py`: MNIST's border pixels hardly vary.
    """
    X, _, X_test = parts_of(name, options)
    clock, rng = Clock(), np.random.default_rng(0)
    spread = X + rng.uniform(-0.5, 0.5, size=X.shape)
    log_density = gaussian_log_density(spread, standardise=name == "digits")
    draws = [
        log_density(X_test + rng.uniform(-0.5, 0.5, size=X_test.shape))
        for _ in range(N_DRAWS[name])
    ]
    weighted = np.logaddexp.reduce(draws) - np.log(len(draws))
    return Outcome(clock.seconds(), bounds(np.mean(draws), weighted.mean(), X.shape[1]))


def bounds(elbo: float, weighted: float, d: int) -> dict:
    nats_per_bit = d * np.log(2)
    return {"elbo_bits": float(-elbo / nats_per_bit), "iw_bits": float(-weighted / nats_per_bit)}


@torch.no_grad()
def mean_log_prob(flow: Flow, x: torch.Tensor, n_draws: int) -> float:
    noise = fresh_noise(torch.Generator().manual_seed(1))
    chunks = x.split(250)
    scores = [flow.log_prob(part, n_importance_samples=n_draws, noise=noise) for part in chunks]
    return float(torch.cat(scores).mean())


def outcome(name: str, pooling: str, noise: str, options) -> Outcome:
    parts = parts_of(name, options)
    X, X_val, X_test = (torch.as_tensor(part, dtype=torch.float64) for part in parts)
    d, n_levels, clock = X.shape[1], N_LEVELS[name], Clock()
    plan = ImagePlan(
        SHAPES[name],
        step=1.0,
        lowest=0.0,
        n_levels=n_levels,
        pooling=pooling,
        dequantization=noise,
        n_hidden_channels=options.hidden_channels,
    ).for_rows(len(X))
    flow = plan.flow(torch.Generator().manual_seed(0))
    initialize_image_flow(flow, X, None, torch.Generator().manual_seed(0))
    at_start = mean_log_prob(flow.eval(), X_test, 1)
    flow, n_epochs = trained_flow(flow, X, X_val, settings_of(name, options))
    seconds = clock.seconds()
    elbo = mean_log_prob(flow.eval(), X_test, 1)
    weighted = mean_log_prob(flow, X_test, N_DRAWS[name])
    metrics = {
        **bounds(elbo, weighted, d),
        "start_bits": -at_start / (d * np.log(2)),
        "elbo_nats": elbo + d * np.log(n_levels),
        "epochs": n_epochs,
    }
    return Outcome(seconds, metrics)
