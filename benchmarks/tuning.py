"""How fits of other settings compare with the default, on validation parts alone.

A fifth of a table's training rows judges, the others are fitted, with the validation rows to stop
by; test rows are not read. Every setting is fitted in turn with the default: "gain" is the mean of
the paired differences of the judged rows' log-densities, in nats, "ratio" the default's seconds by
the setting's.
"""

from functools import partial

from benchmarks.density import warm_up
from benchmarks.support.fitting import Clock, fitted
from benchmarks.support.pieces import Outcome, Piece, mean_and_error
from benchmarks.support.tables import BUNDLED, TABULAR, load_table
from skflow import NormalizingFlow

STEP = 1e-3  # the default's
SETTINGS = {  # of so many rows to fit; by default there are twenty batches in them
    "half the batch": lambda n: {"batch_size": n // 40},
    "twice the batch": lambda n: {"batch_size": n // 10},
    "half the step": lambda n: {"learning_rate_init": STEP / 2},
    "twice the step": lambda n: {"learning_rate_init": 2 * STEP},
    "six layers": lambda n: {"n_layers": 6},
    "networks of (64, 64)": lambda n: {"hidden_layer_sizes": (64, 64)},
    "tol 0.01": lambda n: {"tol": 1e-2},
    "ten epochs of patience": lambda n: {"n_iter_no_change": 10},
    "strong decay of weights": lambda n: {"weight_decay": 1e-2},
}


def add_options(parser) -> None:
    parser.add_argument("--rows", type=int, default=10_000, help="training rows at most")


def pieces(options):
    tables = [*(TABULAR if options.data is not None else ()), *BUNDLED]
    for table in tables:
        for name in SETTINGS:
            yield Piece(table, name, partial(beside_default, table, name, options))


def beside_default(table: str, name: str, options) -> Outcome:
    X, X_val, _ = load_table(table, options.data, options.rows)
    judge, fit = X[: len(X) // 5], X[len(X) // 5 :]
    warm_up()
    clock = Clock()
    default, default_seconds = fitted(NormalizingFlow(random_state=0), fit, X_val)
    setting = SETTINGS[name](len(fit))
    other, seconds = fitted(NormalizingFlow(random_state=0, **setting), fit, X_val)
    gain = other.score_samples(judge) - default.score_samples(judge)
    metrics = {
        "gain": mean_and_error(gain),
        "ratio": default_seconds / seconds,
        "fit_seconds": seconds,
        "default_seconds": default_seconds,
        "epochs": other.n_iter_,
        "default_epochs": default.n_iter_,
    }
    return Outcome(clock.seconds(), metrics)
