"""The tables the density benchmark runs on, split and with their lattice noise added.

A rounded column lets a density gain without limit on repeated values, so uniform noise of one
lattice step is added once, the same for every method.
"""

from functools import cache
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits

TABULAR = (
    "concrete",
    "gvhd_flow_cytometry",
    "california",
    "power36k",
    "galaxy_pz",
    "house16h",
    "protein",
)
BUNDLED = {"digits": load_digits, "breast_cancer": load_breast_cancer}

Parts = tuple[np.ndarray, np.ndarray, np.ndarray]


@cache
def load_table(name: str, data: str | Path | None = None, rows: int = 10_000) -> Parts:
    """X_train, X_val, X_test; those that scikit-learn does not bundle are read from `data`."""
    if name in BUNDLED:
        X = BUNDLED[name]().data
        return _parts(X, np.array([lattice_step(x) for x in X.T]), None, rows)
    file = np.load(Path(data) / "tabular" / f"{name}.npz", allow_pickle=False)
    return _parts(*_complete(file["X"], file["step"], file["split"]), rows)


def lattice_step(column: np.ndarray, share: float = 0.9) -> float:
    """10**-k for the fewest decimals k that write out at least `share` of the values.

    Not all of them: a few values of breast_cancer carry seven decimals in a column of four or
    five, and a step that fine would leave its repeated zeros as spikes.
    """
    for decimals in range(16):
        if np.mean(np.round(column, decimals) == column) >= share:
            return 10.0**-decimals
    return 0.0


def _complete(X, step, split):
    """Drop columns with fewer than 95 % finite cells, then rows with a missing cell."""
    columns = np.isfinite(X).mean(axis=0) >= 0.95
    rows = np.isfinite(X[:, columns]).all(axis=1)
    return X[rows][:, columns], step[columns], split[rows]


def _parts(X, step, split, rows) -> Parts:
    """Add the noise, then draw training, validation and test rows in this order."""
    rng = np.random.default_rng(0)
    X = X + rng.uniform(size=X.shape) * step
    if split is None:  # 64 / 16 / 20 %
        split = np.searchsorted([0.64, 0.80], rng.permutation(len(X)) / len(X), side="right")
    return tuple(
        X[rng.permutation(np.flatnonzero(split == part))[:limit]]
        for part, limit in enumerate((rows, 2_500, 2_500))
    )
