"""FlowSearchCV: GridSearchCV for flows, whose candidates share what they have in common."""

import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from joblib import Parallel
from sklearn.model_selection import GridSearchCV, ParameterGrid, check_cv
from sklearn.utils import indexable

from skflow._compat import Interval, StrOptions, _fit_context, _MultimetricScorer
from skflow.model_selection._compat import (
    _check_method_params,
    _insert_error_scores,
    _warn_or_raise_about_fit_failures,
)
from skflow.model_selection.rungs import Rung, rungs
from skflow.model_selection.shared_fits import SharedFits, ends_in_flow, flow_of, with_parameters


class FlowSearchCV(GridSearchCV):
    """Search over parameters of a flow by cross-validation, as `GridSearchCV` does, in less time.

    On the same rows, candidates that differ only in how they train (``learning_rate_init``,
    ``weight_decay``, ``batch_size``, ``n_iter_no_change``, ``noise`` ...) share the reading of the
    rows, the search for the start and the layers as training finds them. With
    ``strategy="halving"`` the candidates are trained for a few epochs first, and only the better
    ones further, from where they paused.

    Parameters
    ----------
    estimator : estimator
        A flow, or a `Pipeline` that ends in one.
    param_grid : dict or list of dict
        As for `GridSearchCV`; several ``random_state`` are several seeds.
    strategy : {"full", "halving"}, default="full"
        "full" trains every candidate to its end, with the scores that `GridSearchCV` finds;
        "halving" only the best ones.
    factor : float, default=3
        Halving keeps one candidate in so many at every rung, and trains it so many times as long.
    min_epochs : int, default=4
        Epochs of the first rung of a halving.
    scoring : str, callable, list, tuple or dict, default=None
        None is the estimator's own: the mean log-density, in nats.
    n_jobs : int, default=None
        Processes to work in, by joblib; its backends for clusters work too.
    refit : bool, str or callable, default=True
        Fit the best candidate to all rows.
    cv : int, splitter or iterable, default=None
        None is five folds.
    verbose : int, default=0
    pre_dispatch : int or str, default="2*n_jobs"
        Fits handed out at a time.
    error_score : "raise" or float, default=nan
        The score of a fit that fails.
    return_train_score : bool, default=False

    Attributes
    ----------
    cv_results_ : dict of arrays
        As `GridSearchCV`'s. Of a halving, with a row per candidate and rung, with "iter", the rung,
        and "n_resources", the epochs up to which it trained at most. A time to fit is that of the
        training from the last rung on, without what candidates share.
    best_estimator_ : estimator
        With ``refit``. `predict`, `score_samples` and the others are its own.
    best_score_ : float
    best_params_ : dict
    best_index_ : int
        Into ``cv_results_``; of a halving, among the last rung.
    n_splits_ : int
    scorer_ : callable or dict of callables
    refit_time_ : float
        Seconds.

    References
    ----------
    Jamieson, Talwalkar (2016), "Non-stochastic Best Arm Identification and Hyperparameter
    Optimization", arXiv:1502.07943.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from skflow import NormalizingFlow
    >>> from skflow.model_selection import FlowSearchCV
    >>> X, _ = make_moons(200, noise=0.1, random_state=0)
    >>> flow = NormalizingFlow(max_iter=4, random_state=0)
    >>> grid = {"learning_rate_init": [1e-4, 1e-3]}
    >>> search = FlowSearchCV(flow, grid, cv=3).fit(X)
    >>> search.best_params_["learning_rate_init"] in grid["learning_rate_init"]
    True
    >>> search.score_samples(X).shape
    (200,)
    """

    _parameter_constraints: ClassVar[dict] = {
        **GridSearchCV._parameter_constraints,
        "strategy": [StrOptions({"full", "halving"})],
        "factor": [Interval(Real, 1, None, closed="neither")],
        "min_epochs": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        estimator,
        param_grid,
        *,
        strategy="full",
        factor=3,
        min_epochs=4,
        scoring=None,
        n_jobs=None,
        refit=True,
        cv=None,
        verbose=0,
        pre_dispatch="2*n_jobs",
        error_score=np.nan,
        return_train_score=False,
    ):
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.strategy = strategy
        self.factor = factor
        self.min_epochs = min_epochs

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, **params):
        """Fit every candidate on every fold; then, with ``refit``, the best one to all rows.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            For splitters and scorings that use it.
        **params : dict
            For the estimator's `fit`, the scorer and the splitter, such as ``sample_weight``, which
            is split as the rows are, and ``groups``.

        Returns
        -------
        self : object
        """
        if not ends_in_flow(self.estimator):
            if self.strategy == "full":
                return super().fit(X, y, **params)
            raise ValueError(
                f"halving pauses the training of a flow, and {self.estimator!r} neither is one "
                "nor ends in one: set strategy='full'."
            )
        scorer, _ = self._get_scorers()
        X, y = indexable(X, y)
        routed = self._get_routed_params_for_fit(_check_method_params(X, params))
        cv = check_cv(self.cv, y)
        self.n_splits_ = cv.get_n_splits(X, y, **routed.splitter.split)
        folds = list(cv.split(X, y, **routed.splitter.split))
        how = {
            "scorer": scorer,
            "fit_params": routed.estimator.fit,
            "score_params": routed.scorer.score,
            "return_train_score": self.return_train_score,
            "return_n_test_samples": True,
            "return_times": True,
            "error_score": self.error_score,
            "verbose": self.verbose,
        }
        candidates = list(ParameterGrid(self.param_grid))
        if self.verbose > 0:
            print(f"Fitting {len(folds)} folds for each of {len(candidates)} candidates")
        with Parallel(n_jobs=self.n_jobs, pre_dispatch=self.pre_dispatch) as parallel:
            fits = SharedFits(self.estimator, X, y, folds, how)
            results = self._climb(candidates, partial(fits, parallel=parallel))
        self.cv_results_ = results
        self.multimetric_ = "mean_test_score" not in results
        self.scorer_ = scorer._scorers if isinstance(scorer, _MultimetricScorer) else scorer
        if self.refit or not self.multimetric_:
            self._note_best(results)
        if self.refit:
            self._fit_best(X, y, routed.estimator.fit)
        return self

    def _climb(self, candidates: list[dict], fits: Callable[..., list]) -> dict:
        """Results of all rungs, in scikit-learn's form."""
        ladder = [Rung(len(candidates), None)]
        max_epochs = flow_of(self.estimator).max_iter
        if self.strategy == "halving":
            ladder = rungs(len(candidates), self.factor, self.min_epochs, max_epochs)
        alive = dict(enumerate(candidates))
        tried: list[dict] = []
        out: list[dict] = []
        more: dict[str, list[int]] = defaultdict(list)
        results: dict = {}
        for i, rung in enumerate(ladder):
            if results:
                means = results[f"mean_test_{self._metric_to_halve_by(results)}"][-len(alive) :]
                order = np.argsort(-np.nan_to_num(means, nan=-np.inf), kind="stable")
                kept = sorted(np.array(list(alive))[order[: rung.n_candidates]].tolist())
                alive = {number: candidates[number] for number in kept}
            out += fits(alive, rung.epoch)
            _warn_or_raise_about_fit_failures(out, self.error_score)
            if callable(self.scoring):
                _insert_error_scores(out, self.error_score)
            tried += alive.values()
            if self.strategy == "halving":
                more["iter"] += [i] * len(alive)
                more["n_resources"] += [rung.epoch or max_epochs] * len(alive)
            results = self._format_results(tried, self.n_splits_, out, more)
        return results

    def _metric(self, results: dict) -> str:
        """The score that candidates are compared by."""
        if "mean_test_score" in results:
            return "score"
        prefix = "mean_test_"
        names = [name.removeprefix(prefix) for name in results if name.startswith(prefix)]
        self._check_refit_for_multimetric(dict.fromkeys(names))
        return self.refit

    def _metric_to_halve_by(self, results: dict) -> str:
        metric = self._metric(results)
        if isinstance(metric, str):
            return metric
        raise ValueError(
            f"refit={self.refit!r} does not say by which of several scores to halve: set it to the "
            "name of one."
        )

    def _note_best(self, results: dict) -> None:
        metric = self._metric(results)
        last = len(results["params"])
        if "iter" in results:  # the others were not trained to their end
            last = int(np.sum(results["iter"] == results["iter"][-1]))
        first = len(results["params"]) - last
        final = {name: values[first:] for name, values in results.items()}
        self.best_index_ = first + self._select_best_index(self.refit, metric, final)
        if not callable(self.refit):
            self.best_score_ = results[f"mean_test_{metric}"][self.best_index_]
        self.best_params_ = results["params"][self.best_index_]

    def _fit_best(self, X, y, fit_params: dict) -> None:
        self.best_estimator_ = with_parameters(self.estimator, self.best_params_)
        started = time.perf_counter()
        self.best_estimator_.fit(X, y, **fit_params)
        self.refit_time_ = time.perf_counter() - started
        if hasattr(self.best_estimator_, "feature_names_in_"):
            self.feature_names_in_ = self.best_estimator_.feature_names_in_
