"""FlowSearchCV beside GridSearchCV: eight candidates of one shape on five folds, on two processes.

The candidates differ in step and weight decay. Each search runs in a process of its own, workers
started and libraries imported on its time, and fits the best candidate to all rows. "ratio" is
GridSearchCV's seconds by those of the search, the median of the repeats; "test" is the best
candidate's mean log-density of new rows, in nats.
"""

from functools import partial

import numpy as np
from joblib.externals.loky import get_reusable_executor
from sklearn.model_selection import GridSearchCV

from benchmarks.support.fitting import Clock
from benchmarks.support.pieces import Outcome, Piece
from benchmarks.support.processes import in_fresh_process
from skflow import NormalizingFlow
from skflow.model_selection import FlowSearchCV

GRID = {"learning_rate_init": [3e-4, 1e-3, 2e-3, 4e-3], "weight_decay": [1e-4, 1e-2]}
WIDTH, N_CLUSTERS, N_TEST = 10, 6, 5_000
SEARCHES = {
    "GridSearchCV": GridSearchCV,
    "full": FlowSearchCV,
    "halving": partial(FlowSearchCV, strategy="halving"),
}


def add_options(parser) -> None:
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--repeats", type=int, default=1, help="pairs")


def pieces(options):
    for method in ("full", "halving"):
        run = partial(pairs, method, options.rows, options.repeats)
        yield Piece(f"{options.rows} x {WIDTH}", method, run)


def pairs(method: str, n: int, repeats: int) -> Outcome:
    clock = Clock()
    both = [
        [in_fresh_process(search, name, n) for name in (method, "GridSearchCV")]
        for _ in range(repeats)
    ]
    ours, theirs = (
        {metric: np.median([one[metric] for one in runs]) for metric in runs[0]}
        for runs in zip(*both, strict=True)
    )
    ratio = np.median([b["search_seconds"] / a["search_seconds"] for a, b in both])
    grid = {f"grid_{metric}": value for metric, value in theirs.items()}
    return Outcome(clock.seconds(), {"ratio": ratio, **ours, **grid})


def made_up(n: int, seed: int) -> np.ndarray:
    """Clusters, one column bent and one of changing width; the same whatever the seed."""
    centres = 2 * np.random.default_rng(0).normal(size=(N_CLUSTERS, WIDTH))
    rng = np.random.default_rng(seed)
    X = centres[rng.integers(N_CLUSTERS, size=n)] + rng.normal(size=(n, WIDTH))
    X[:, 0] += 0.5 * X[:, 1] ** 2
    X[:, 2] *= np.exp(0.4 * X[:, 3])
    return X


def search(name: str, n: int) -> dict:
    clock, X = Clock(), made_up(n, seed=1)
    searched = SEARCHES[name](NormalizingFlow(random_state=0), GRID, n_jobs=2).fit(X)
    seconds, test = clock.seconds(), searched.score(made_up(N_TEST, seed=2))
    get_reusable_executor().shutdown()  # else this process ends when idle workers do, minutes later
    return {"search_seconds": seconds, "best": searched.best_score_, "test": test}
