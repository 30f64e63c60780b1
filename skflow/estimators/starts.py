"""Where a flow starts: the best classical density, chosen by held-out likelihood.

A start is a fixed map (standardising, a marginal map, whitening) and a base (normal, Student-t or
mixture). Each candidate costs at most seconds. No single one wins: odd marginals want a marginal
map first, smooth correlated columns want whitening alone.
"""

import warnings
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnMixture
from torch import Tensor

from skflow.distributions import Distribution, GaussianMixture, StandardNormal, StudentT
from skflow.transforms import Bound, Compose, MarginalSpline, Standardize, Transform, Whiten

KNOTS = (16, 64, 200)  # of the marginal map: coarse, medium, fine enough for boxes and atoms
ROWS_PER_KNOT = 4
SHRINKAGES = (1e-6, None)  # next to none (collinear columns need it), and Ledoit and Wolf's
MAX_MIXTURE_FEATURES = 256  # beyond, d^2 numbers per component are no start but a burden
SCREENING_ROWS = 4_000
SCREENING_COMPONENTS = 8
SCREENING_ITERATIONS = 25
FINAL_ITERATIONS = 60
ROWS_PER_MEAN = 4  # for every number in a component's mean: fewer, and a component is a spike
SMALL_TABLE = 3_000  # below it, regularised mixtures are tried too: they cost little and help
REGULARISATION = 1e-4
STRONG_REGULARISATION = (1e-2, 1e-1, 0.3)  # in units of the standardised or whitened columns


@dataclass(frozen=True)
class StartRecipe:
    """Plain values that say which start: enough to rebuild its modules, not their numbers."""

    n_features: int
    marginal_knots: int = 0  # 0: no marginal map
    whiten: bool = False
    shrinkage: float | None = None
    base: str = "normal"
    n_mixture_components: int = 0
    bounded: bool = False

    def fixed(self, bounds: tuple[np.ndarray, np.ndarray] | None = None) -> Compose:
        """Build the fixed maps, their numbers still to be set."""
        d = self.n_features
        steps: list[Transform] = []
        if self.bounded:
            lower, upper = bounds if bounds is not None else (np.zeros(d), np.ones(d))
            steps.append(Bound(torch.as_tensor(lower), torch.as_tensor(upper)))
        steps.append(Standardize(d))
        if self.marginal_knots:
            steps.append(MarginalSpline(d, self.marginal_knots))
        if self.whiten:
            steps.append(Whiten(d, self.shrinkage))
        return Compose(steps).double()

    def distribution(self) -> Distribution:
        """Build the base, its numbers still to be set."""
        if self.base == "mixture":
            return GaussianMixture(self.n_mixture_components, self.n_features).double()
        if self.base == "student_t":
            return StudentT(self.n_features).double()
        return StandardNormal(self.n_features).double()


@dataclass
class Start:
    """A fitted start; ``score`` is its mean held-out log-density, nan if nothing was held out."""

    recipe: StartRecipe
    fixed: Compose
    base: Distribution
    score: float
    regularisation: float = REGULARISATION


@dataclass
class Rows:
    """Rows (n, d) in float64 on the CPU, and their weights."""

    x: Tensor
    weight: Tensor | None

    def __getitem__(self, index) -> "Rows":
        return Rows(self.x[index], None if self.weight is None else self.weight[index])

    def mean(self, values: Tensor) -> float:
        """Weighted mean of one value per row."""
        if self.weight is None:
            return float(values.mean())
        return float((values * self.weight).sum() / self.weight.sum())


def _fit_mixture(z, n_components, regularisation, max_iter, seed) -> SklearnMixture | None:
    mixture = SklearnMixture(
        n_components, reg_covar=regularisation, max_iter=max_iter, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            return mixture.fit(z)
        except (ValueError, np.linalg.LinAlgError):  # a component without rows of its own
            return None


def _by_weight(z: np.ndarray, weight: Tensor | None, rng: np.random.RandomState) -> np.ndarray:
    """Rows drawn in proportion to their weights: scikit-learn's mixture takes none."""
    if weight is None:
        return z
    share = weight.numpy() / weight.numpy().sum()
    return z[rng.choice(len(z), len(z), p=share)]


class _Search:
    """The candidates' common data: training rows, held-out rows, bounds, randomness."""

    def __init__(self, train: Rows, held_out: Rows, bounds, rng, max_components=1):
        self.train, self.held_out, self.bounds, self.rng = train, held_out, bounds, rng
        self.seed = int(rng.randint(2**31 - 1))
        n, d = train.x.shape
        self.max_components = min(max_components, max(1, n // (ROWS_PER_MEAN * (d + 1))))

    def space(self, recipe: StartRecipe) -> "_Space":
        return _Space(self, recipe)


class _Space:
    """One fixed map, its image of the data, and the bases tried on it."""

    def __init__(self, search: _Search, recipe: StartRecipe):
        self.search, self.recipe = search, recipe
        self.fixed = recipe.fixed(search.bounds)
        with torch.no_grad():
            self.z = self.fixed.initialize(search.train.x, search.train.weight)
            self.z_held_out, self.contribution = self.fixed(search.held_out.x)
        self.drawn = _by_weight(self.z.numpy(), search.train.weight, search.rng)

    def start(self, base: Distribution, recipe: StartRecipe, **extra) -> Start:
        with torch.no_grad():
            log_prob = base.log_prob(self.z_held_out) + self.contribution
        return Start(recipe, self.fixed, base, self.search.held_out.mean(log_prob), **extra)

    def simple(self, name: str) -> Start:
        recipe = replace(self.recipe, base=name)
        return self.start(recipe.distribution(), recipe)

    def mixture(
        self, n_components, regularisation=REGULARISATION, *, screening=False
    ) -> Start | None:
        z = self.drawn[:SCREENING_ROWS] if screening else self.drawn
        iterations = SCREENING_ITERATIONS if screening else FINAL_ITERATIONS
        if n_components >= len(z):
            return None
        fitted = _fit_mixture(z, n_components, regularisation, iterations, self.search.seed)
        if fitted is None:
            return None
        recipe = replace(self.recipe, base="mixture", n_mixture_components=n_components)
        base = recipe.distribution()
        base.copy_fitted(fitted)
        return self.start(base, recipe, regularisation=regularisation)

    def climb(self, first, last, regularisation, *, screening=False) -> Start | None:
        """Double the components until the held-out likelihood falls twice."""
        best, falls, k = None, 0, first
        while k <= last:
            candidate = self.mixture(k, regularisation, screening=screening)
            if candidate is not None and (best is None or candidate.score > best.score):
                best, falls = candidate, 0
            else:
                falls += 1
                if falls == 2:
                    break
            k *= 2
        return best


def _spaces(search: _Search, start: str, n_features: int) -> list[_Space]:
    plain = StartRecipe(n_features, bounded=search.bounds is not None)
    n = search.train.x.shape[0]
    knots = [k for k in KNOTS if k * ROWS_PER_KNOT <= n]
    if start == "marginal" and not knots:
        knots = [max(4, n // ROWS_PER_KNOT)]
    whitened = [replace(plain, whiten=True, shrinkage=s) for s in SHRINKAGES]
    marginal = [
        recipe
        for k in knots
        for recipe in (
            replace(plain, marginal_knots=k),
            replace(plain, marginal_knots=k, whiten=True, shrinkage=SHRINKAGES[0]),
        )
    ]
    recipes = {
        "standard": [plain],
        "whiten": whitened,
        "marginal": marginal,
        "auto": [plain, *whitened, *marginal],
    }[start]
    return [search.space(recipe) for recipe in recipes]


def _best(starts) -> Start:
    return max((s for s in starts if s is not None), key=lambda s: (np.isfinite(s.score), s.score))


def choose_start(
    train: Rows,
    held_out: Rows,
    *,
    start: str,
    base: str,
    max_components: int,
    bounds: tuple[np.ndarray, np.ndarray] | None,
    rng: np.random.RandomState,
) -> Start:
    """Fit the candidates that ``start`` and ``base`` allow; return the best on ``held_out``.

    Parameters
    ----------
    train, held_out : Rows
    start : {"auto", "standard", "whiten", "marginal"}
    base : {"auto", "normal", "mixture", "student_t"}
    max_components : int
        Most components a mixture may have.
    bounds : (lower, upper) arrays or None
    rng : RandomState
    """
    n, d = train.x.shape
    search = _Search(train, held_out, bounds, rng, max_components)
    spaces = _spaces(search, start, d)
    if base in ("normal", "student_t"):
        return _best(space.simple(base) for space in spaces)
    simple = [space.simple("normal") for space in spaces]
    if base == "auto" and d > MAX_MIXTURE_FEATURES:
        return _best(simple)

    # Screening: few components on few rows tell the spaces apart.
    small = n < SMALL_TABLE
    limit = min(SCREENING_COMPONENTS, search.max_components)
    fewest = 1 if small else limit
    screened = []
    for space, normal in zip(spaces, simple, strict=True):
        candidates = [normal] if base == "auto" else []
        for regularisation in (REGULARISATION, STRONG_REGULARISATION[1])[: 1 + small]:
            candidates.append(space.climb(fewest, limit, regularisation, screening=True))
        screened.append((space, _best(candidates)))
    screened.sort(key=lambda pair: pair[1].score, reverse=True)

    finalists = [best for _, best in screened]
    for space, best in screened[:2]:
        reached = best.recipe.n_mixture_components
        # Only what screening has not seen: more rows below its limit, more components at it.
        first = 2 * reached if reached == limit and not small else max(1, reached)
        tried = {best.regularisation}
        finalists.append(space.climb(first, search.max_components, best.regularisation))
        if small:
            for regularisation in STRONG_REGULARISATION:
                if regularisation not in tried:
                    finalists.append(space.climb(first, search.max_components, regularisation))
    if base == "mixture":
        finalists = [s for s in finalists if s is not None and s.recipe.base == "mixture"]
    return _best(finalists)


def refit_start(
    start: Start, rows: Rows, bounds: tuple[np.ndarray, np.ndarray] | None, rng
) -> Start:
    """Fit the chosen recipe anew, on other rows."""
    space = _Search(rows, rows, bounds, rng).space(start.recipe)
    if start.recipe.base != "mixture":
        return replace(space.simple(start.recipe.base), score=float("nan"))
    again = space.mixture(start.recipe.n_mixture_components, start.regularisation)
    return start if again is None else replace(again, score=float("nan"))


def plain_start(rows: Rows, start: str, base: str, bounds, rng) -> Start:
    """The start where nothing is held out to choose by: few parameters, all shrunk."""
    d = rows.x.shape[1]
    recipe = StartRecipe(d, bounded=bounds is not None, base="normal" if base == "auto" else base)
    if start in ("auto", "whiten"):
        recipe = replace(recipe, whiten=True)
    elif start == "marginal":
        recipe = replace(recipe, marginal_knots=max(4, min(KNOTS[0], len(rows.x) // ROWS_PER_KNOT)))
    if base == "mixture":
        recipe = replace(recipe, n_mixture_components=1)
    return refit_start(
        Start(recipe, recipe.fixed(bounds), recipe.distribution(), float("nan")), rows, bounds, rng
    )
