"""A fit beside a busy process: the libraries' default threads against one thread.

Each fit is a process of its own, as threads are chosen when libraries are loaded; beside it another
process computes all the time. The two ways alternate in pairs and the median of the pairs' ratios
is reported: above 1 the default is slower. The search of the start and the training, in which torch
has its own threads, are told apart.
"""

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.support.fitting import Clock, fitted
from benchmarks.support.pieces import Outcome, Piece

N, D = 10_000, 9
VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
ROOT = Path(__file__).parents[1]


def add_options(parser) -> None:
    parser.add_argument("--repeats", type=int, default=3, help="pairs")
    parser.add_argument("--epochs", type=int, default=5, help="of each fit")


def pieces(options):
    run = partial(pairs, options.repeats, options.epochs)
    yield Piece(f"fit {N} x {D}, {options.epochs} epochs", "default threads / one thread", run)


def pairs(repeats: int, epochs: int) -> Outcome:
    clock, measured = Clock(), []
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        for repeat in range(repeats):
            ways = (None, 1) if repeat % 2 == 0 else (1, None)
            times = {way: fit_in_process(way, epochs) for way in ways}
            measured.append([times[None], times[1]])
    finally:
        busy.kill()
        busy.wait()
    seconds = np.array(measured)  # (pairs, default | one, start | training)
    (start, training), (one_start, one_training) = np.median(seconds, axis=0)
    ratios = seconds[:, 0] / seconds[:, 1]
    return Outcome(
        clock.seconds(),
        {
            "ratio": np.median(seconds[:, 0].sum(1) / seconds[:, 1].sum(1)),
            "start_ratio": np.median(ratios[:, 0]),
            "training_ratio": np.median(ratios[:, 1]),
            "start_seconds": start,
            "training_seconds": training,
            "one_thread_start_seconds": one_start,
            "one_thread_training_seconds": one_training,
        },
    )


def fit_in_process(n_threads: int | None, epochs: int) -> tuple[float, float]:
    """Seconds of the start and of the training, with so many threads or the libraries' default."""
    environment = {key: value for key, value in os.environ.items() if key not in VARIABLES}
    if n_threads is not None:
        environment |= dict.fromkeys(VARIABLES, str(n_threads))
    code = f"from benchmarks.busy import timed_fit; timed_fit({epochs})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        check=True,
    )
    start, training = json.loads(done.stdout)
    return start, training


def timed_fit(epochs: int) -> None:
    """Print the seconds of the start and of the training of a default flow."""
    from skflow import NormalizingFlow

    model, seconds = fitted(NormalizingFlow(max_iter=epochs, random_state=0), generated())
    training = model.history_["seconds"][-1]
    print(json.dumps([seconds - training, training]))


def generated() -> np.ndarray:
    """Clusters of correlated, skewed columns."""
    rng = np.random.default_rng(0)
    centres = 3 * rng.normal(size=(6, D))
    Z = centres[rng.integers(6, size=N)] + rng.normal(size=(N, D)) @ rng.normal(size=(D, D))
    return np.sinh(Z / 4)
