"""A Gaussian mixture with discrete columns and missing cells: the peer "mixture"."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import logsumexp
from sklearn.cluster import KMeans

from benchmarks.support.mixed.coding import HALF, Coded
from benchmarks.support.mixed.gaussians import Gaussians
from benchmarks.support.mixed.marginals import column_marginals
from benchmarks.support.mixed.tables import Table
from benchmarks.support.mixed.views import DRAWS, FEW, TRANSFORMS, View, coded_steps

COMPONENTS = (1, 2, 4, 8, 16, 32, 64)
PRIORS = (0.2, 0.05, 1.0, 5.0)


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
