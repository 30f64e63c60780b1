"""Fits of many candidates to the same folds, sharing all that they have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import joblib
import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline

from skflow.estimators.base import BaseFlow
from skflow.model_selection._compat import _check_method_params, _fit_and_score, _safe_split
from skflow.training.staged_fit import Prepared, Stage

Fold = tuple[np.ndarray, np.ndarray]


def ends_in_flow(estimator: BaseEstimator) -> bool:
    """Whether it is a flow, or a pipeline that ends in one."""
    return isinstance(flow_of(estimator), BaseFlow)


def flow_of(estimator: BaseEstimator) -> Any:
    """The estimator itself, or what a pipeline ends in."""
    return estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator


def with_parameters(estimator: BaseEstimator, parameters: Mapping[str, Any]) -> BaseEstimator:
    """An unfitted copy."""
    return clone(estimator).set_params(**clone(dict(parameters), safe=False))


def preparation_key(estimator: BaseEstimator) -> str:
    """Equal for estimators whose fits to the same rows differ in their training alone."""
    flow = flow_of(estimator)
    before = estimator.steps[:-1] if isinstance(estimator, Pipeline) else []
    return joblib.hash((before, type(flow).__qualname__, flow._prepared_by()))


@dataclass
class SharedFits:
    """Fits candidates to folds, as far as asked for, and goes on from there.

    Parameters
    ----------
    estimator : estimator
        A flow, or a pipeline that ends in one.
    X, y : array-like
    folds : list of (indices, indices)
        Rows to fit to and rows to judge by.
    how : dict
        The other arguments of scikit-learn's function that fits and scores.
    """

    estimator: BaseEstimator
    X: Any
    y: Any
    folds: list[Fold]
    how: dict
    _prepared: dict[tuple[str, int], Prepared | None] = field(default_factory=dict)
    _paused: dict[tuple[int, int], list] = field(default_factory=dict)

    def __call__(
        self, candidates: Mapping[int, dict], epoch: int | None, parallel: Parallel
    ) -> list[dict]:
        """Train candidates, given by their number, until an epoch, None for the end; score them.

        Returns
        -------
        list of dict
            The results of scikit-learn's function, candidate by candidate and fold by fold.
        """
        keys = {
            i: preparation_key(with_parameters(self.estimator, parameters))
            for i, parameters in candidates.items()
        }
        self._prepare({keys[i]: parameters for i, parameters in candidates.items()}, parallel)
        tasks = list(product(candidates, range(len(self.folds))))
        done = parallel(
            delayed(_fit)(self.estimator, candidates[i], self._stage(keys[i], i, fold, epoch),
                          self.X, self.y, self._how(fold))
            for i, fold in tasks
        )  # fmt: skip
        self._paused = {task: paused for task, (_, paused) in zip(tasks, done, strict=True)}
        return [result for result, _ in done]

    def _prepare(self, parameters: Mapping[str, dict], parallel: Parallel) -> None:
        tasks = [task for task in product(parameters, range(len(self.folds)))
                 if task not in self._prepared]  # fmt: skip
        prepared = parallel(
            delayed(_prepared)(self.estimator, parameters[key], self.X, self.y, self._how(fold))
            for key, fold in tasks
        )
        self._prepared.update(zip(tasks, prepared, strict=True))

    def _stage(self, key: str, candidate: int, fold: int, epoch: int | None) -> Stage:
        paused = self._paused.get((candidate, fold), [])
        return Stage(self._prepared[key, fold], epoch, paused)

    def _how(self, fold: int) -> dict:
        train, test = self.folds[fold]
        return {**self.how, "train": train, "test": test}


def _prepared(estimator, parameters, X, y, how) -> Prepared | None:
    """What fits share; None where it fails, for the fits themselves to meet the error."""
    estimator, stage = with_parameters(estimator, parameters), Stage(pause_after=0)
    flow_of(estimator)._stage = stage
    X_train, y_train = _safe_split(estimator, X, y, how["train"])
    fit_params = _check_method_params(X, how["fit_params"], indices=how["train"])
    try:
        estimator.fit(X_train, y_train, **fit_params)
    except Exception:
        return None
    return stage.prepared


def _fit(estimator, parameters, stage: Stage, X, y, how) -> tuple[dict, list]:
    """The results of scikit-learn's function, and where the trainings paused."""
    estimator = with_parameters(estimator, parameters)
    flow_of(estimator)._stage = stage
    result = _fit_and_score(estimator, X, y, parameters=parameters, **how)
    return result, stage.paused
