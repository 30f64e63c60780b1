"""A Chow-Liu tree of the discrete columns, Gaussians by level: the peer "conditional"."""

from itertools import product

import numpy as np
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.metrics import mutual_info_score

from benchmarks.support.mixed.coding import HALF
from benchmarks.support.mixed.gaussians import Gaussians
from benchmarks.support.mixed.marginals import column_marginals
from benchmarks.support.mixed.tables import Table
from benchmarks.support.mixed.views import DRAWS, FEW, TRANSFORMS, View, coded_steps

TREE_PRIORS = (0.1, 0.5, 1.0, 3.0, 10.0, 30.0, 100.0)
LEVEL_PRIORS = (1.0, 10.0, 100.0)


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
