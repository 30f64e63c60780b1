"""One column by itself, and all of them independent: the peer "marginals"."""

import numpy as np
import pandas as pd
from scipy.special import log_ndtr, logsumexp, ndtr, ndtri, ndtri_exp
from scipy.stats import norm, yeojohnson, yeojohnson_normmax
from sklearn.mixture import GaussianMixture

from benchmarks.support.mixed.coding import HALF, ColumnCoding, log_interval
from benchmarks.support.mixed.tables import Measure, Table

COMPONENTS = (1, 2, 4, 8, 16, 32)
DISCOUNTS = (0.05, 0.2, 0.5, 0.8, 1.0, 2.0, 5.0, 20.0, np.inf)

# --------------------------------------------------------------------- maps of one column


class Standard:
    """Increasing map z(x) with its log-derivative."""

    def __init__(self, x: np.ndarray):
        self.mean, self.scale = x.mean(), x.std() + 1e-12

    def __call__(self, x) -> tuple[np.ndarray, np.ndarray]:
        return (x - self.mean) / self.scale, np.full_like(x, -np.log(self.scale))


class Power:
    """Yeo-Johnson's, of the standardised column, standardised again."""

    def __init__(self, x: np.ndarray):
        self.before = Standard(x)
        z, _ = self.before(x)
        self.power = float(np.clip(yeojohnson_normmax(z), -3, 3))
        self.after = Standard(yeojohnson(z, self.power))

    def __call__(self, x):
        z, inner = self.before(x)
        y, outer = self.after(yeojohnson(z, self.power))
        return y, inner + outer + (self.power - 1) * np.sign(z) * np.log1p(np.abs(z))


class ToNormal:
    """The normal score of a mixture of Gaussians in one dimension: its CDF, then Phi's inverse."""

    def __init__(self, x: np.ndarray, components: int = 8):
        self.before = Power(x)
        z = self.before(x)[0][:, None]
        z = z[np.random.default_rng(0).permutation(len(z))[:10_000]]
        components = min(components, len(z))
        self.mixture = GaussianMixture(components, reg_covar=1e-4, random_state=0).fit(z)

    def log_density(self, x) -> np.ndarray:
        z, inner = self.before(x)
        return self.mixture.score_samples(z[:, None]) + inner

    def __call__(self, x):
        z, inner = self.before(x)
        m = self.mixture
        t = (z[:, None] - m.means_[:, 0]) / np.sqrt(m.covariances_[:, 0, 0])
        weights = np.log(m.weights_)
        below = np.minimum(logsumexp(weights + log_ndtr(t), axis=1), -1e-300)
        above = np.minimum(logsumexp(weights + log_ndtr(-t), axis=1), -1e-300)
        y = np.where(below < above, ndtri_exp(below), -ndtri_exp(above))
        return y, m.score_samples(z[:, None]) + inner - norm.logpdf(y)


# ---------------------------------------------------------------------------- marginals


class Marginal:
    """One column by itself, its missing cells left to others.

    Level frequencies with pseudo-counts of 1/2. On a lattice, what is not an atom has frequencies
    by absolute discounting: each value's count less a discount, the rest of the mass following a
    one-dimensional mixture; the discount (infinite: the mixture alone) and the mixture's components
    by validation.
    """

    def __init__(self, train: pd.Series, val: pd.Series, measure: Measure):
        self.coding = ColumnCoding(train, measure, few=0)
        codes, x, _ = self.coding(train)
        counts = np.bincount(codes, minlength=self.coding.size)[:-1] + HALF
        self.log_frequency = np.log(counts / counts.sum())
        self.note = ""
        if not self.coding.has_numbers:
            return
        x = x[np.isfinite(x)]
        self.step = measure.step
        jitter = np.random.default_rng(0).uniform(-0.5, 0.5, len(x)) * self.step
        self.total, discounts = len(x), (np.inf,)
        if self.step:
            self.values, self.counts = np.unique(self._cell(x), return_counts=True)
            discounts = DISCOUNTS
        y = self.coding(val)[1]
        y = y[np.isfinite(y)]
        fits = []
        for k in COMPONENTS[:-1]:
            self.smooth = ToNormal(x + jitter, k)
            fits.append((self._smooth(y).mean(), k, self.smooth))
        _, k, self.smooth = max(fits, key=lambda fit: fit[0])
        scores = {d: self._rest(y, d).mean() for d in discounts}
        self.discount = max(scores, key=scores.get)
        self.note = f"k={k} discount={self.discount:g}"

    def _cell(self, x):
        return np.round(x / self.step)

    def _smooth(self, x):
        """Log-density, or log-mass of the cell less log(step)."""
        if not self.step:
            return self.smooth.log_density(x)
        (low, _), (high, _) = (self.smooth(x + e * self.step) for e in (-0.5, 0.5))
        return log_interval(low, high) - np.log(self.step)

    def _rest(self, x, discount):
        if discount == np.inf:
            return self._smooth(x)
        kept = np.maximum(self.counts - discount, 0) / self.total
        at = np.minimum(np.searchsorted(self.values, self._cell(x)), len(kept) - 1)
        frequency = np.where(self.values[at] == self._cell(x), kept[at], 0.0)
        smooth = np.log1p(-kept.sum() + 1e-12) + self._smooth(x)
        with np.errstate(divide="ignore"):
            return np.logaddexp(np.log(frequency / self.step), smooth)

    def __call__(self, column: pd.Series) -> np.ndarray:
        codes, x, offset = self.coding(column)
        seen = codes < self.coding.size - 1
        out = np.zeros(len(column))
        out[seen] = self.log_frequency[codes[seen]]
        numbers = np.isfinite(x) & self.coding.has_numbers
        out[~numbers] += offset[~numbers]
        if numbers.any():
            out[numbers] += self._rest(x[numbers], self.discount)
        return out


class Missing:
    """The pattern of missing cells: counts of patterns over independent Bernoullis as prior."""

    def __init__(self, train: pd.DataFrame, val: pd.DataFrame):
        mask = train.isna().to_numpy()
        self.share = (mask.sum(0) + HALF) / (len(mask) + 1)
        patterns, counts = np.unique(mask, axis=0, return_counts=True)
        self.counts = dict(zip(map(bytes, patterns), counts, strict=True))
        self.total = len(mask)
        priors = (0.1, 1.0, 10.0, 100.0, 1e4, np.inf)
        self.prior = max(priors, key=lambda prior: self._log(val, prior).mean())

    def _log(self, frame, prior):
        mask = frame.isna().to_numpy()
        independent = np.where(mask, np.log(self.share), np.log1p(-self.share)).sum(1)
        if prior == np.inf:
            return independent
        counts = np.array([self.counts.get(bytes(row), 0) for row in mask])
        return np.log(counts + prior * np.exp(independent)) - np.log(self.total + prior)

    def __call__(self, frame):
        return self._log(frame, self.prior)


def marginals(table: Table):
    """All columns independent; the missing pattern by itself."""
    columns = column_marginals(table)
    missing = Missing(table.train, table.val)

    def score(frame):
        return missing(frame) + sum(marginal(frame[c]) for c, marginal in columns.items())

    notes = [f"{c}: {marginal.note}" for c, marginal in columns.items() if marginal.note]
    return score, "; ".join([f"patterns: prior {missing.prior:g}", *notes])


def column_marginals(table: Table) -> dict[str, Marginal]:
    return {c: Marginal(table.train[c], table.val[c], m) for c, m in table.measures.items()}


class TableToNormal:
    """The normal score of a lattice column, by the CDF of its `Marginal`.

    A column may use its lattice unevenly, or repeat its values (of converted units; weights of a
    survey): this map gives a Gaussian, which could not know, the frequencies of the table.
    """

    def __init__(self, marginal: Marginal):
        self.step, self.smooth, self.values = marginal.step, marginal.smooth, marginal.values
        self.kept = np.maximum(marginal.counts - marginal.discount, 0) / marginal.total
        self.below = np.concatenate([[0], np.cumsum(self.kept)])

    def __call__(self, x):
        cell = np.round(x / self.step)
        within = np.clip(x / self.step - cell + 0.5, 0, 1)
        at = np.searchsorted(self.values, cell)
        up_to = np.searchsorted(self.values, cell, side="right")
        low, high = (self.smooth((cell + e) * self.step)[0] for e in (-0.5, 0.5))
        rest = 1 - self.below[-1]
        frequency = self.below[up_to] - self.below[at]
        mass = frequency + rest * np.exp(log_interval(low, high)) + 1e-300
        below = rest * ndtr(low) + self.below[at] + within * mass
        above = rest * ndtr(-high) + (self.below[-1] - self.below[up_to]) + (1 - within) * mass
        tail = np.maximum(np.minimum(below, above), 1e-300)
        z = np.where(below < above, ndtri(tail), -ndtri(tail))
        return z, np.log(mass / self.step) - norm.logpdf(z)
