"""BaseFlow: scikit-learn's contract for all flow estimators, once.

A fit reads rows, has candidates made of them, trains those and publishes the best. A subclass
makes the candidates; what a fitted flow answers is in `answers`.
"""

from abc import abstractmethod
from dataclasses import fields, replace

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from skflow._compat import CallbackSupportMixin, _fit_context, weighted_quantile
from skflow.data.fit_data import FitData, merge_repetitions, split_rows
from skflow.data.limits import check_bounds, check_within, warn_of_repeats
from skflow.data.noise_floor import NoiseFloor, find_noise_floor
from skflow.data.rows import Rows
from skflow.data.user_rows import UserRows
from skflow.data.warn import warn
from skflow.estimators.answers import FlowAnswers
from skflow.estimators.changed_parameters import building_parameters, refuse_changes
from skflow.estimators.failed_fit import keeps_state_on_error
from skflow.estimators.parameters import SharedParameters
from skflow.estimators.pickling import ArrayState
from skflow.estimators.progress import Progress
from skflow.estimators.snapshots import Snapshots
from skflow.estimators.validation import check_weight
from skflow.flow import Flow
from skflow.training.candidates import best_trained
from skflow.training.clock import Clock
from skflow.training.device import resolve_device
from skflow.training.fit import Fitted, fit_flow
from skflow.training.settings import Settings
from skflow.training.staged_fit import Prepared, Stage
from skflow.training.state import Epoch

ROUNDING = 1e-12  # of a score, relative to its size
PATIENT_ROWS = 5_000  # below, a part that is held out is so small that its score wavers for long
RISING = 0.02  # nats within n_iter_no_change epochs that are worth a warning at max_iter


class BaseFlow(SharedParameters, FlowAnswers, ArrayState, CallbackSupportMixin, BaseEstimator):
    """Density estimator, transformer and (with ``contamination``) outlier detector."""

    # -- what a subclass gives ----------------------------------------------------------------

    @abstractmethod
    def _candidates(
        self, data: FitData, seed: int, rng: np.random.RandomState, clock: Clock
    ) -> list[tuple[Flow, dict]]:
        """Flows as training finds them, each with the recipe to rebuild it from.

        The best held-out score decides between them after training; where nothing is held out, the
        first one is taken.
        """

    @abstractmethod
    def _rebuilt_flow(self, recipe: dict) -> Flow:
        """The flow of a recipe, its weights still to be loaded."""

    # -- what a subclass may change ------------------------------------------------------------

    def _check_bounds(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        return check_bounds(self.bounds, self._names)

    def _check_limits(self, bounds, X: np.ndarray, name: str) -> None:
        """Refuse rows that cannot be learned from."""
        check_within(bounds, X, name, self._names)

    def _find_noise_floor(self, rows: Rows) -> NoiseFloor:
        return find_noise_floor(rows.x.numpy())

    def _learning_rate(self) -> float:
        return float(self.learning_rate_init)

    def _training_noise(self, n_rows: int, n_features: int) -> float:
        """Deviation of the noise on encoded training rows."""
        return 0.0

    def _prepared_by(self) -> dict:
        """Parameters that what comes before the training depends on."""
        parameters = self.get_params(deep=False)
        return {name: v for name, v in parameters.items() if name not in self._only_train}

    def _continued(self) -> tuple[Flow, dict]:
        """The fitted flow, to be trained on, and its recipe."""
        return self.flow_, self._recipe

    # -- fitting ------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    @keeps_state_on_error
    def fit(self, X, y=None, sample_weight=None, *, X_val=None):
        """Fit the density to the rows of ``X``.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Complete numeric rows.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights: a row of weight 2 is that row given twice, one of weight 0 is
            left out. Their unit does not matter.
        X_val : array-like of shape (n_val, n_features), default=None
            Held-out rows for the choice of the start and for early stopping. Without it, the
            share ``validation_fraction`` of ``X`` is held out.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If ``X`` holds NaN or infinity, has fewer than two rows, or lies outside ``bounds``;
            if all weights are zero; if with ``warm_start`` a parameter has changed that says how
            the model is built, not how it is trained.
        """
        stage, clock = vars(self).pop("_stage", None) or Stage(), Clock(self.max_time)
        prepared = stage.prepared or self._prepare(X, sample_weight, X_val, clock)
        stage.prepared = prepared
        if stage.pause_after == 0:
            return self
        vars(self).update(prepared.found)
        data, candidates = prepared.data, prepared.candidates
        held_out = data.held_out if self.early_stopping or data.given else None
        told = UserRows(
            data.rows if held_out is None else held_out,
            self._schema,
            None if data.given else y,
            read=lambda: self._read_rows(X, reset=False),
        )
        progress = Progress(self, told, Snapshots(self, prepared.seed))
        progress.begin(max_epochs=self.max_iter * len(candidates))
        fitted = self._trained(prepared, stage, clock, progress)
        self._n_passes, self._optimizer_state = 0, None
        self._publish(fitted, prepared.seed)
        progress.end()
        self._warn_of(fitted)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    @keeps_state_on_error
    def partial_fit(self, X, y=None, sample_weight=None):
        """Go once over the rows of ``X``, from where the last call ended.

        The first call chooses the start from its rows, so give it a piece that looks like the
        rest. There is no early stopping: each call takes its steps. With ``contamination`` the
        threshold is that of the rows of the last call. Pickling keeps the weights and forgets the
        optimizer's moments.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            As `fit` with ``warm_start``.
        """
        continuing, clock = hasattr(self, "flow_"), Clock(self.max_time)
        rng = check_random_state(self.random_state)
        initial_seed, training_seed = (int(seed) for seed in rng.randint(2**31 - 1, size=2))
        if continuing:
            refuse_changes(self)
            data = self._read_more(X, sample_weight)
            flow, recipe = self._continued()
        else:
            data = self._read(X, sample_weight, None, rng, continuing=False)
            flow, recipe = self._candidates(data, initial_seed, rng, clock)[0]
        n_passes = getattr(self, "_n_passes", 0)
        started = Fitted(flow, data.all_to_train(), recipe)
        fitted = fit_flow(
            started,
            replace(self._settings(started.data, clock.left), max_iter=1),
            (training_seed + n_passes) % 2**31,
            optimizer_state=getattr(self, "_optimizer_state", None),
        )
        self._publish(fitted, training_seed, measured=not continuing)
        self._n_passes = n_passes + 1
        self._optimizer_state = fitted.outcome.optimizer_state
        self._warn_of(fitted)
        return self

    # -- read ---------------------------------------------------------------------------------

    def _prepare(self, X, sample_weight, X_val, clock: Clock) -> Prepared:
        """All of a fit before its training."""
        continuing = self.warm_start and hasattr(self, "flow_")
        rng = check_random_state(self.random_state)
        # Drawn first: neither may depend on how many rows the split then permutes.
        initial_seed, training_seed = (int(seed) for seed in rng.randint(2**31 - 1, size=2))
        if continuing:
            refuse_changes(self)
        else:
            self._forget_fit()
        before = dict(vars(self))
        data = self._read(X, sample_weight, X_val, rng, continuing=continuing)
        candidates = (
            [self._continued()] if continuing else self._candidates(data, initial_seed, rng, clock)
        )
        if not self.early_stopping:  # nothing to choose by
            candidates = candidates[:1]
        found = {k: v for k, v in vars(self).items() if k not in before or before[k] is not v}
        return Prepared(data, candidates, training_seed, found)

    def _read(
        self, X, sample_weight, X_val, rng: np.random.RandomState, *, continuing: bool
    ) -> FitData:
        """Validate the rows, look at them, and hold some out."""
        X = self._read_rows(X, reset=not continuing, min_rows=2)
        rows = Rows.of(X, check_weight(sample_weight, X))
        if X_val is not None:
            X_val = self._read_rows(X_val, reset=False)
        bounds = self.bounds_ if continuing else self._bounds_of(rows, X_val)
        self._check_limits(bounds, rows.x.numpy(), "X")
        rows, floor = merge_repetitions(rows, self._noise_floor(rows))
        if X_val is not None:
            self._check_limits(bounds, X_val, "X_val")
            parts: tuple[Rows, Rows | None] = rows, Rows.of(X_val)
        else:
            parts = split_rows(rows, self.validation_fraction, rng)
        if continuing:
            floor = replace(floor, width=self.noise_floor_)
        return FitData(rows, *parts, floor, bounds, given=X_val is not None)

    def _read_more(self, X, sample_weight) -> FitData:
        """Validate further rows, which are all trained on."""
        X = self._read_rows(X, reset=False)
        rows = Rows.of(X, check_weight(sample_weight, X))
        self._check_limits(self.bounds_, rows.x.numpy(), "X")
        floor = replace(self._find_noise_floor(rows), width=self.noise_floor_)
        rows, floor = merge_repetitions(rows, floor)
        return FitData(rows, rows, None, floor, self.bounds_)

    def _bounds_of(self, rows: Rows, X_val: np.ndarray | None):
        X = rows.x.numpy()
        return self._check_bounds(X if X_val is None else np.concatenate([X, X_val]))

    def _noise_floor(self, rows: Rows) -> NoiseFloor:
        """Find the noise floor; say once where it is not zero."""
        floor = self._find_noise_floor(rows)
        warn_of_repeats(floor.kinds, self._names)
        return floor

    # -- train --------------------------------------------------------------------------------

    def _trained(
        self, prepared: Prepared, stage: Stage, clock: Clock, progress: Progress
    ) -> Fitted:
        """Train the candidates, and choose."""
        data = prepared.data
        if self.early_stopping and data.held_out is None:  # nothing to judge by: the start stands
            flow, recipe = prepared.candidates[0]
            return Fitted(flow, data, recipe)
        data = data if self.early_stopping else data.all_to_train()
        left = None if clock.left is None else clock.left / len(prepared.candidates)
        settings = self._settings(data, left)
        return best_trained(replace(prepared, data=data), stage, settings, progress.after_epoch)

    def _settings(self, data: FitData, max_time: float | None) -> Settings:
        n, d = data.train.x.shape
        return Settings(
            max_iter=self.max_iter,
            batch_size=self._rows_per_step(n),
            learning_rate_init=self._learning_rate(),
            weight_decay=self.weight_decay,
            n_iter_no_change=self._patience(n),
            tol=self.tol,
            max_time=max_time,
            noise=self._training_noise(data.train.n_effective, d),
            device=resolve_device(self.device),
            dtype=getattr(torch, self.dtype),
        )

    def _patience(self, n: int) -> int:
        if self.n_iter_no_change != "auto":
            return int(self.n_iter_no_change)
        return 10 if n < PATIENT_ROWS else 5

    def _rows_per_step(self, n: int) -> int:
        if self.batch_size != "auto":
            return int(self.batch_size)
        # Twenty steps an epoch for most tables, two hundred for large ones.
        return int(np.clip(n / 20, 64, 512)) if n < 100_000 else min(n // 200, 4096)

    # -- publish ------------------------------------------------------------------------------

    def _forget_fit(self) -> None:
        """Drop what an earlier fit found out: the next one may not find all of it."""
        parameters = self.get_params(deep=False)
        for name in list(vars(self)):
            if name.endswith("_") and not name.startswith("_") and name not in parameters:
                delattr(self, name)

    def _publish(self, fitted: Fitted, seed: int, *, measured: bool = True) -> None:
        """Set the fitted attributes.

        Without ``measured``, what costs many passes (a bound's gap) stays as it was measured
        before.
        """
        outcome, rows = fitted.outcome, fitted.data.rows
        self._recipe = fitted.recipe
        self._built_by = building_parameters(self)
        self._noise_seed = seed
        self.flow_ = fitted.flow.eval().requires_grad_(False)
        self.noise_floor_ = fitted.data.floor.width
        self.bounds_ = fitted.data.bounds
        self.start_ = dict(self._recipe["start"])
        self.n_components_ = self.flow_.base.n_features
        self.n_iter_ = len(outcome.history)
        self.best_iter_ = outcome.best_epoch
        self.history_ = {
            field.name: [getattr(epoch, field.name) for epoch in outcome.history]
            for field in fields(Epoch)
            if field.name != "epoch"
        }
        self.start_score_ = outcome.start_score
        self.best_score_ = outcome.best_score
        self.exact_ = self.flow_.exact
        if measured:
            self.bound_gap_ = 0.0 if self.exact_ else self._measured_gap(rows)
        self._fitted_contamination = self.contamination
        self.__dict__.pop("offset_", None)
        if self.contamination is not None:
            weight = np.ones(len(rows)) if rows.weight is None else rows.weight.numpy()
            scores = self._score_rows(rows.x.numpy())
            quantile = weighted_quantile(scores, weight, self.contamination)
            # A little lower: the row whose score it is may score otherwise by rounding elsewhere.
            self.offset_ = quantile - ROUNDING * (1 + abs(quantile))

    def _warn_of(self, fitted: Fitted) -> None:
        outcome = fitted.outcome
        if outcome.n_rollbacks:
            warn(
                "the loss was not finite in some epochs; training went back to the last good "
                "weights with a smaller step. Lower learning_rate_init, or look for extreme values "
                "in X.",
                ConvergenceWarning,
            )
        if outcome.interrupted:
            warn("training was interrupted; the best weights so far are kept.", ConvergenceWarning)
        elif self._still_rises(fitted):
            warn(
                f"the held-out score was still rising at max_iter={self.max_iter}; raise max_iter "
                "for a better fit.",
                ConvergenceWarning,
            )

    def _still_rises(self, fitted: Fitted) -> bool:
        """Whether the last epochs gained what is neither small nor within the error."""
        outcome, held_out = fitted.outcome, fitted.data.held_out
        if held_out is None or len(outcome.history) < self.max_iter:
            return False
        scores = [outcome.start_score, *(epoch.validation_score for epoch in outcome.history)]
        patience = self._patience(len(fitted.data.train))
        gain = outcome.best_score - max(scores[:-patience] or scores[:1])
        if not gain > RISING:
            return False
        return gain > held_out.standard_error(torch.as_tensor(self._score_rows(held_out.x.numpy())))

    # -- scikit-learn's bookkeeping -----------------------------------------------------------

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        detects = self.contamination is not None
        tags.estimator_type = "outlier_detector" if detects else "density_estimator"
        return tags
