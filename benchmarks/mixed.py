"""Mixed tables with missing cells: SurVAEFlow beside classical densities and imputers.

* ``nats``: per test row, in the one measure of support/mixed/tables.py; "nats minus METHOD" the
  mean of the paired differences.
* ``auroc_percent``: detection, real test rows against the same rows with every column permuted by
  itself; area under the ROC curve of the likelihood. To the marginals both have the same mean by
  construction.
* imputation: 20 % of the observed cells of each test row hidden, at least one. ``nrmse``: root mean
  square error in training standard deviations, mean over the numeric columns; ``error_rate``: mean
  over the categorical ones; ``total``: mean over all columns, each one's nrmse or error rate
  counting the same. "No worse" means: "total minus METHOD" for the best peer is at most its
  bootstrap standard error, over test rows.
"""

from functools import partial

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from benchmarks.support.fitting import Clock
from benchmarks.support.internals import lattice_steps
from benchmarks.support.mixed.imputers import IMPUTERS, errors, hide, standard_deviations, summary
from benchmarks.support.mixed.peers import PEERS
from benchmarks.support.mixed.tables import MIXED, Table, load_mixed
from benchmarks.support.pieces import Outcome, Piece, mean_and_error
from skflow import SurVAEFlow

OURS = ("ours",)
N_BOOTSTRAP = 200


def add_options(parser) -> None:
    parser.add_argument("--rows", type=int, help="training rows at most")


def pieces(options):
    for name in MIXED if options.data is not None else ():
        yield Piece(name, "ours", partial(ours, name, options))
        for method in PEERS:
            yield Piece(name, method, partial(density, name, method, options))
        for method in IMPUTERS:
            yield Piece(name, method, partial(imputer, name, method, options))


def ours(name: str, options) -> Outcome:
    table = load_mixed(name, options.data, options.rows)
    clock = Clock()
    model = SurVAEFlow(random_state=0).fit(table.train, X_val=table.val)
    seconds = clock.seconds()
    scored, rows = likelihood(table, in_the_measure(model, table))
    clock = Clock()
    filled, cells = imputation(
        table, lambda frame: model.impute(frame, strategy="mean", random_state=0)
    )
    metrics = {**scored, **filled, "impute_seconds": clock.seconds()}
    return Outcome(seconds, {**metrics, "note": f"{model.n_iter_} epochs"}, {**rows, **cells})


def density(name: str, method: str, options) -> Outcome:
    table = load_mixed(name, options.data, options.rows)
    clock = Clock()
    score, note = PEERS[method](table)
    seconds = clock.seconds()
    metrics, rows = likelihood(table, score)
    return Outcome(seconds, {**metrics, "note": note}, rows)


def imputer(name: str, method: str, options) -> Outcome:
    table = load_mixed(name, options.data, options.rows)
    clock = Clock()
    impute, note = IMPUTERS[method](table)
    metrics, cells = imputation(table, impute)
    return Outcome(clock.seconds(), {**metrics, **({"note": note} if note else {})}, cells)


def in_the_measure(model: SurVAEFlow, table: Table):
    """Scores of the flow, a density on lattices, where the measure takes a lattice for levels."""
    found = zip(table.measures.items(), lattice_steps(model), strict=True)
    steps = {name: step for (name, measure), step in found if measure.kind == "levels" and step}

    def score(frame):
        to_masses = sum(frame[name].notna() * np.log(step) for name, step in steps.items())
        return model.score_samples(frame) + np.asarray(to_masses, float)

    return score


def likelihood(table: Table, score) -> tuple[dict, dict]:
    """Of the test rows, and how they are told from permuted ones; the scores."""
    real, fake = (np.asarray(score(part), float) for part in (table.test, permuted(table.test)))
    bad = np.count_nonzero(~np.isfinite(real))
    if real.shape != (len(table.test),) or bad:
        raise FloatingPointError(f"scores of shape {real.shape}, {bad} not finite")
    both, is_real = np.concatenate([real, fake]), np.repeat([1, 0], len(fake))
    metrics = {
        "nats": mean_and_error(real),
        "worst_row": real.min(),
        "auroc_percent": 100 * roc_auc_score(is_real, np.nan_to_num(both)),
        "nats_real_minus_permuted": real.mean() - fake.mean(),
    }
    return metrics, {"nats": real}


def permuted(frame: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Every column in an order of its own: the marginals stay, what joins them is lost."""
    rng = np.random.default_rng(seed)
    columns = {c: frame[c].iloc[rng.permutation(len(frame))].reset_index(drop=True) for c in frame}
    return pd.DataFrame(columns)


def imputation(table: Table, impute) -> tuple[dict, dict]:
    """Errors of hidden test cells; the loss of each of them, as arrays."""
    hidden, mask = hide(table.test)
    full = impute(hidden)
    cells = errors(table.test, full, mask, table.measures, standard_deviations(table))
    arrays = {f"cell_{name}": cells[name].to_numpy() for name in ("numeric", "row", "loss")}
    return summary(cells), {**arrays, "cell_column": cells["column"].to_numpy(str)}


def compare(ours: dict, other: dict) -> dict:
    """Paired over the rows; of imputations by bootstrap."""
    metrics = {}
    if "nats" in other:
        metrics["nats"] = mean_and_error(ours["nats"] - other["nats"])
    if "cell_loss" in other:
        cells = [_cells(rows) for rows in (ours, other)]
        rng, n = np.random.default_rng(0), int(ours["cell_row"].max()) + 1
        gaps = []
        for _ in range(N_BOOTSTRAP):
            weights = np.bincount(rng.integers(0, n, n), minlength=n)
            mine, theirs = (summary(part, weights)["total"] for part in cells)
            gaps.append(mine - theirs)
        mine, theirs = (summary(part)["total"] for part in cells)
        metrics["total"] = mine - theirs, float(np.std(gaps))
    return metrics


def _cells(rows: dict) -> pd.DataFrame:
    return pd.DataFrame(
        {name: rows[f"cell_{name}"] for name in ("column", "numeric", "row", "loss")}
    )
