"""How the peers see a table: discrete columns, and numeric ones with holes.

There is a discrete column per column of the table. A missing cell is one more level in it, so a
joint distribution of the discrete columns holds that of the missing patterns. A lattice column with
few values is discrete; otherwise the values that hold more than 5 % each are levels, the others
"rest": the rest's number is a numeric cell, seen only there, on the lattice with the cells of those
values cut out, so that the two parts stay normalised.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import log_ndtr

from benchmarks.support.mixed.tables import Measure

ATOM_SHARE, HALF = 0.05, 0.5


@dataclass
class Coded:
    """Rows as the peers see them; `numbers` are NaN where missing, an atom, or discrete."""

    codes: np.ndarray  # (n, columns)
    numbers: np.ndarray  # (n, d)
    constant: np.ndarray  # (n,), log-likelihood that no peer models

    def __getitem__(self, rows) -> "Coded":
        return Coded(self.codes[rows], self.numbers[rows], self.constant[rows])

    def __len__(self) -> int:
        return len(self.codes)


class Coding:
    def __init__(self, frame, measures: dict[str, Measure], few: int):
        self.columns = {
            name: ColumnCoding(frame[name], measure, few) for name, measure in measures.items()
        }
        self.sizes = [column.size for column in self.columns.values()]
        self.numeric = [name for name, column in self.columns.items() if column.has_numbers]
        self.widths = np.array([measures[name].step for name in self.numeric])

    def __call__(self, frame: pd.DataFrame) -> Coded:
        codes = np.empty((len(frame), len(self.columns)), dtype=int)
        numbers, constant = [], np.zeros(len(frame))
        for j, (name, column) in enumerate(self.columns.items()):
            codes[:, j], number, offset = column(frame[name])
            constant += offset
            if column.has_numbers:
                numbers.append(number)
        return Coded(codes, np.reshape(numbers, (len(numbers), len(frame))).T, constant)


class ColumnCoding:
    """One column: levels, then "other", then missing."""

    def __init__(self, column: pd.Series, measure: Measure, few: int):
        self.measure = measure
        self.has_numbers, self.levels = False, np.array([])
        if measure.kind == "categorical":
            self.size = len(measure.values) + 1
            return
        values, counts = np.unique(self._cells(column.dropna()), return_counts=True)
        lattice = measure.kind == "lattice"
        atoms = counts > ATOM_SHARE * counts.sum()
        many = lattice and len(values) > few and not atoms.all()
        self.has_numbers = measure.kind == "continuous" or many
        self.levels = values[atoms & lattice] if self.has_numbers else values
        self.size = len(self.levels) + 2
        if lattice and not self.has_numbers:  # where values outside the training rows may lie
            self.around = np.average(values, weights=counts), 2 * np.ptp(values) / 4 + 1

    def _cells(self, column) -> np.ndarray:
        x = np.asarray(column, dtype=float)
        if self.measure.kind != "lattice":
            return x
        return np.round((x - self.measure.origin) / self.measure.step)

    def __call__(self, column: pd.Series) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Codes, numbers, and the log-likelihood that is settled by the coding itself."""
        offset = np.zeros(len(column))
        if self.measure.kind == "categorical":
            codes = column.cat.codes.to_numpy().astype(int)
            return np.where(codes < 0, self.size - 1, codes), offset, offset
        cells = self._cells(column)
        missing = np.isnan(cells)
        at = np.searchsorted(self.levels, cells)
        known = np.isin(cells, self.levels)
        codes = np.where(known, at, self.size - 2)
        codes[missing] = self.size - 1
        rest = ~known & ~missing
        numbers = np.where(rest, cells, np.nan)
        if self.measure.kind == "lattice":
            offset = np.where(missing, 0.0, -np.log(self.measure.step))
            numbers = (numbers - at) * self.measure.step  # the cells of the atoms cut out
            if not self.has_numbers:
                edges = [(cells[rest] + e - self.around[0]) / self.around[1] for e in (-0.5, 0.5)]
                offset[rest] += log_interval(*edges)
        return codes, numbers, offset


def log_interval(low, high) -> np.ndarray:
    """log(Phi(high) - Phi(low)), accurate in both tails."""
    flip = low + high > 0
    low, high = np.where(flip, -high, low), np.where(flip, -low, high)
    top = log_ndtr(high)
    return top + np.log(-np.expm1(np.minimum(log_ndtr(low) - top, -1e-15)))
