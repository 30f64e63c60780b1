"""Mixed tables with missing cells: SurVAEFlow beside classical densities and imputers.

    PYTHONPATH=. python benchmarks/mixed.py --data DIR
    PYTHONPATH=. python benchmarks/mixed.py --data DIR --only abalone --methods mixture,conditional

* likelihood: nats per test row, in the one measure of mixed_tables.py; verdict against the best
  peer, in paired standard errors.
* detection: real test rows against the same rows with every column permuted by itself; area under
  the ROC curve of the likelihood. To the marginals both have the same mean by construction.
* imputation: 20 % of the observed cells of each test row hidden, at least one. `nrmse`: root mean
  square error in training standard deviations, mean over the numeric columns; `error_rate`: mean
  over the categorical ones; `total`: mean over all columns, each one's nrmse or error rate counting
  the same. "No worse" means: `total` at most the best peer's plus a bootstrap standard error, over
  test rows, of the difference.
"""

import argparse
import time
import traceback
from pathlib import Path

import numpy as np
import pandas as pd
from mixed_imputers import IMPUTERS, errors, hide, standard_deviations, summary
from mixed_peers import PEERS
from mixed_tables import MIXED, Table, load_mixed
from report import write_rows
from sklearn.metrics import roc_auc_score

from skflow import SurVAEFlow

OURS = "ours"
TASKS = ("likelihood", "detection", "imputation")
METHODS = (OURS, *PEERS, *IMPUTERS)


def fit_ours(table: Table) -> SurVAEFlow:
    model = SurVAEFlow(random_state=0).fit(table.train, X_val=table.val)
    print("kinds found:", model.column_kinds_)
    return model


def in_the_measure(model: SurVAEFlow, table: Table):
    """Scores of the flow, a density on lattices, where the measure takes a lattice for levels."""
    steps = {
        name: plan.step
        for (name, measure), plan in zip(
            table.measures.items(), model.flow_.fixed.plans, strict=True
        )
        if measure.kind == "levels" and plan.step
    }

    def score(frame):
        to_masses = sum(frame[name].notna() * np.log(step) for name, step in steps.items())
        return model.score_samples(frame) + np.asarray(to_masses, float)

    return score


class Fits:
    """Each density fitted once, whatever tasks ask for it."""

    def __init__(self, table: Table):
        self.table, self.done = table, {}

    def __call__(self, method: str):
        """(score, note, seconds of the fit, the model if ours)."""
        if method not in self.done:
            start = time.perf_counter()
            if method == OURS:
                model = fit_ours(self.table)
                score, note = in_the_measure(model, self.table), f"{model.n_iter_} epochs"
            else:
                model = None
                score, note = PEERS[method](self.table)
            self.done[method] = score, note, time.perf_counter() - start, model
        return self.done[method]


def standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def reported(row: dict) -> dict:
    short = {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}
    print(short, flush=True)
    return row


def failed(table: str, method: str, error: Exception) -> dict:
    traceback.print_exception(error)
    return reported({"table": table, "method": method, "note": f"FAILED {error!r}"[:150]})


# ---------------------------------------------------------------------------- likelihood


def likelihood(table: Table, fits: Fits, methods: list[str]) -> list[dict]:
    rows, scores = [], {}
    for method in (m for m in methods if m == OURS or m in PEERS):
        try:
            score, note, seconds, _ = fits(method)
            values = np.asarray(score(table.test), float)
            if values.shape != (len(table.test),) or not np.isfinite(values).all():
                raise FloatingPointError(f"{np.count_nonzero(~np.isfinite(values))} not finite")
        except Exception as error:  # a failure is a result, to be reported with the others
            rows.append(failed(table.name, method, error))
            continue
        scores[method] = values
        row = {
            "table": table.name,
            "method": method,
            "test_nats": float(values.mean()),
            "standard_error": standard_error(values),
            "worst_row": float(values.min()),
            "ours_minus": None,
            "ours_minus_se": None,
            "seconds": seconds,
            "note": note,
        }
        if OURS in scores and method != OURS:
            gain = scores[OURS] - values
            row |= {"ours_minus": float(gain.mean()), "ours_minus_se": standard_error(gain)}
        rows.append(reported(row))
    return rows


# ----------------------------------------------------------------------------- detection


def permuted(frame: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Every column in an order of its own: the marginals stay, what joins them is lost."""
    rng = np.random.default_rng(seed)
    columns = {c: frame[c].iloc[rng.permutation(len(frame))].reset_index(drop=True) for c in frame}
    return pd.DataFrame(columns)


def detection(table: Table, fits: Fits, methods: list[str]) -> list[dict]:
    rows, fake = [], permuted(table.test)
    real = np.repeat([1, 0], len(fake))
    for method in (m for m in methods if m == OURS or m in PEERS):
        try:
            score = fits(method)[0]
            values = np.concatenate([score(table.test), score(fake)])
            auroc = float(roc_auc_score(real, np.nan_to_num(values)))
        except Exception as error:
            rows.append(failed(table.name, method, error))
            continue
        gap = float(values[real == 1].mean() - values[real == 0].mean())
        row = {"table": table.name, "method": method, "auroc_percent": 100 * auroc}
        rows.append(reported(row | {"nats_real_minus_permuted": gap}))
    return rows


# ---------------------------------------------------------------------------- imputation


def imputation(table: Table, fits: Fits, methods: list[str], n_bootstrap: int = 200) -> list[dict]:
    hidden, mask = hide(table.test)
    scales, rows, cells = standard_deviations(table), [], {}
    for method in (m for m in methods if m == OURS or m in IMPUTERS):
        try:
            start = time.perf_counter()
            if method == OURS:
                _, note, _, model = fits(OURS)

                def impute(frame, model=model):
                    return model.impute(frame, strategy="mean", random_state=0)
            else:
                impute, note = IMPUTERS[method](table)
            full = impute(hidden)
            seconds = time.perf_counter() - start
            cells[method] = errors(table.test, full, mask, table.measures, scales)
        except Exception as error:
            rows.append(failed(table.name, method, error))
            continue
        row = {"table": table.name, "method": method} | summary(cells[method])
        rows.append(reported(row | {"seconds": seconds, "note": note}))
    if OURS in cells and len(cells) > 1:
        best = min((m for m in cells if m != OURS), key=lambda m: summary(cells[m])["total"])
        rng, n = np.random.default_rng(0), len(table.test)
        gaps = []
        for _ in range(n_bootstrap):
            weights = np.bincount(rng.integers(0, n, n), minlength=n)
            ours, peer = (summary(cells[m], weights)["total"] for m in (OURS, best))
            gaps.append(ours - peer)
        gap = summary(cells[OURS])["total"] - summary(cells[best])["total"]
        se = float(np.std(gaps))
        verdict = "no worse" if gap <= se else "WORSE"
        note = f"{verdict} in total than {best}: {gap:+.4f} ± {se:.4f}"
        rows.append(reported({"table": table.name, "method": "verdict", "note": note}))
    if cells:
        rows += per_column(table, cells)
    return rows


def per_column(table: Table, cells: dict[str, pd.DataFrame]) -> list[dict]:
    """Each column's nrmse or error rate, the methods side by side."""
    columns = {}
    for method, frame in cells.items():
        mean = frame.groupby(["column", "numeric"])["loss"].mean().reset_index()
        columns[method] = {
            c: loss**0.5 if numeric else loss
            for c, numeric, loss in mean.itertuples(index=False, name=None)
        }
    text = pd.DataFrame(columns).reindex(list(table.measures)).round(3).to_string()
    print(f"{table.name}, error by column\n{text}", flush=True)
    return []


# ---------------------------------------------------------------------------------- main


def arguments() -> argparse.Namespace:
    def names(known):
        def parse(text):
            chosen = text.split(",")
            if unknown := set(chosen) - set(known):
                raise argparse.ArgumentTypeError(f"unknown {unknown}; choose from {list(known)}")
            return chosen

        return parse

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder that holds mixed/*.npz")
    parser.add_argument("--only", type=names(MIXED), help="tables, by commas")
    parser.add_argument("--methods", type=names(METHODS), default=list(METHODS), help="by commas")
    parser.add_argument("--tasks", type=names(TASKS), default=list(TASKS), help="by commas")
    parser.add_argument("--rows", type=int, help="training rows at most")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/mixed.csv")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    rows: dict[str, list[dict]] = {task: [] for task in args.tasks}
    rows["measures"] = []
    for table in load_mixed(args.data, args.only, args.rows):
        sizes = [len(part) for part in (table.train, table.val, table.test)]
        print(f"{table.name}: {sizes} rows", flush=True)
        for column, measure in table.measures.items():
            missing = 100 * float(table.train[column].isna().mean())
            row = {"table": table.name, "column": column, "dtype": str(table.train[column].dtype)}
            rows["measures"].append(row | {"measure": str(measure), "missing_percent": missing})
        fits = Fits(table)
        for task in args.tasks:
            rows[task] += globals()[task](table, fits, args.methods)
    for task in ("measures", *args.tasks):
        out = args.out.with_name(f"{args.out.stem}_{task}.csv")
        if rows[task]:
            print(f"\n{task}\n{write_rows(rows[task], out)}", flush=True)


if __name__ == "__main__":
    main()
