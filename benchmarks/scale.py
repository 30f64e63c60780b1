"""Many rows: scores from Parquet and memory maps, and a fit, with the memory that they take.

Everything is measured in fresh processes, whose most resident memory is given, libraries included.
"score" has rows of 8 columns, in ten files or in one memory map, of which what lies in the system's
cache counts as resident too. Each alternates with the same rows in memory; the ratio of the rates
is the median of the repeats. "fit" has bent clusters in 20 columns; the Gaussian mixture has as
many components, of 1, 2, 4, ... 32, as the validation rows want, which the flow gets too. "to_gmm"
are the seconds after which the flow's validation score is that of the mixture.
"""

import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

import joblib
import numpy as np

from benchmarks.support.fitting import Clock, fitted, seconds_to
from benchmarks.support.pieces import Outcome, Piece
from benchmarks.support.processes import in_fresh_process
from skflow import NormalizingFlow

SCORED, FITTED = 8, 20  # columns
FILES, FITTED_ROWS = 10, 10_000  # of what is scored; that the scoring flow has seen
JUDGED = 50_000
N_CLUSTERS = 12


def add_options(parser) -> None:
    parser.add_argument("--rows", type=int, default=10_000_000, help="to score")
    parser.add_argument("--fit-rows", type=int, default=1_000_000)
    parser.add_argument("--max-time", type=float, help="seconds of training, at most")
    parser.add_argument("--repeats", type=int, default=3, help="of scoring")


def pieces(options):
    for source in ("Parquet", "memory map"):
        yield Piece("score", source, partial(score, source, options.rows, options.repeats))
    yield Piece("fit", "mixture and flow", partial(fit, options.fit_rows, options.max_time))


def made_up(n: int, d: int, seed: int) -> np.ndarray:
    """Clusters, bent; the same ones whatever the seed of the rows."""
    fixed, rng = np.random.default_rng(0), np.random.default_rng(seed)
    centres = 2 * fixed.normal(size=(N_CLUSTERS, d))
    turn = np.linalg.qr(fixed.normal(size=(d, d)))[0]
    X = centres[rng.integers(N_CLUSTERS, size=n)] + rng.normal(size=(n, d))
    X[:, 1::2] += 0.3 * X[:, ::2][:, : d // 2] ** 2
    return X @ turn


# --------------------------------------------------------------------------------- scores


def score(source: str, n: int, repeats: int) -> Outcome:
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        in_fresh_process(prepare, folder, n)
        other = partial(in_fresh_process, score_all, folder)
        pairs = [(other(source), other("memory")) for _ in range(repeats)]
    ours, memory = (
        {metric: np.median([one[metric] for one in runs]) for metric in runs[0]}
        for runs in zip(*pairs, strict=True)
    )
    ratios = [a["rows_per_second"] / b["rows_per_second"] for a, b in pairs]
    metrics = {"rows": n, **ours, "ratio": np.median(ratios)}
    return Outcome(
        clock.seconds(), metrics | {f"memory_{metric}": value for metric, value in memory.items()}
    )


def prepare(folder: str, n: int) -> dict:
    """Write the rows, a tenth of them at a time, and the flow that scores them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = [f"x{i}" for i in range(SCORED)]
    (Path(folder) / "Parquet").mkdir()
    flow = fitted(NormalizingFlow(random_state=0), made_up(FITTED_ROWS, SCORED, seed=0))[0]
    joblib.dump(flow, Path(folder) / "flow.joblib")
    mapped = np.lib.format.open_memmap(_map(folder), "w+", np.float64, (n, SCORED))
    for i, part in enumerate(np.array_split(np.arange(n), FILES)):
        X = mapped[part[0] : part[-1] + 1] = made_up(len(part), SCORED, seed=1 + i)
        pq.write_table(pa.table(list(X.T), names), Path(folder) / "Parquet" / f"{i}.parquet")
    return {}


def score_all(folder: str, source: str) -> dict:
    flow = joblib.load(Path(folder) / "flow.joblib")
    rows = {
        "Parquet": lambda: Path(folder) / "Parquet",
        "memory map": lambda: np.load(_map(folder), mmap_mode="r"),
        "memory": lambda: np.load(_map(folder)),
    }[source]()
    start = time.perf_counter()
    scores = flow.score_samples(rows)
    return {"rows_per_second": len(scores) / (time.perf_counter() - start)}


def _map(folder: str) -> Path:
    return Path(folder) / "rows.npy"


# ------------------------------------------------------------------------------------ fits


def fit(n: int, max_time: float | None) -> Outcome:
    clock = Clock()
    gmm = in_fresh_process(fit_gmm, n)
    flow = in_fresh_process(fit_flow, n, max_time, gmm.pop("validation"))
    return Outcome(
        clock.seconds(),
        {"rows": n, **flow, **{f"gmm_{metric}": value for metric, value in gmm.items()}},
    )


def parts(n: int) -> list[np.ndarray]:
    """To fit, to validate, to test."""
    return [made_up(size, FITTED, seed) for seed, size in enumerate((n, JUDGED, JUDGED))]


def fit_gmm(n: int) -> dict:
    from benchmarks.support.peers import mixture, scaled

    X, X_val, X_test = parts(n)
    clock = Clock()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log_density, note = scaled(mixture)(X, X_val, np.inf)
    seconds = clock.seconds()
    validation, test = log_density(X_val).mean(), log_density(X_test).mean()
    return {"seconds": seconds, "nats": test, "note": note, "validation": validation}


def fit_flow(n: int, max_time: float | None, to_reach: float) -> dict:
    X, X_val, X_test = parts(n)
    flow, seconds = fitted(NormalizingFlow(random_state=0, max_time=max_time), X, X_val)
    to_gmm = seconds_to(to_reach, flow, seconds)
    after = {} if to_gmm is None else {"to_gmm": to_gmm}
    return {"fit_seconds": seconds, "epochs": flow.n_iter_, "nats": flow.score(X_test), **after}
