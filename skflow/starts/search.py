"""The choice of the start: candidates of seconds each, judged on rows they were not fitted to.

No single start wins. Odd marginals want a marginal map first, smooth correlated columns want
whitening alone, and both want as many mixture components as the rows support.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch

from skflow.data.fit_data import Bounds, FitData
from skflow.data.rows import Rows
from skflow.starts.mixture_ladder import any_clusters
from skflow.starts.space import SCREENING_ITERATIONS, Candidate, Fold, Space
from skflow.starts.start_recipe import Start, StartRecipe
from skflow.training.clock import Clock
from skflow.training.one_thread import one_thread
from skflow.training.side_by_side import side_by_side

KNOTS = (16, 64, 200)  # of the marginal map: coarse, medium, fine enough for boxes and atoms
ROWS_PER_KNOT = 4
SHRINKAGES = (1e-6, None)  # next to none (collinear columns need it), and Ledoit and Wolf's
MAX_MIXTURE_FEATURES = 256  # beyond, d^2 numbers per component are no start but a burden
ROWS_PER_MEAN = 4  # for every number in a component's mean: fewer, and a component is a spike
SCREENING_ROWS = 4_000
SCREENING_COMPONENTS = 8
SMALL_TABLE = 3_000  # below it: folds in place of one held-out part, and regularised mixtures
N_FOLDS = 4
SCREENING_FOLDS = 1  # of these
SEARCH_SHARE = 0.5  # of the time that a fit may take
N_FRONTS = 2  # that screening chooses
WORTH_MIXING = 0.1  # nats
STRONG_REGULARISATION = (1e-2, 1e-1, 0.3)


def make_folds(rows: Rows, rng: np.random.RandomState) -> list[Fold]:
    """Deal the rows into `N_FOLDS` parts, each held out once.

    A row that weighs more than a part is in all rows to fit and judges none.
    """
    dealt = rng.permutation(len(rows)) % N_FOLDS
    parts = [np.flatnonzero(dealt == fold) for fold in range(N_FOLDS)]
    if (weight := rows.weight_array()) is not None:
        heavy = np.flatnonzero(weight > weight.sum() / N_FOLDS)
        parts = [np.setdiff1d(part, heavy) for part in parts]
        parts.append(heavy)
    return [
        (rows[np.concatenate([p for p in parts if p is not part])], rows[part])
        for part in parts[:N_FOLDS]
    ]


def _worth(candidate: Candidate) -> float:
    """Its score, less what whitening must gain: it hides from the layers what columns are."""
    return candidate.score - WORTH_MIXING * candidate.recipe.whiten


def _best(
    candidates: Iterable[Candidate | None],
    worth: Callable[[Candidate], float] = lambda candidate: candidate.score,
) -> Candidate:
    found = [c for c in candidates if c is not None]
    if not found:
        raise ValueError(
            "no start could be fitted to these rows: look for extreme values or nearly constant "
            "columns, or set start='marginal'."
        )
    return max(found, key=worth)


def spaces_to_try(start: str, n: int, d: int, *, bounded: bool) -> list[StartRecipe]:
    """Recipes of the fixed maps that ``start`` allows, for ``n`` rows."""
    plain = StartRecipe(d, bounded=bounded)
    knots = [k for k in KNOTS if k * ROWS_PER_KNOT <= n]
    if start.startswith("marginal") and not knots:
        knots = [max(4, n // ROWS_PER_KNOT)]
    whitened = [replace(plain, whiten=True, shrinkage=s) for s in SHRINKAGES]
    columnwise = [replace(plain, marginal_knots=k) for k in knots]
    both = [replace(recipe, whiten=True, shrinkage=SHRINKAGES[0]) for recipe in columnwise]
    marginal = [*columnwise, *both]
    return {
        "columnwise": [plain, *columnwise],
        "axes": [*whitened, *both],
        "marginal_axes": both,
        "marginal_columns": columnwise,
        "standard": [plain],
        "whiten": whitened,
        "marginal": marginal,
        "auto": [plain, *whitened, *marginal],
    }[start]


@dataclass(frozen=True)
class StartOptions:
    """Which starts to choose from.

    Attributes
    ----------
    start : {"auto", "standard", "whiten", "marginal", "columnwise", "axes", \
            "marginal_columns", "marginal_axes"}
        "columnwise" and "marginal_columns" are "auto" and "marginal" without whitening, which would
        mix the pixels of an image; "axes" and "marginal_axes" always whiten.
    base : {"auto", "normal", "mixture", "student_t"}
    max_components : int
        Most components a mixture may have.
    clock : Clock
        Of the fit; the search may take `SEARCH_SHARE` of its time.
    """

    start: str = "auto"
    base: str = "auto"
    max_components: int = 32
    clock: Clock = field(default_factory=Clock)


def choose_start(
    folds: list[Fold], options: StartOptions, bounds: Bounds, rng: np.random.RandomState
) -> Candidate:
    """Fit the candidates that the options allow; return the best on held-out rows.

    Few rows and components screen the fixed maps. Those of the best two, and the plain one whatever
    screening says, are then climbed on all rows: what is chosen is the best of what was fitted, or
    of what was screened where time is short.

    Parameters
    ----------
    folds : list of (Rows, Rows)
        Rows to fit to and rows to judge by.
    options : StartOptions
    bounds : (lower, upper) arrays or None
    rng : RandomState
    """
    n, d = folds[0][0].n_effective, folds[0][0].x.shape[1]
    seed = int(rng.randint(2**31 - 1))
    recipes = spaces_to_try(options.start, n, d, bounded=bounds is not None)
    plain = StartRecipe(d, bounded=bounds is not None)

    late = partial(options.clock.past, SEARCH_SHARE)

    def in_time(work: Callable, candidates: Sequence) -> list:
        """The results of all, the first one at least, that are begun in time."""

        @one_thread()
        def worked(candidate):
            begun = candidate is candidates[0] or not late()
            return work(candidate) if begun else None

        with any_clusters():
            found = side_by_side(worked, candidates)
        return [one for one in found if one is not None]

    def of_base(base):
        return in_time(lambda recipe: Space(recipe, folds, bounds, seed).try_base(base), recipes)

    if options.base not in ("auto", "mixture"):
        return _best(of_base(options.base))
    if options.base == "auto" and d > MAX_MIXTURE_FEATURES:
        return _best(of_base("normal"))

    # On a small table a space may need its sixteen components to shine: there screening is whole.
    most = min(options.max_components, max(1, n // (ROWS_PER_MEAN * (d + 1))))
    small = n < SMALL_TABLE
    strong = small and most <= SCREENING_COMPONENTS
    usual = STRONG_REGULARISATION[1] if strong else StartRecipe.regularisation
    some = [(fit[rng.permutation(len(fit))[:SCREENING_ROWS]], judge) for fit, judge in folds]

    spaces: dict[StartRecipe, Space] = {}

    def screen(recipe: StartRecipe) -> tuple[StartRecipe, Candidate] | None:
        space = Space(recipe, folds if small else some, bounds, seed)
        if small:  # of many rows it is a copy
            spaces[recipe] = space
        first = most if small else min(SCREENING_COMPONENTS, most)
        mixture = space.climb(first, [usual], late, SCREENING_ITERATIONS, SCREENING_FOLDS)
        normal = space.try_base("normal", SCREENING_FOLDS) if options.base == "auto" else None
        return (recipe, _best([mixture, normal])) if mixture or normal else None

    screened = in_time(screen, recipes)
    screened.sort(key=lambda pair: _worth(pair[1]), reverse=True)
    if screened and late():
        return _best([candidate for _, candidate in screened], _worth)
    fronts = [recipe for i, (recipe, _) in enumerate(screened) if i < N_FRONTS or recipe == plain]
    others = [one for one in STRONG_REGULARISATION if small and one != usual]

    def finish(recipe: StartRecipe) -> list[Candidate | None]:
        space = spaces.get(recipe) or Space(recipe, folds, bounds, seed)
        mixture = space.climb(most, [usual, *others], late)
        return [mixture, space.try_base("normal") if options.base == "auto" else None]

    finalists = [candidate for found in in_time(finish, fronts) for candidate in found]
    return _best(finalists, _worth)


def unjudged_recipe(options: StartOptions, n: int, d: int, *, bounded: bool) -> StartRecipe:
    """The recipe where nothing is held out to choose by: few parameters, all shrunk."""
    start, base = options.start, options.base
    recipe = StartRecipe(d, bounded=bounded, base="normal" if base == "auto" else base)
    if start in ("auto", "whiten", "axes", "marginal_axes"):
        recipe = replace(recipe, whiten=True)
    if start.startswith("marginal"):
        recipe = replace(recipe, marginal_knots=max(4, min(KNOTS[0], n // ROWS_PER_KNOT)))
    if base == "mixture":
        recipe = replace(recipe, n_mixture_components=1)
    return recipe


fitted_alone = one_thread()(StartRecipe.fit)


def fit_start(
    data: FitData,
    options: StartOptions,
    rng: np.random.RandomState,
    generator: torch.Generator,
    *,
    on_all_rows: bool,
) -> Start:
    """Choose a start and fit it: to the training rows, or to all where those are trained on too."""
    (n, _), bounds = data.shape, data.spread_bounds
    to_fit = data.rows if on_all_rows else data.train
    one_candidate = options.start == "standard" and options.base not in ("auto", "mixture")
    if data.held_out is None or one_candidate:
        only = unjudged_recipe(options, *data.shape, bounded=bounds is not None)
        return fitted_alone(only, data.spread(to_fit, generator), bounds, rng)
    # A tenth of a small table is too little to choose by; its folds are all of it.
    by_folds = n < SMALL_TABLE and not data.given
    if by_folds:
        folds = make_folds(data.spread(data.rows, generator), rng)
    else:
        folds = [(data.spread(data.train, generator), data.spread(data.held_out, generator))]
    chosen = choose_start(folds, options, bounds, rng)
    if by_folds or on_all_rows:
        return fitted_alone(chosen.recipe, data.spread(to_fit, generator), bounds, rng)
    return chosen.first_fit
