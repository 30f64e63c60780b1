"""Fixed maps under which rows are seen, and the bases that are tried there, fold by fold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from skflow.data.fit_data import Bounds
from skflow.data.rows import Rows
from skflow.distributions import Distribution
from skflow.starts.mixture_ladder import Clusters, Components, MixtureLadder
from skflow.starts.start_recipe import MIXTURE_ITERATIONS, Start, StartRecipe
from skflow.transforms import Compose

JUDGED_AT_ONCE = 4_096
SCREENING_ITERATIONS = 25

Fold = tuple[Rows, Rows]  # rows to fit to, rows to judge by
Fits = Sequence[Components | None]  # a mixture for every fold
Tried = tuple["Candidate | None", Fits]


@dataclass
class Candidate:
    """A recipe, its held-out score, and its fit to the first fold."""

    recipe: StartRecipe
    score: float
    first_fit: Start


@dataclass
class EncodedFold:
    """A fold as the fixed maps leave it, which are set by the rows to fit to."""

    fixed: Compose
    z: Rows
    clusters: Clusters
    judge: Rows
    z_judge: torch.Tensor
    contribution: torch.Tensor

    @property
    def judged_weight(self) -> float:
        """Of this fold's score among the others: weighted folds differ in size."""
        return 1.0 if self.judge.weight is None else float(self.judge.weight.sum())

    def score(self, base: Distribution) -> float:
        """Mean log-density of the rows to judge by."""
        with torch.no_grad():
            scores = torch.cat([base.log_prob(part) for part in self.z_judge.split(JUDGED_AT_ONCE)])
        return self.judge.mean(scores + self.contribution)


class Space:
    """One choice of fixed maps: the folds' images under them, and the bases tried there."""

    def __init__(self, recipe: StartRecipe, folds: list[Fold], bounds: Bounds, seed: int):
        self.recipe, self.seed = recipe, seed
        self.folds = []
        for fit_rows, judge in folds:
            fixed = recipe.make_fixed(bounds)
            z = fixed.initialize(fit_rows.x, fit_rows.weight)
            with torch.no_grad():
                z_judge, contribution = fixed(judge.x)
            encoded = Rows(z, fit_rows.weight)
            clusters = Clusters(encoded, seed)
            self.folds.append(EncodedFold(fixed, encoded, clusters, judge, z_judge, contribution))

    def try_base(self, base: str, n_folds: int | None = None) -> Candidate | None:
        """Fit a base on every fold; None where it cannot be fitted or scored."""
        recipe, folds = replace(self.recipe, base=base), self.folds[:n_folds]
        fits = [recipe.fit_base(fold.z, self.seed) for fold in folds]
        return None if None in fits else _candidate(recipe, folds, fits)

    def climb(
        self,
        n_most: int,
        regularisations: Sequence[float],
        late: Callable[[], bool],
        max_iter: int = MIXTURE_ITERATIONS,
        n_folds: int | None = None,
    ) -> Candidate | None:
        """Double a mixture's components until the score falls twice; return the best, polished.

        The components are fitted with the first regularisation; with every other, those of the
        best number and of the next, which regularised more may be better, are fitted on. Where it
        is late, what is found stands; on the first ``n_folds`` alone, where given.
        """
        folds = self.folds[:n_folds]

        def ladders(regularisation: float, max_iter: int) -> list[MixtureLadder]:
            return [
                MixtureLadder(fold.clusters, n_most, regularisation, max_iter, late)
                for fold in folds
            ]

        def fitted_on(fits: Fits, regularisation: float, max_iter: int) -> Tried:
            more = [
                None if fit is None else ladder.polished(fit)
                for ladder, fit in zip(ladders(regularisation, max_iter), fits, strict=True)
            ]
            return self._judged(more, folds, regularisation), more

        usual, *others = regularisations
        tried: list[Tried] = []
        best, falls = 0, 0
        for rung in zip(*ladders(usual, max_iter), strict=False):
            tried.append((self._judged(rung, folds, usual), rung))
            if len(tried) == 1 or _score(tried[-1]) > _score(tried[best]):
                best, falls = len(tried) - 1, 0
            elif (falls := falls + 1) == 2:
                break
        found = tried[best : best + 1]
        for regularisation in others:
            for _, begun in tried[best : best + 2] if not late() else ():
                found.append(fitted_on(begun, regularisation, SCREENING_ITERATIONS))
        candidate, fits = max(found, key=_score, default=(None, ()))
        if candidate is None or late():
            return candidate
        polished = fitted_on(fits, candidate.recipe.regularisation, max_iter)
        return max([(candidate, fits), polished], key=_score)[0]

    def _judged(
        self, fits: Fits, folds: list[EncodedFold], regularisation: float
    ) -> Candidate | None:
        mixtures = [components.module() for components in fits if components is not None]
        if len(mixtures) < len(folds):
            return None
        recipe = replace(
            self.recipe,
            base="mixture",
            n_mixture_components=len(mixtures[0].means),
            regularisation=regularisation,
        )
        return _candidate(recipe, folds, mixtures)


def _candidate(recipe: StartRecipe, folds, bases) -> Candidate | None:
    scores = [fold.score(base) for fold, base in zip(folds, bases, strict=True)]
    score = float(np.average(scores, weights=[fold.judged_weight for fold in folds]))
    if not np.isfinite(score):
        return None
    return Candidate(recipe, score, Start(recipe, folds[0].fixed, bases[0]))


def _score(tried: Tried) -> float:
    return -np.inf if tried[0] is None else tried[0].score
