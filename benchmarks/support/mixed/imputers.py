"""Hidden cells of mixed tables and the imputers of scikit-learn, for benchmarks/mixed.py.

An imputer is a function ``fit(table) -> (impute, note)``; ``impute(frame)`` completes a frame.
"""

import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer

from benchmarks.support.mixed.tables import Measure, Table

Impute = Callable[[pd.DataFrame], pd.DataFrame]

ROWS = 5_000  # training rows at most, to stay feasible
VALIDATION_ROWS, NEIGHBOURS = 1_000, (5, 15, 40)


def hide(frame: pd.DataFrame, share: float = 0.2, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Hide, completely at random, `share` of each row's observed cells, at least one; the mask."""
    observed = frame.notna().to_numpy()
    order = np.where(observed, np.random.default_rng(seed).random(observed.shape), np.inf)
    rank = order.argsort(axis=1).argsort(axis=1)
    n_hidden = np.maximum(1, np.round(share * observed.sum(1)))
    mask = observed & (rank < n_hidden[:, None])
    return frame.mask(mask), mask


def errors(
    truth: pd.DataFrame, full, mask: np.ndarray, measures: dict[str, Measure], scales
) -> pd.DataFrame:
    """Per hidden cell of each column: row, loss. Squares for numbers, 0/1 for categories."""
    parts = []
    for j, (name, measure) in enumerate(measures.items()):
        rows = np.flatnonzero(mask[:, j])
        true = truth[name].iloc[rows]
        if measure.is_numeric:
            guess = full[name].iloc[rows].to_numpy(float)
            loss = ((guess - true.to_numpy(float)) / scales[name]) ** 2
        else:
            guess = full[name].iloc[rows].astype(object).to_numpy()
            loss = (guess != true.astype(object).to_numpy()).astype(float)
        if np.isnan(loss).any():
            raise ValueError(f"hidden cells of {name} were left empty")
        part = {"column": name, "numeric": measure.is_numeric, "row": rows, "loss": loss}
        parts.append(pd.DataFrame(part))
    return pd.concat(parts)


def summary(cells: pd.DataFrame, weights: np.ndarray | None = None) -> dict[str, float]:
    """Mean over columns of nRMSE (numeric), of error rates (categorical), and over all columns.

    `weights`: how often each row counts, for the bootstrap.
    """
    w = np.ones(len(cells)) if weights is None else weights[cells["row"]].astype(float)
    sums = pd.DataFrame({"loss": w * cells["loss"], "w": w}).groupby(
        [cells["numeric"], cells["column"]]
    )
    mean = sums["loss"].sum() / sums["w"].sum()
    error = {numeric: mean[numeric] for numeric in mean.index.levels[0]}
    if True in error:
        error[True] = np.sqrt(error[True])
    parts = {"nrmse": error.get(True), "error_rate": error.get(False)}
    out = {key: float(part.mean()) for key, part in parts.items() if part is not None}
    return out | {"total": float(pd.concat(list(error.values())).mean())}


def standard_deviations(table: Table) -> dict[str, float]:
    return {c: float(table.train[c].std()) for c, m in table.measures.items() if m.is_numeric}


# -------------------------------------------------------------------------------- coding


class OneHot:
    """Numbers standardised, categories one-hot and back by the greatest; missing cells are NaN."""

    def __init__(self, table: Table):
        self.measures, train = table.measures, table.train
        self.centre = {c: (train[c].mean(), train[c].std()) for c in standard_deviations(table)}

    def __call__(self, frame: pd.DataFrame) -> np.ndarray:
        parts = []
        for name, measure in self.measures.items():
            if measure.is_numeric:
                mean, scale = self.centre[name]
                parts.append(((frame[name].to_numpy(float) - mean) / scale)[:, None])
            else:
                codes = frame[name].cat.codes.to_numpy()
                hot = np.eye(len(measure.values))[codes] / np.sqrt(2)  # a mismatch is 1 away
                hot[codes < 0] = np.nan
                parts.append(hot)
        return np.hstack(parts)

    def back(self, coded: np.ndarray, frame: pd.DataFrame) -> pd.DataFrame:
        """`frame` with its missing cells from `coded`."""
        columns, start = {}, 0
        for name, measure in self.measures.items():
            missing = frame[name].isna()
            if measure.is_numeric:
                mean, scale = self.centre[name]
                filled = pd.Series(coded[:, start] * scale + mean, index=frame.index)
                columns[name] = frame[name].astype(float).where(~missing, filled)
                start += 1
            else:
                stop = start + len(measure.values)
                codes = coded[:, start:stop].argmax(axis=1)
                filled = pd.Series(pd.Categorical.from_codes(codes, measure.values), frame.index)
                columns[name] = frame[name].where(~missing, filled)
                start = stop
        return pd.DataFrame(columns)


def through_one_hot(table: Table, imputer, train: pd.DataFrame) -> Impute:
    coding = OneHot(table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        imputer.set_params(keep_empty_features=True).fit(coding(train))
    return lambda frame: coding.back(imputer.transform(coding(frame)), frame)


# ------------------------------------------------------------------------------- imputers


def iterative(table: Table) -> tuple[Impute, str]:
    """BayesianRidge in rounds, as by default; on at most 5,000 training rows.

    Two things that hold it back are put right where validation prefers that. Fitted on complete
    rows it stops after one round: it is also fitted on rows with cells hidden as in the test. And
    the one-hot columns of a category give one another away in training and are all missing when it
    is: `Blockwise` does not predict them from one another.
    """
    rows = table.train.sample(min(ROWS, len(table.train)), random_state=0)
    candidates = {}
    for kind, frame in (("as they are", rows), ("with cells hidden", hide(rows, seed=2)[0])):
        for blocks in (None, one_hot_blocks(table)):
            imputer = IterativeImputer(random_state=0) if blocks is None else Blockwise(blocks)
            impute = through_one_hot(table, imputer, frame)
            note = f"{len(rows)} rows {kind}, {imputer.n_iter_} rounds"
            candidates[note + ("" if blocks is None else ", blockwise")] = impute
    return best_by_validation(table, candidates)


class Blockwise(IterativeImputer):
    """Predicts a column from those of other blocks only."""

    def __init__(self, blocks=None, *, random_state=0, keep_empty_features=True):
        super().__init__(random_state=random_state, keep_empty_features=keep_empty_features)
        self.blocks = blocks

    def _get_neighbor_feat_idx(self, n_features, feat_idx, abs_corr_mat):
        return np.flatnonzero(self.blocks != self.blocks[feat_idx])


def one_hot_blocks(table: Table) -> np.ndarray:
    sizes = [1 if m.is_numeric else len(m.values) for m in table.measures.values()]
    return np.repeat(np.arange(len(sizes)), sizes)


def neighbours(table: Table) -> tuple[Impute, str]:
    """Nearest neighbours, their number by validation; on at most 5,000 training rows."""
    rows = table.train.sample(min(ROWS, len(table.train)), random_state=0)
    candidates = {
        f"{len(rows)} rows, {k} neighbours": through_one_hot(table, KNNImputer(n_neighbors=k), rows)
        for k in NEIGHBOURS
    }
    return best_by_validation(table, candidates)


def best_by_validation(table: Table, candidates: dict[str, Impute]) -> tuple[Impute, str]:
    val, scales = table.val.head(VALIDATION_ROWS), standard_deviations(table)
    hidden, mask = hide(val, seed=1)

    def total(note):
        full = candidates[note](hidden)
        return summary(errors(val, full, mask, table.measures, scales))["total"]

    note = min(candidates, key=total)
    return candidates[note], note


def simple(table: Table) -> tuple[Impute, str]:
    """The mean (the median where validation prefers it) of a number, the mode of a category."""
    fill = {}
    for name, measure in table.measures.items():
        train, val = table.train[name], table.val[name]
        if measure.is_numeric:
            guesses = (train.mean(), train.median())
            fill[name] = min(guesses, key=lambda guess: float(((val - guess) ** 2).mean()))
        else:
            fill[name] = train.mode()[0]

    def impute(frame):
        numbers = {c: float for c, m in table.measures.items() if m.is_numeric}
        return frame.astype(numbers).fillna(fill)

    return impute, ""


IMPUTERS = {"iterative": iterative, "neighbours": neighbours, "simple": simple}
