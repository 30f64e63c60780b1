"""A table coded and put on maps, as the joint densities see it."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from benchmarks.support.mixed.coding import Coded, Coding
from benchmarks.support.mixed.marginals import Marginal, Power, Standard, TableToNormal, ToNormal
from benchmarks.support.mixed.tables import Table

FEW = (30, 130)  # a lattice column with so few values is discrete
TRANSFORMS = ("standard", "power", "marginal", "table")
MAPS = {"standard": Standard, "power": Power, "marginal": ToNormal}
DRAWS = 16


class Numbers:
    """The numeric columns on their maps; a lattice value stands for its cell."""

    def __init__(self, coded: Coded, widths: np.ndarray, transform: str, marginals):
        rng = np.random.default_rng(0)
        self.widths = widths
        x = coded.numbers + widths * rng.uniform(-0.5, 0.5, size=coded.numbers.shape)
        self.maps = []
        for column, width, marginal in zip(x.T, widths, marginals, strict=True):
            if transform == "table":
                self.maps.append(TableToNormal(marginal) if width else marginal.smooth)
            else:
                self.maps.append(MAPS[transform](column[np.isfinite(column)]))

    def at(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values on the maps, NaN where x is; the summed log-derivatives of each row."""
        z, log_jacobian = np.full_like(x, np.nan), np.zeros(len(x))
        for j, column_map in enumerate(self.maps):
            seen = np.isfinite(x[:, j])
            if seen.any():
                z[seen, j], inner = column_map(x[seen, j])
                log_jacobian[seen] += inner
        return z, log_jacobian

    def jittered(self, coded: Coded, rng) -> tuple[np.ndarray, np.ndarray]:
        noise = rng.uniform(-0.5, 0.5, size=coded.numbers.shape)
        return self.at(coded.numbers + self.widths * noise)

    def average(self, coded: Coded, log_density, draws: int) -> np.ndarray:
        """log of the mean, over the cell of each row, of exp(log_density(z)) in units of x."""
        rng = np.random.default_rng(1)
        draws = draws if len(self.widths) and self.widths.any() else 1
        terms = []
        for _ in range(draws):
            z, log_jacobian = self.jittered(coded, rng)
            terms.append(log_density(z) + log_jacobian)
        return logsumexp(terms, axis=0) - np.log(draws)


@dataclass
class View:
    """A table coded and put on maps, for one choice of the two options."""

    table: Table
    few: int
    transform: str
    marginals: dict[str, Marginal]
    rows: int | None = None

    def __post_init__(self):
        t = self.table
        train = t.train if self.rows is None else t.train.head(self.rows)
        self.coding = Coding(t.train, t.measures, self.few)
        self.train, self.val = self.coding(train), self.coding(t.val)
        marginals = [self.marginals[name] for name in self.coding.numeric]
        self.numbers = Numbers(self.train, self.coding.widths, self.transform, marginals)
        rng = np.random.default_rng(2)
        self.z = self.numbers.jittered(self.train, rng)[0]
        self.val_z = self.numbers.jittered(self.val, rng)[0]

    def __str__(self):
        return f"few={self.few} {self.transform}"


def coded_steps(view: View, coded: Coded) -> np.ndarray:
    """The coding's constants, less the steps that a numeric cell has in its density already."""
    return coded.constant + (np.isfinite(coded.numbers) * _log(view.numbers.widths)).sum(1)


def _log(widths: np.ndarray) -> np.ndarray:
    return np.log(np.where(widths > 0, widths, 1.0))
