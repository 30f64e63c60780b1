"""Gaussian mixtures of ever more components, by expectation maximisation on weighted rows.

A flow starts from such a mixture, and which number of components is right shows on held-out rows.
So the mixtures of 1, 2, 4, ... components are fitted one from the other, at little more than the
cost of the last. Each is the likelier of two: that from the one before, its components split along
their longest axes, and that from the clusters of k-means, which is scikit-learn's.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from skflow.data.rows import Rows
from skflow.distributions import GaussianMixture
from skflow.kernels.mixture_climb import LEAST_ROWS, Climb, Numbers, numbers_of
from skflow.kernels.registry import mixture_climb

MIN_GAIN = 1e-3  # nats per iteration, below which the iteration ends
SINGLE_PRECISION_ROWS = 500  # from here on the sums over rows are of single-precision numbers
CLUSTERED_ROWS = 4_000  # k-means sees so many; all are then dealt to its clusters
ITERATIONS = 5  # between looks at the clock
RACE = 10  # iterations after which the less likely of two mixtures is given up
FEW_ROWS = 3_000
RACE_ON_FEW_ROWS = 30  # below that, where iterations cost little and turns come late
SPLIT = 0.7  # deviations that the halves of a component part by, either way


@dataclass(frozen=True)
class Components:
    """A mixture in numbers: weights (K,), means (K, d), covariances, their triangular factors."""

    log_weights: Tensor
    means: Tensor
    covariances: Tensor  # without what regularises them
    log_diagonal: Tensor
    upper: Tensor

    def __len__(self) -> int:
        return len(self.means)

    @property
    def numbers(self) -> Numbers:
        """As expectation maximisation takes them."""
        return self.log_weights, self.means, self.covariances, self.log_diagonal, self.upper

    def module(self) -> GaussianMixture:
        """The density, in double precision."""
        mixture = GaussianMixture(*self.means.shape).double()
        self.copy_to(mixture)
        return mixture

    def copy_to(self, mixture: GaussianMixture) -> None:
        """Set the numbers of a module."""
        with torch.no_grad():
            mixture.logits.copy_(self.log_weights.clamp_min(math.log(1e-30)))
            mixture.means.copy_(self.means)
            mixture.log_diagonal.copy_(self.log_diagonal)
            mixture.upper.copy_(self.upper)


@contextmanager
def any_clusters() -> Iterator[None]:
    """Say nothing of fewer separate rows than clusters.

    Filters of warnings are of the whole process: enter this before threads begin, not in them.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


class Clusters:
    """Rows as expectation maximisation takes them, and their clusters, each number of them once."""

    def __init__(self, rows: Rows, seed: int):
        dtype = torch.float32 if rows.n_effective >= SINGLE_PRECISION_ROWS else torch.float64
        weight = None if rows.weight is None else rows.weight.to(dtype)
        self.rows, self._seed = Rows(rows.x.to(dtype), weight), seed
        self._labels: dict[int, Tensor | None] = {}

    def labels(self, k: int) -> Tensor | None:
        """The cluster of every row, by k-means; None where there cannot be so many."""
        if k not in self._labels:
            self._labels[k] = self._found(k)
        return self._labels[k]

    def _found(self, k):
        seen = self.rows.evenly(CLUSTERED_ROWS)
        kmeans = KMeans(k, n_init=1, random_state=self._seed)
        try:
            kmeans.fit(seen.x.numpy(), sample_weight=seen.weight_array())
        except ValueError:
            return None
        whole = len(seen) == len(self.rows)
        labels = kmeans.labels_ if whole else kmeans.predict(self.rows.x.numpy())
        return torch.as_tensor(labels).long()


class MixtureLadder:
    """The mixtures of 1, 2, 4, ... and ``n_most`` components, until one cannot be fitted.

    They are near their likelihood's maximum; `polished` gets one there.

    Parameters
    ----------
    clusters : Clusters
        Of the rows.
    n_most : int
    regularisation : float
        Added to variances, in units of the columns.
    max_iter : int
        Iterations of what is polished.
    late : callable
        Whether to end where one is: no further mixture is begun, no further iteration made.
    """

    def __init__(
        self,
        clusters: Clusters,
        n_most: int,
        regularisation: float,
        max_iter: int,
        late: Callable[[], bool] = lambda: False,
    ):
        self.clusters, self.n_most = clusters, n_most
        self.regularisation, self.max_iter, self._late = regularisation, max_iter, late
        few = clusters.rows.n_effective < FEW_ROWS
        self._race = RACE_ON_FEW_ROWS if few else RACE

    def __iter__(self) -> Iterator[Components]:
        rows, regularisation = self.clusters.rows, self.regularisation
        everything = torch.zeros(len(rows), dtype=torch.long)
        current = _of_labels(rows, everything, 1, regularisation)
        while current is not None:
            yield current
            k = min(2 * len(current), self.n_most)
            if k == len(current) or k > len(rows) or self._late():
                return
            starts = [_split(current, k - len(current), regularisation)]
            if (labels := self.clusters.labels(k)) is not None:
                starts.append(_of_labels(rows, labels, k, regularisation))
            fits = [fit for one in starts if (fit := self._maximised(one, self._race))]
            current = max(fits, key=lambda fit: fit[1])[0] if fits else None

    def polished(self, components: Components) -> Components | None:
        """One of these mixtures after more iterations."""
        fit = self._maximised(components, self.max_iter)
        return fit[0] if fit else None

    def _maximised(self, components, max_iter):
        rows, regularisation = self.clusters.rows, self.regularisation
        return maximised(rows, components, regularisation, max_iter, self._late)


def maximised(
    rows: Rows,
    start: Components | None,
    regularisation: float,
    max_iter: int,
    late: Callable[[], bool] = lambda: False,
) -> tuple[Components, float] | None:
    """Expectation maximisation; the mixture and its log-density per row, None where it fails."""
    numbers, mean, done = None if start is None else start.numbers, -math.inf, False
    for begun in range(0, max_iter, ITERATIONS):
        if numbers is None or done or (begun and late()):
            break
        how = Climb(regularisation, MIN_GAIN, min(ITERATIONS, max_iter - begun))
        numbers, mean, done = mixture_climb(rows.x, rows.weight, numbers, how, mean)
    return (Components(*numbers), mean) if numbers is not None and math.isfinite(mean) else None


def _components(sizes, means, covariances, regularisation):
    """None without definite covariances."""
    numbers = numbers_of(sizes, means, covariances, regularisation)
    return None if numbers is None else Components(*numbers)


def _of_labels(rows, labels, k, regularisation):
    """Of rows that are dealt out."""
    x = rows.x.double()
    weight = x.new_ones(len(x)) if rows.weight is None else rows.weight.double()
    weighted = x if rows.weight is None else x * weight[:, None]
    sizes = x.new_zeros(k).index_add_(0, labels, weight) + LEAST_ROWS
    means = x.new_zeros(k, x.shape[1]).index_add_(0, labels, weighted) / sizes[:, None]
    covariances = []
    for label in range(k):
        own = labels == label
        centred = x[own] - means[label]
        covariances.append((centred * weight[own, None]).T @ centred / sizes[label])
    return _components(sizes, means, torch.stack(covariances), regularisation)


def _split(components, n_more, regularisation):
    """Halve the components that are longest for their weight, along their longest axes."""
    c = components
    variances, axes = torch.linalg.eigh(c.covariances)
    longest = variances[:, -1].clamp_min(0)
    chosen = (c.log_weights.exp() * longest).argsort(descending=True, stable=True)[:n_more]
    step = SPLIT * longest[chosen].sqrt()[:, None] * axes[chosen, :, -1]
    sizes, means, covariances = c.log_weights.exp(), c.means.clone(), c.covariances.clone()
    sizes[chosen] /= 2
    means[chosen] -= step
    covariances[chosen] -= step[:, :, None] * step[:, None]
    return _components(
        torch.cat([sizes, sizes[chosen]]),
        torch.cat([means, c.means[chosen] + step]),
        torch.cat([covariances, covariances[chosen]]),
        regularisation,
    )
