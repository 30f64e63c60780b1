"""Which column of a row was corrupted: the smallest deviation of its likelihood contributions.

    PYTHONPATH=. python benchmarks/contributions.py --data DIR [--tables power36k protein ...]

In every one of 300 test rows one column, drawn at random, is replaced by noise: uniform over the
column's range in training ("uniform"), or the column's value in another row ("shuffled", which may
be as plausible as the true one). The figures are the shares of rows in which a method names that
column:

* flow: the smallest deviation by NormalizingFlow; "/ spread" divides deviations by their standard
  deviation over the typical rows; "noise known" subtracts the log-density of the noise instead of
  the typical contribution, the best guess there is under this flow;
* mixture: the smallest deviation by the mixture with the best held-out score;
* z-score: the column farthest from its mean.

", flagged" is the share among the rows that are odd at all: under the flow, less likely than 99 %
of the validation rows. "flagged" is how many those are.
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
from report import write_rows
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from tables import load_tables

from skflow import NormalizingFlow
from skflow.inspection import likelihood_contributions

TABLES = ["power36k", "protein", "california", "galaxy_pz"]
COMPONENTS = (1, 2, 4, 8, 16, 32)


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


def compare(name: str, parts, args) -> list[dict]:
    mean, scale = parts[0].mean(0), parts[0].std(0)
    X, X_val, X_test = ((part - mean) / scale for part in parts)
    flow = NormalizingFlow(random_state=0, max_time=args.max_time)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", DataConversionWarning)
        flow.fit(X, X_val=X_val)
        mixture = best_mixture(X, X_val)
    typical = flow.sample(300, random_state=0)
    spread = likelihood_contributions(flow, typical, reference=typical).values.std(0)
    threshold = np.quantile(flow.score_samples(X_val), 0.01)
    rows = []
    for noise in ("uniform", "shuffled"):
        rng = np.random.default_rng(0)
        X_odd, columns = corrupted(X_test[: args.rows], X, noise, rng)
        start = time.perf_counter()
        found = likelihood_contributions(flow, X_odd, reference=typical)
        seconds = time.perf_counter() - start
        density = noise_density(X_odd, X, noise)
        named = {
            "flow": found.deviations.argmin(1),
            "flow / spread": (found.deviations / spread).argmin(1),
            "flow, noise known": (found.values - density).argmin(1),
            "mixture": likelihood_contributions(mixture, X_odd).deviations.argmin(1),
            "z-score": np.abs(X_odd).argmax(1),
        }
        right = {who: guess == columns for who, guess in named.items()}
        flagged = found.scores < threshold
        for who in ("flow", "mixture"):
            right[f"{who}, flagged"] = right[who][flagged]
        shares = {who: 100 * float(hits.mean()) for who, hits in right.items()}
        row = {"table": name, "d": X.shape[1], "noise": noise, **shares}
        rows.append({**row, "flagged": int(flagged.sum()), "seconds": seconds})
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder that holds tabular/*.npz")
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument("--rows", type=int, default=300, help="test rows")
    parser.add_argument("--max-time", type=float, default=60, help="seconds of training")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results/contributions.csv"
    )
    args = parser.parse_args()
    tables = load_tables(args.data, only=args.tables)
    rows = [row for name, parts in tables for row in compare(name, parts, args)]
    print(write_rows(rows, args.out))


if __name__ == "__main__":
    main()
