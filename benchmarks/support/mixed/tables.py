"""The mixed tables as raw frames, and the measure in which their likelihoods are compared.

A mass and a density cannot be compared with one another, so `measure` decides once what a cell of
a column contributes, for every method:

* categorical: the log-probability of the category;
* lattice: the log-probability of the cell [x - step/2, x + step/2] less log(step), that is, the
  log-density of the value spread evenly over its step;
* levels: few numbers that do not fill a lattice: the log-probability of the value;
* continuous: the log-density;
* a missing cell: nothing by itself; a row adds the log-probability of its pattern of missing cells.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

MIXED = ("adult", "abalone", "nyc_weather")
FEW_LEVELS, SPARSE = 50, 0.1


@dataclass(frozen=True)
class Measure:
    """`kind` as above; `step` and `origin` of a lattice; `values` of the levels or categories."""

    kind: str
    step: float = 0.0
    origin: float = 0.0
    values: tuple = ()

    def __str__(self) -> str:
        if self.kind == "lattice":
            return f"lattice {self.step:g}"
        return f"{self.kind} {len(self.values)}" if self.values else self.kind

    @property
    def is_numeric(self) -> bool:
        return self.kind != "categorical"


@dataclass(frozen=True)
class Table:
    name: str
    train: pd.DataFrame
    val: pd.DataFrame
    test: pd.DataFrame
    measures: dict[str, Measure]


def measure(column: pd.Series, step: float) -> Measure:
    """What the cells of a training column contribute; `step` as in the file, 0 = none known."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return Measure("categorical", values=tuple(column.cat.categories))
    values = np.unique(column.dropna().to_numpy(float))
    cells = 1 + (values[-1] - values[0]) / step if step > 0 else np.inf
    few = len(values) <= FEW_LEVELS
    # The levels of a step of 1 and its lattice agree, so integers stay on their lattice.
    if few and step != 1 and len(values) < SPARSE * cells:
        return Measure("levels", values=tuple(values))
    if step > 0:
        return Measure("lattice", step, values[0])
    return Measure("continuous")


@cache
def load_mixed(name: str, data: str | Path, rows: int | None = None) -> Table:
    """A table by its name; `rows` caps the training rows."""
    file = np.load(Path(data) / "mixed" / f"{name}.npz", allow_pickle=False)
    categories = json.loads(str(file["categories"]))
    steps = [float(f"{step:.6g}") for step in file["step"]]  # the file holds float32
    steps = dict(zip(file["columns"].tolist(), steps, strict=True))
    frame = pd.DataFrame(
        {
            column: _raw(values, steps[column], categories.get(column))
            for column, values in zip(steps, file["X"].T, strict=True)
        }
    )
    train, val, test = (frame[file["split"] == part].reset_index(drop=True) for part in (0, 1, 2))
    if rows is not None:
        train = train.sample(min(rows, len(train)), random_state=0).reset_index(drop=True)
    measures = {column: measure(train[column], step) for column, step in steps.items()}
    return Table(name, train, val, test, measures)


def _raw(values: np.ndarray, step: float, categories: list[str] | None) -> pd.Series:
    """As a user would hold it: categories by name, whole numbers as int64, 0.005 as 0.005."""
    missing = np.isnan(values)
    if categories is not None:
        codes = np.where(missing, -1, values).astype(int)
        return pd.Series(pd.Categorical.from_codes(codes, categories))
    decimals = _decimals(step) if step > 0 else 5
    values = np.round(values.astype(float), decimals)
    whole = not missing.any() and decimals == 0
    return pd.Series(values.astype(np.int64) if whole else values)


def _decimals(step: float) -> int:
    return next(k for k in range(12) if abs(round(step, k) - step) < 1e-9 * step)
