"""Held-out likelihood of skflow beside its peers, all methods on the same rows.

``nats`` is the mean log-density of the test rows with its standard error, ``nats minus METHOD`` the
mean of the paired differences. The tables bundled with scikit-learn need no ``--data``.
"""

import importlib
from functools import cache, partial

import numpy as np

from benchmarks.support.fitting import Clock
from benchmarks.support.peers import PEERS
from benchmarks.support.pieces import Outcome, Piece, mean_and_error
from benchmarks.support.tables import BUNDLED, TABULAR, load_table


def as_it_comes(estimator: str):
    """Fit an estimator as a user meets it: all parameters at their defaults, no time cap."""

    def fit(X_train, X_val, max_seconds):
        import skflow

        model = getattr(skflow, estimator)(random_state=0).fit(X_train, X_val=X_val)
        return model.score_samples, f"{model.n_iter_} epochs, best {model.best_iter_}"

    return fit


OWN = {
    "skflow": as_it_comes("NormalizingFlow"),
    "skflow-self": as_it_comes("SelfNormalizingFlow"),
    "skflow-funnel": as_it_comes("FunnelFlow"),
    "skflow-mlp": as_it_comes("FlowifiedMLP"),
    "skflow-multiscale": as_it_comes("MultiscaleFlow"),
}
OURS = tuple(OWN)
METHODS = OWN | PEERS


def add_options(parser) -> None:
    parser.add_argument("--rows", type=int, default=10_000, help="training rows at most")
    parser.add_argument("--max-seconds", type=float, default=150, help="cap for each flow peer")


def pieces(options):
    tables = [*(TABULAR if options.data is not None else ()), *BUNDLED]
    for table in tables:
        for method in METHODS:
            yield Piece(table, method, partial(outcome, table, method, options))


def outcome(table: str, method: str, options) -> Outcome:
    X_train, X_val, X_test = load_table(table, options.data, options.rows)
    warm_up()
    clock = Clock()
    score, note = METHODS[method](X_train, X_val, options.max_seconds)
    seconds, cpu_seconds = clock.seconds(), clock.cpu_seconds()
    log_density = checked(score(X_test), len(X_test))
    metrics = {
        "nats": mean_and_error(log_density),
        "cpu_seconds": cpu_seconds,
        "n_train": len(X_train),
        "max_rows": options.rows,
        "n_features": X_train.shape[1],
        "note": note,
    }
    return Outcome(seconds, metrics, {"log_density": log_density})


def checked(log_density, n: int) -> np.ndarray:
    log_density = np.asarray(log_density, dtype=float)
    bad = np.count_nonzero(~np.isfinite(log_density))
    if log_density.shape != (n,) or bad:
        raise FloatingPointError(f"scores of shape {log_density.shape}, {bad} of {n} not finite")
    return log_density


@cache
def warm_up() -> None:
    """Import and run what is imported at first use, so that no method pays for it by the clock."""
    importlib.import_module("skflow.estimators")
    X = np.random.default_rng(0).normal(size=(64, 3))
    for method in ("gmm", "zuko-maf"):
        METHODS[method](X, X, 0.1)


def compare(ours: dict, other: dict) -> dict:
    return {"nats": mean_and_error(ours["log_density"] - other["log_density"])}
