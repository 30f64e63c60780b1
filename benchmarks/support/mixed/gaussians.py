"""Gaussians of columns with holes."""

from dataclasses import dataclass

import numpy as np

from benchmarks.support.mixed.coding import log_interval


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
