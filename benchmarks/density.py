"""Held-out likelihood of skflow beside its peers, all methods on all tables in one process.

    PYTHONPATH=. python benchmarks/density.py --data DIR --out benchmarks/results/density.csv

writes one row per table and method and, beside the CSV, a text file with the tables and the
verdicts. Without ``--data`` only the two tables bundled with scikit-learn are run.
"""

import argparse
import importlib
import os
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from peers import CLASSICS, PEERS
from report import simple_table
from tables import BUNDLED, TABULAR, load_tables

# The best figure of each table in reference/starting_points.md, at 10,000 training rows.
PAGE_ROWS = 10_000
PAGE = {
    "concrete": -26.44,
    "gvhd_flow_cytometry": -23.57,
    "california": -15.78,
    "power36k": -9.87,
    "galaxy_pz": 5.50,
    "house16h": 38.72,
    "protein": -47.03,
}


def as_it_comes(estimator: str):
    """Fit an estimator as a user meets it: all parameters at their defaults, no time cap."""

    def fit(X_train, X_val, max_seconds):
        import skflow

        model = getattr(skflow, estimator)(random_state=0).fit(X_train, X_val=X_val)
        return model.score_samples, f"{model.n_iter_} epochs, best {model.best_iter_}"

    return fit


OURS, SPLINE_PEER = "skflow", "zuko-nsf"
OWN = {
    OURS: as_it_comes("NormalizingFlow"),
    "skflow-self": as_it_comes("SelfNormalizingFlow"),
    "skflow-funnel": as_it_comes("FunnelFlow"),
    "skflow-mlp": as_it_comes("FlowifiedMLP"),
    "skflow-multiscale": as_it_comes("MultiscaleFlow"),
}
METHODS = OWN | PEERS


@dataclass
class Result:
    """One method on one table; `log_density` (n_test,) is None where it failed."""

    seconds: float
    cpu_seconds: float
    note: str
    log_density: np.ndarray | None

    @property
    def mean(self) -> float | None:
        return None if self.log_density is None else float(self.log_density.mean())


def run(method: str, X_train, X_val, X_test, max_seconds: float) -> Result:
    """Fit and score; the seconds are those of the fit, model selection included."""
    wall, cpu, log_density = time.perf_counter(), time.process_time(), None
    try:
        score, note = METHODS[method](X_train, X_val, max_seconds)
    except Exception as error:  # a failure is a result, to be reported with the others
        score, note = None, _failure(error)
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    if score is not None:
        try:
            log_density = _checked(score(X_test), len(X_test))
        except Exception as error:
            note = _failure(error)
    return Result(seconds, cpu_seconds, note, log_density)


def _checked(log_density, n: int) -> np.ndarray:
    log_density = np.asarray(log_density, dtype=float)
    bad = np.count_nonzero(~np.isfinite(log_density))
    if log_density.shape != (n,) or bad:
        raise FloatingPointError(f"scores of shape {log_density.shape}, {bad} of {n} not finite")
    return log_density


def _failure(error: Exception) -> str:
    traceback.print_exception(error)
    return f"FAILED {type(error).__name__}: {' '.join(str(error).split())[:150]}"


def warm_up(methods: list[str]) -> None:
    """Import and run what is imported at first use, so that no method pays for it by the clock."""
    if set(OWN) & set(methods):
        importlib.import_module("skflow.estimators")
    X = np.random.default_rng(0).normal(size=(64, 3))
    for method in ("gmm", "zuko-maf"):
        run(method, X, X, X, max_seconds=0.1)


def paired(ours: Result | None, other: Result | None) -> tuple[float | None, float | None]:
    """Mean over the test rows of ours - other, and its standard error."""
    if ours is None or other is None or ours.log_density is None or other.log_density is None:
        return None, None
    difference = ours.log_density - other.log_density
    return float(difference.mean()), standard_error(difference)


def standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def best_of(results: dict[str, Result], names) -> str | None:
    """The name with the highest test mean among `names` that ran and did not fail."""
    alive = [n for n in names if n in results and results[n].log_density is not None]
    return max(alive, key=lambda n: results[n].mean, default=None)


def records(table: str, parts, results: dict[str, Result]) -> list[dict]:
    """The CSV rows of one table."""
    n, d = parts[0].shape
    rows = []
    for method, result in results.items():
        gain, gain_se = paired(results.get(OURS), result)
        se = None if result.log_density is None else standard_error(result.log_density)
        rows.append(
            {
                "table": table,
                "n_train": n,
                "n_test": len(parts[2]),
                "n_features": d,
                "method": method,
                "test_nats": result.mean,
                "standard_error": se,
                "seconds": result.seconds,
                "cpu_seconds": result.cpu_seconds,
                "ours_minus": gain,
                "ours_minus_se": gain_se,
                "note": result.note,
            }
        )
    return rows


VERDICTS = (">= classic", "> zuko NSF", "faster", ">= page")


def verdict(table: str, method: str, results: dict[str, Result], rows: int) -> dict:
    """One of ours against the best classic, the spline peer, the best peer, the page's figure."""
    ours, spline = results.get(method), results.get(SPLINE_PEER)
    classic, peer = best_of(results, CLASSICS), best_of(results, PEERS)
    over_classic, se = paired(ours, results.get(classic))
    over_spline, _ = paired(ours, spline)
    over_page = None
    if rows == PAGE_ROWS and table in PAGE and ours is not None and ours.mean is not None:
        over_page = ours.mean - PAGE[table]
    return {
        "table": table,
        "best classic": classic,
        "ours - classic": over_classic,
        "se": se,
        VERDICTS[0]: None if se is None else over_classic >= -max(0.02, se),
        "ours - zuko NSF": over_spline,
        VERDICTS[1]: None if over_spline is None else over_spline > 0,
        VERDICTS[2]: None if over_spline is None else ours.seconds < spline.seconds,
        "times faster": None if over_spline is None else spline.seconds / ours.seconds,
        "best peer": peer,
        "ours - peer": paired(ours, results.get(peer))[0],
        "ours - page": over_page,
        VERDICTS[3]: None if over_page is None else over_page >= -0.1,
    }


def count(verdicts: list[dict], key: str) -> str:
    judged = [v[key] for v in verdicts if v[key] is not None]
    return f"{key}: {sum(judged)} of {len(judged)}"


def judged(verdicts: list[dict]) -> str:
    """The table of one of our estimators, and how often each verdict was a yes."""
    counts = [f"* {count(verdicts, key)}" for key in VERDICTS]
    speed = [v["times faster"] for v in verdicts if v["times faster"] is not None]
    if speed:
        counts.append(f"* times faster than zuko NSF: median {np.median(speed):.2f}")
    lines = [list(v.values()) for v in verdicts]
    return simple_table(list(verdicts[0]), lines) + "\n\n" + "\n".join(counts)


def write_report(
    out: Path, rows: list[dict], verdicts: dict[str, list[dict]], methods: list[str]
) -> str:
    """Write the CSV and the text beside it; give the text back."""
    frame = pd.DataFrame(rows)
    out.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(out, index=False, float_format="%.6g")
    tables = list(dict.fromkeys(frame["table"]))
    cells = {(r["table"], r["method"]): r for r in rows}

    def grid(value) -> str:
        lines = [[t, *(value(cells[t, m]) for m in methods)] for t in tables]
        return simple_table(["table", *methods], lines)

    def nats(row):
        mean, se = row["test_nats"], row["standard_error"]
        return "FAILED" if mean is None else f"{mean:.2f} ± {se:.2f}"

    notes = [[r["table"], r["method"], r["note"]] for r in rows]
    sections = {
        "Test log-density, nats per row (mean ± standard error)": grid(nats),
        "Seconds to fit, model selection included": grid(lambda r: f"{r['seconds']:.1f}"),
    }
    for method in OWN:
        if method in methods:
            sections[f"Verdicts on {method}"] = judged(verdicts[method])
    sections["Notes"] = simple_table(["table", "method", "note"], notes)
    text = "\n\n".join(f"{title}\n{'-' * len(title)}\n\n{body}" for title, body in sections.items())
    out.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")
    return text


def arguments() -> argparse.Namespace:
    def names(known):
        def parse(text):
            chosen = text.split(",")
            if unknown := set(chosen) - set(known):
                raise argparse.ArgumentTypeError(f"unknown {unknown}; choose from {list(known)}")
            return chosen

        return parse

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder that holds tabular/*.npz")
    parser.add_argument("--rows", type=int, default=PAGE_ROWS, help="training rows at most")
    parser.add_argument("--max-seconds", type=float, default=150, help="cap for each flow peer")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/density.csv")
    parser.add_argument("--only", type=names([*TABULAR, *BUNDLED]), help="tables, by commas")
    parser.add_argument("--methods", type=names(METHODS), default=list(METHODS), help="by commas")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    warm_up(args.methods)
    rows, verdicts = [], {method: [] for method in OWN}
    text = "no table to run: is --data missing?"
    for table, parts in load_tables(args.data, args.rows, args.only):
        results = {}
        for method in args.methods:
            result = results[method] = run(method, *parts, args.max_seconds)
            mean = "FAILED" if result.mean is None else f"{result.mean:9.3f}"
            load = os.getloadavg()[0]
            print(
                f"{table:20} {method:10} {mean} {result.seconds:7.1f} s  {result.note}"
                f"  (load {load:.1f})",
                flush=True,
            )
        rows += records(table, parts, results)
        for method in OWN:
            verdicts[method].append(verdict(table, method, results, args.rows))
        text = write_report(args.out, rows, verdicts, args.methods)
    print(f"\n{text}")


if __name__ == "__main__":
    main()
