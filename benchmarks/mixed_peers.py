"""Classical densities of mixed tables with missing cells, for benchmarks/mixed.py.

A peer is a function ``fit(table) -> (score, note)``: fitted on the training rows, every choice made
on the validation rows; ``score(frame)`` is in the measure that mixed_tables.py describes.

All three see a table through `Coding`: discrete columns, one per column of the table, and numeric
columns. In a discrete column a missing cell is one more level, so a joint distribution of the
discrete columns holds that of the missing patterns. A lattice column with few values is discrete;
otherwise the values that hold more than 5 % each are levels, the others "rest": the rest's number
is a numeric cell, seen only there, on the lattice with the cells of those values cut out, so that
the two parts stay normalised.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from mixed_tables import Measure, Table
from scipy.sparse import csr_matrix
from scipy.special import log_ndtr, logsumexp, ndtr, ndtri, ndtri_exp
from scipy.stats import norm, yeojohnson, yeojohnson_normmax
from sklearn.cluster import KMeans
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.metrics import mutual_info_score
from sklearn.mixture import GaussianMixture

Score = Callable[[pd.DataFrame], np.ndarray]
Peer = Callable[[Table], tuple[Score, str]]

ATOM_SHARE, HALF = 0.05, 0.5
COMPONENTS = (1, 2, 4, 8, 16, 32, 64)
FEW = (30, 130)  # a lattice column with so few values is discrete
TRANSFORMS = ("standard", "power", "marginal", "table")
DISCOUNTS = (0.05, 0.2, 0.5, 0.8, 1.0, 2.0, 5.0, 20.0, np.inf)
PRIORS = (0.2, 0.05, 1.0, 5.0)
TREE_PRIORS = (0.1, 0.5, 1.0, 3.0, 10.0, 30.0, 100.0)
LEVEL_PRIORS = (1.0, 10.0, 100.0)
DRAWS = 16


# ------------------------------------------------------------------------------- coding


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


MAPS = {"standard": Standard, "power": Power, "marginal": ToNormal}


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


# ----------------------------------------------------------------- Gaussians with holes


@dataclass
class Gaussians:
    """K Gaussians of d columns, any of which may be missing: means (K, d), covariances."""

    means: np.ndarray
    covariances: np.ndarray
    full: bool = True

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """(n, K): of the cells that are there."""
        out = np.zeros((len(z), len(self.means)))
        for seen, rows in patterns(z):
            d = int(seen.sum())
            if d == 0:
                continue
            root = np.linalg.cholesky(self.covariances[:, seen][:, :, seen])
            inverse = np.linalg.inv(root)  # (K, d, d)
            log_det = np.log(np.diagonal(inverse, axis1=1, axis2=2)).sum(1)
            at = (inverse @ self.means[:, seen, None])[..., 0]
            y = (z[rows][:, seen] @ inverse.transpose(2, 0, 1).reshape(d, -1)).reshape(
                -1, *at.shape
            )
            out[rows] = log_det - d / 2 * np.log(2 * np.pi) - 0.5 * ((y - at) ** 2).sum(2)
        return out

    def log_cells(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """(n, K): the probability of boxes, for diagonal covariances."""
        out = np.zeros((len(low), len(self.means)))
        deviations = np.sqrt(np.diagonal(self.covariances, axis1=1, axis2=2))
        for j in range(low.shape[1]):
            seen = np.isfinite(low[:, j])
            edges = [(e[seen, j, None] - self.means[:, j]) / deviations[:, j] for e in (low, high)]
            out[seen] += log_interval(*edges)
        return out

    def updated(self, z, weights, scale, prior) -> "Gaussians":
        """One step of EM: weights (n, K); a covariance `scale` (d, d) counts as `prior` rows."""
        k, d = self.means.shape
        first, second = np.zeros((k, d)), np.zeros((k, d, d))
        for seen, rows in patterns(z):
            o, r = np.flatnonzero(seen), weights[rows]
            x = z[rows][:, seen]
            s0, s1 = r.sum(0), r.T @ x
            s2 = np.stack([(x.T * w) @ x for w in r.T])
            # E[z | x] = A x + c, with covariance C where cells are missing.
            c_o = self.covariances[:, :, o]
            a = np.linalg.solve(c_o[:, o], c_o.transpose(0, 2, 1)).transpose(0, 2, 1)
            c = self.means - (a @ self.means[:, o, None])[..., 0]
            rest = self.covariances - a @ c_o.transpose(0, 2, 1)
            a_s1 = (a @ s1[:, :, None])[..., 0]
            cross = a_s1[:, :, None] * c[:, None, :]
            first += a_s1 + s0[:, None] * c
            second += a @ s2 @ a.transpose(0, 2, 1) + cross + cross.transpose(0, 2, 1)
            second += s0[:, None, None] * (c[:, :, None] * c[:, None, :] + rest)
        total = weights.sum(0)
        means = first / (total[:, None] + 0.01)  # a hundredth of a row at 0
        spread = second - total[:, None, None] * means[:, :, None] * means[:, None, :]
        covariances = (spread + prior * scale) / (total[:, None, None] + prior)
        covariances = 0.5 * (covariances + covariances.transpose(0, 2, 1)) + 1e-6 * np.eye(d)
        if not self.full:
            covariances = covariances * np.eye(d)
        return Gaussians(means, covariances, self.full)


def patterns(z: np.ndarray):
    """The different sets of cells that are there, with their rows."""
    seen = np.isfinite(z)
    if seen.shape[1] == 0:
        yield seen[0], np.arange(len(z))
        return
    sets, at = np.unique(seen, axis=0, return_inverse=True)
    for j, members in enumerate(sets):
        yield members, np.flatnonzero(at.ravel() == j)


# ------------------------------------------------------------------------------ mixture


@dataclass
class LatentClasses:
    """sum_k w_k prod_j p_kj(code_j) N_k(numbers): a Gaussian mixture with discrete columns."""

    log_weights: np.ndarray  # (K,)
    log_levels: np.ndarray  # (sum of sizes, K)
    gaussians: Gaussians

    def log_joint(self, hot: csr_matrix, log_numbers: np.ndarray) -> np.ndarray:
        return hot @ self.log_levels + self.log_weights + log_numbers


def one_hot(codes: np.ndarray, sizes: list[int]) -> csr_matrix:
    starts = np.concatenate([[0], np.cumsum(sizes)])
    n, m = codes.shape
    columns = (codes + starts[:-1]).ravel()
    shape = (n, starts[-1])
    return csr_matrix((np.ones(n * m), columns, np.arange(0, n * m + 1, m)), shape=shape)


def fit_classes(
    hot, val_hot, sizes, z, val_z, k: int, full: bool, prior: float, max_iter: int
) -> LatentClasses:
    """EM from k-means on the one-hot and standardised columns, stopped early by validation.

    Levels have `prior` pseudo-counts in the proportions of the whole table; a covariance counts as
    `prior` rows at the table's variances shrunk as k components would have them.
    """
    d = z.shape[1]
    overall = np.asarray(hot.sum(0)).ravel() + HALF
    blocks = np.repeat(np.arange(len(sizes)), sizes)
    overall /= np.bincount(blocks, overall)[blocks]
    scale = np.eye(d) / k ** (2 / max(d, 1)) * 0.5
    weights = initial(hot, z, k)
    gaussians = Gaussians(np.zeros((k, d)), np.tile(np.eye(d), (k, 1, 1)), full)
    best, best_score, worse = None, -np.inf, 0
    for step in range(max_iter):
        counts = hot.T @ weights + prior * overall[:, None]
        totals = np.stack([np.bincount(blocks, c) for c in counts.T], 1)[blocks]
        share = weights.sum(0) + HALF
        model = LatentClasses(np.log(share / share.sum()), np.log(counts / totals), gaussians)
        if d:
            gaussians = gaussians.updated(z, weights, scale, prior)
            model.gaussians = gaussians
        joint = model.log_joint(hot, gaussians.log_density(z))
        weights = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
        if step % 4 == 3 or step == max_iter - 1:
            score = model.log_joint(val_hot, gaussians.log_density(val_z))
            score = logsumexp(score, axis=1).mean()
            worse = 0 if score > best_score + 1e-3 else worse + 1
            if score > best_score:
                best, best_score = model, score
            if worse == 3:
                break
    return best


def initial(hot: csr_matrix, z: np.ndarray, k: int) -> np.ndarray:
    if k == 1:
        return np.ones((len(z), 1))
    rows = np.random.default_rng(0).permutation(len(z))[:6_000]
    features = np.hstack([hot.toarray() / np.sqrt(2), np.nan_to_num(z)])
    labels = KMeans(k, n_init=1, random_state=0).fit(features[rows]).predict(features)
    return 0.98 * np.eye(k)[labels] + 0.02 / k


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


def score_classes(model: LatentClasses, view: View, coded: Coded, draws: int) -> np.ndarray:
    hot = one_hot(coded.codes, view.coding.sizes)
    widths, numbers = view.numbers.widths, view.numbers
    if not model.gaussians.full and widths.all():  # exact probabilities of the cells
        (low, _), (high, _) = (numbers.at(coded.numbers + e * widths) for e in (-0.5, 0.5))
        log_numbers = model.gaussians.log_cells(low, high)
        return logsumexp(model.log_joint(hot, log_numbers), axis=1) + coded.constant
    base = model.log_joint(hot, np.zeros((len(coded), len(model.log_weights))))

    def log_density(z):
        return logsumexp(base + model.gaussians.log_density(z), axis=1)

    return numbers.average(coded, log_density, draws) + coded_steps(view, coded)


def coded_steps(view: View, coded: Coded) -> np.ndarray:
    """The coding's constants, less the steps that a numeric cell has in its density already."""
    return coded.constant + (np.isfinite(coded.numbers) * _log(view.numbers.widths)).sum(1)


def _log(widths: np.ndarray) -> np.ndarray:
    return np.log(np.where(widths > 0, widths, 1.0))


def mixture(table: Table):
    """Latent classes; coding, maps, covariance, components and prior by validation."""

    def fit(view, k, full, prior, max_iter):
        sizes = view.coding.sizes
        hot, val_hot = (one_hot(part.codes, sizes) for part in (view.train, view.val))
        model = fit_classes(hot, val_hot, sizes, view.z, view.val_z, k, full, prior, max_iter)
        return score_classes(model, view, view.val, draws=8).mean(), model

    best, columns = {}, column_marginals(table)
    for few, transform in product(FEW, TRANSFORMS):
        view = View(table, few, transform, columns, rows=6_000)
        for full in (False, True):
            score, _ = fit(view, 8, full, PRIORS[0], 40)
            if score > best.get(full, (-np.inf,))[0]:
                best[full] = score, few, transform
    found = []
    for full, (_, few, transform) in best.items():
        view, top, worse = View(table, few, transform, columns), -np.inf, 0
        for k in COMPONENTS:
            score, model = fit(view, k, full, PRIORS[0], 150)
            found.append((score, k, full, PRIORS[0], view, model))
            worse = 0 if score > top else worse + 1
            top = max(top, score)
            if worse == 2:
                break
    _, k, full, _, view, _ = max(found, key=lambda f: f[0])
    for prior in PRIORS[1:]:
        score, model = fit(view, k, full, prior, 150)
        found.append((score, k, full, prior, view, model))
    _, k, full, prior, view, model = max(found, key=lambda f: f[0])
    note = f"k={k} {'full' if full else 'diagonal'} prior={prior:g} {view}"
    return lambda frame: score_classes(model, view, view.coding(frame), DRAWS), note


# -------------------------------------------------------------------------- conditional


class Tree:
    """Chow and Liu's tree over the discrete columns, smoothed towards the child's marginal."""

    def __init__(self, codes: np.ndarray, sizes: list[int], val_codes: np.ndarray):
        m = codes.shape[1]
        self.shares = [
            (np.bincount(c, minlength=size) + HALF) / (len(codes) + HALF * size)
            for c, size in zip(codes.T, sizes, strict=True)
        ]
        information = np.zeros((m, m))
        for i in range(m):
            for j in range(i):
                # Less its mean under independence, or columns of many levels would win.
                bias = (sizes[i] - 1) * (sizes[j] - 1) / (2 * len(codes))
                information[i, j] = mutual_info_score(codes[:, i], codes[:, j]) - bias
        information = np.maximum(information, information.T)
        self.edges = spanning_tree(information)
        self.tables = {}
        for child, parent in self.edges:
            table = np.zeros((sizes[parent], sizes[child]))
            np.add.at(table, (codes[:, parent], codes[:, child]), 1)
            scores = {a: self._edge(table, a, child, parent, val_codes).mean() for a in TREE_PRIORS}
            prior = max(scores, key=scores.get)
            independent = np.log(self.shares[child])[val_codes[:, child]].mean()
            self.tables[child] = table, prior if scores[prior] > independent else np.inf

    def _edge(self, table, prior, child, parent, codes):
        if prior == np.inf:
            return np.log(self.shares[child])[codes[:, child]]
        smooth = table + prior * self.shares[child]
        log = np.log(smooth / smooth.sum(1, keepdims=True))
        return log[codes[:, parent], codes[:, child]]

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        children = {child for child, _ in self.edges}
        roots = [j for j in range(codes.shape[1]) if j not in children]
        out = sum(np.log(self.shares[j])[codes[:, j]] for j in roots)
        for child, parent in self.edges:
            out = out + self._edge(*self.tables[child], child, parent, codes)
        return out


def spanning_tree(weight: np.ndarray) -> list[tuple[int, int]]:
    """(child, parent) of the maximum spanning tree, by Prim's algorithm from column 0."""
    inside, edges = [0], []
    while len(inside) < len(weight):
        outside = [j for j in range(len(weight)) if j not in inside]
        part = weight[np.ix_(outside, inside)]
        child, parent = np.unravel_index(part.argmax(), part.shape)
        edges.append((outside[child], inside[parent]))
        inside.append(outside[child])
    return edges


def level_gaussians(view: View, column: int | None) -> tuple[Gaussians, np.ndarray]:
    """Of each level of a discrete column: EM over missing cells, shrunk as Ledoit and Wolf do."""
    z, d = view.z, view.z.shape[1]
    codes = np.zeros(len(z), int) if column is None else view.train.codes[:, column]
    weights = np.eye(1 if column is None else view.coding.sizes[column])[codes]
    k = weights.shape[1]
    gaussians = Gaussians(np.zeros((k, d)), np.tile(np.eye(d), (k, 1, 1)))
    if d == 0:
        return gaussians, weights.sum(0)
    for _ in range(8 if np.isnan(z).any() else 1):
        gaussians = gaussians.updated(z, weights, np.eye(d), 1.0)
    filled = np.where(np.isnan(z), gaussians.means[codes], z)
    for level in range(k):
        rows = filled[codes == level]
        if len(rows) > d:
            shrinkage = ledoit_wolf_shrinkage(rows)
            covariance = gaussians.covariances[level]
            sphere = np.trace(covariance) / d * np.eye(d)
            gaussians.covariances[level] = (1 - shrinkage) * covariance + shrinkage * sphere
    return gaussians, weights.sum(0)


def backed_off(level: Gaussians, counts, pooled: Gaussians, prior: float) -> Gaussians:
    """Each level's Gaussian with the pooled one as `prior` rows."""
    share = (counts / (counts + prior))[:, None]
    means = share * level.means + (1 - share) * pooled.means
    share = share[..., None]
    return Gaussians(means, share * level.covariances + (1 - share) * pooled.covariances)


def score_conditional(tree, gaussians, column, view, coded, draws) -> np.ndarray:
    codes = 0 if column is None else coded.codes[:, column]

    def log_density(z):
        # Level by level: only the row's own is needed.
        out = np.empty(len(z))
        levels = np.broadcast_to(codes, len(z))
        for level in np.unique(levels):
            rows = levels == level
            one = Gaussians(gaussians.means[[level]], gaussians.covariances[[level]])
            out[rows] = one.log_density(z[rows])[:, 0]
        return out

    numbers = view.numbers.average(coded, log_density, draws)
    return numbers + tree(coded.codes) + coded_steps(view, coded)


def conditional(table: Table):
    """A tree over the discrete columns, and a Gaussian for each level of the best of them."""
    best, names, columns = (-np.inf,), list(table.measures), column_marginals(table)
    for few, transform in product(FEW, TRANSFORMS):
        view = View(table, few, transform, columns)
        val = view.val[:2_500]
        tree = Tree(view.train.codes, view.coding.sizes, view.val.codes)
        pooled, _ = level_gaussians(view, None)
        candidates = [None, *(j for j, size in enumerate(view.coding.sizes) if size <= 150)]
        for column in candidates:
            level, counts = level_gaussians(view, column)
            for prior in LEVEL_PRIORS if column is not None else (0.0,):
                gaussians = backed_off(level, counts, pooled, prior)
                score = score_conditional(tree, gaussians, column, view, val, 2).mean()
                if score > best[0]:
                    name = "none" if column is None else names[column]
                    best = score, tree, gaussians, column, view, f"by {name} prior={prior:g} {view}"
    _, *model, view, note = best
    return lambda frame: score_conditional(*model, view, view.coding(frame), DRAWS), note


PEERS: dict[str, Peer] = {
    "marginals": marginals,
    "mixture": mixture,
    "conditional": conditional,
}
