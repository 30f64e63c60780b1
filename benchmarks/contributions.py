"""Which column of a row was corrupted: the smallest deviation of its likelihood contributions.

In every one of 300 test rows one column, drawn at random, is replaced by noise: uniform over the
column's range in training ("uniform"), or the column's value in another row ("shuffled", which may
be as plausible as the true one). ``percent`` is the share of rows in which a method names that
column:

* flow: the smallest deviation by NormalizingFlow; "/ spread" divides deviations by their standard
  deviation over the typical rows; "noise known" subtracts the log-density of the noise instead of
  the typical contribution, the best guess there is under this flow;
* mixture: the smallest deviation by the mixture with the best held-out score;
* z-score: the column farthest from its mean.

``percent_flagged`` is the share among the rows that are odd at all: under the flow, less likely
than 99 % of the validation rows. ``flagged`` is how many those are, "seconds" those of explaining.
All methods judge by the same flow, so a table's flow is fitted once in a process.
"""

import warnings
from functools import cache, partial

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from benchmarks.support.fitting import Clock, fitted
from benchmarks.support.pieces import Outcome, Piece
from benchmarks.support.tables import load_table
from skflow import NormalizingFlow
from skflow.inspection import likelihood_contributions

TABLES = ("california", "power36k", "galaxy_pz", "protein")
NOISES = ("uniform", "shuffled")
METHODS = ("flow", "flow / spread", "flow, noise known", "mixture", "z-score")
COMPONENTS = (1, 2, 4, 8, 16, 32)


def add_options(parser) -> None:
    parser.add_argument("--rows", type=int, default=300, help="test rows")
    parser.add_argument("--train-rows", type=int, default=10_000, help="training rows at most")
    parser.add_argument("--max-time", type=float, default=60, help="seconds of training")


def pieces(options):
    for table in TABLES if options.data is not None else ():
        for noise in NOISES:
            for method in METHODS:
                run = partial(outcome, table, noise, method, options)
                yield Piece(f"{table}/{noise}", method, run)


def outcome(table: str, noise: str, method: str, options) -> Outcome:
    arguments = table, options.data, options.train_rows, options.max_time
    named, columns, flagged, seconds = guesses(*arguments, noise, options.rows)
    right = named[method] == columns
    metrics = {"percent": 100 * right.mean(), "d": parts(*arguments[:3])[0].shape[1]}
    if method in ("flow", "mixture"):
        metrics |= {"percent_flagged": 100 * right[flagged].mean(), "flagged": flagged.sum()}
    return Outcome(seconds if method == "flow" else None, metrics)


@cache
def guesses(table, data, train_rows, max_time, noise: str, rows: int):
    """The column that each method names in every row, the true one, and which rows are odd."""
    X, _, X_test = parts(table, data, train_rows)
    flow, mixture, typical, spread, threshold = fits(table, data, train_rows, max_time)
    X_odd, columns = corrupted(X_test[:rows], X, noise, np.random.default_rng(0))
    clock = Clock()
    found = likelihood_contributions(flow, X_odd, reference=typical)
    seconds = clock.seconds()
    named = {
        "flow": found.deviations.argmin(1),
        "flow / spread": (found.deviations / spread).argmin(1),
        "flow, noise known": (found.values - noise_density(X_odd, X, noise)).argmin(1),
        "mixture": likelihood_contributions(mixture, X_odd).deviations.argmin(1),
        "z-score": np.abs(X_odd).argmax(1),
    }
    return named, columns, found.scores < threshold, seconds


def parts(table: str, data, train_rows: int) -> list[np.ndarray]:
    """Standardised."""
    rows = load_table(table, data, train_rows)
    mean, scale = rows[0].mean(0), rows[0].std(0)
    return [(part - mean) / scale for part in rows]


@cache
def fits(table: str, data, train_rows: int, max_time: float):
    X, X_val, _ = parts(table, data, train_rows)
    flow, _ = fitted(NormalizingFlow(random_state=0, max_time=max_time), X, X_val)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture = best_mixture(X, X_val)
    typical = flow.sample(300, random_state=0)
    spread = likelihood_contributions(flow, typical, reference=typical).values.std(0)
    threshold = np.quantile(flow.score_samples(X_val), 0.01)
    return flow, mixture, typical, spread, threshold


def corrupted(X, X_train, noise: str, rng) -> tuple[np.ndarray, np.ndarray]:
    """Rows with one column replaced, and which."""
    columns = rng.integers(X.shape[1], size=len(X))
    if noise == "uniform":
        values = rng.uniform(X_train.min(0)[columns], X_train.max(0)[columns])
    else:
        values = X_train[rng.integers(len(X_train), size=len(X)), columns]
    X = X.copy()
    X[np.arange(len(X)), columns] = values
    return X, columns


def noise_density(X, X_train, noise: str) -> np.ndarray:
    """Log-density of the noise at every cell."""
    if noise == "uniform":
        return np.broadcast_to(-np.log(np.ptp(X_train, axis=0)), X.shape)
    columns = zip(X_train.T[:, :, None], X.T[:, :, None], strict=True)
    kernels = KernelDensity(bandwidth=0.05)
    return np.stack([kernels.fit(train).score_samples(x) for train, x in columns], axis=1)


def best_mixture(X, X_val) -> GaussianMixture:
    """Full covariances; the number of components by held-out likelihood."""
    models = [GaussianMixture(k, reg_covar=1e-4, random_state=0).fit(X) for k in COMPONENTS]
    return max(models, key=lambda model: model.score(X_val))
