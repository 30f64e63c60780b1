"""Seconds to a likelihood: default fits, a validated Gaussian mixture and zuko's spline flow.

"fit" is a default `NormalizingFlow`, choice of its start included; "gmm" a Gaussian mixture whose
components and regularisation are chosen on the same validation rows. "to_zuko" are the seconds in
which that fit has the validation score that zuko's flow ends with, "zuko_seconds" those in which
zuko's flow has it; "ratio" is how many times as long that is. "small/..." are the first rows of a
table: n are the training rows, the validation rows a quarter of that, as all tables' are at most.
"""

from functools import partial

import numpy as np
import torch

from benchmarks.density import warm_up
from benchmarks.support.fitting import Clock, fitted, seconds_to
from benchmarks.support.peers import CLASSICS, Affine, train_flow, zuko_nsf
from benchmarks.support.pieces import Outcome, Piece, mean_and_error
from benchmarks.support.tables import BUNDLED, TABULAR, load_table
from skflow import NormalizingFlow

SMALL = (200, 500, 2_000)
SMALL_TABLES = ("california", "power36k", "protein")


def add_options(parser) -> None:
    parser.add_argument("--rows", type=int, default=10_000, help="training rows at most")
    parser.add_argument("--max-seconds", type=float, default=150, help="cap for zuko's flow")


def pieces(options):
    tables = [*(TABULAR if options.data is not None else ()), *BUNDLED]
    for table in tables:
        parts = partial(load_table, table, options.data, options.rows)
        yield Piece(f"fit/{table}", "gmm", partial(beside_mixture, parts))
        yield Piece(f"reach/{table}", "zuko-nsf", partial(beside_zuko, parts, options.max_seconds))
    for table in SMALL_TABLES if options.data is not None else ():
        for n in SMALL:
            parts = partial(load_table, table, options.data, n)
            run = partial(beside_mixture, partial(first_rows, parts, n))
            yield Piece(f"small/{table}, n = {n}", "gmm", run)


def first_rows(parts, n: int):
    X, X_val, X_test = parts()
    return X[:n], X_val[: n // 4], X_test


def beside_mixture(parts) -> Outcome:
    X, X_val, X_test = parts()
    warm_up()
    clock = Clock()
    flow, fit_seconds = fitted(NormalizingFlow(random_state=0), X, X_val)
    gmm_clock = Clock()
    score, note = CLASSICS["gmm"](X, X_val, np.inf)
    gmm_seconds = gmm_clock.seconds()
    ours, theirs = flow.score_samples(X_test), score(X_test)
    to_gmm = seconds_to(score(X_val).mean(), flow, fit_seconds)
    metrics = {
        "fit_seconds": fit_seconds,
        "gmm_seconds": gmm_seconds,
        "by_gmm": fit_seconds / gmm_seconds,
        **({} if to_gmm is None else {"to_gmm": to_gmm}),
        "start_seconds": fit_seconds - (flow.history_["seconds"] or [0.0])[-1],
        "epochs": flow.n_iter_,
        "nats": mean_and_error(ours),
        "gmm_nats": mean_and_error(theirs),
        "n": len(X),
        "d": X.shape[1],
        "note": note,
    }
    return Outcome(clock.seconds(), metrics)


def beside_zuko(parts, max_seconds: float) -> Outcome:
    X, X_val, _ = parts()
    warm_up()
    clock = Clock()
    flow, fit_seconds = fitted(NormalizingFlow(random_state=0), X, X_val)
    space, bests = Affine(X), []
    zuko_clock = Clock()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        other, log_prob = zuko_nsf(X.shape[1])
        train, val = (torch.from_numpy(space(rows)).float() for rows in (X, X_val))
        note = train_flow(
            other, log_prob, train, val, max_seconds,
            lambda score: bests.append((score, zuko_clock.seconds())),
        )  # fmt: skip
    final, zuko_seconds = bests[-1]
    final += space.log_det
    reached = seconds_to(final, flow, fit_seconds)
    metrics = {
        "validation": flow.best_score_,
        "zuko_validation": final,
        "zuko_seconds": zuko_seconds,
        **({} if reached is None else {"to_zuko": reached, "ratio": zuko_seconds / reached}),
        "fit_seconds": fit_seconds,
        "note": note,
    }
    return Outcome(clock.seconds(), metrics)
