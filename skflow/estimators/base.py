"""BaseFlow: scikit-learn's contract for all flow estimators, once.

A subclass is a recipe: `_plan` turns sizes into plain values, `_started_flows` turns those and the
rows into a flow to be trained. Fitting is here, what a fitted flow answers in `fitted`.
"""

import copy
import warnings
from abc import ABC, abstractmethod
from dataclasses import fields

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.utils import check_random_state

from skflow._compat import (
    CallbackSupportMixin,
    _fit_context,
    weighted_quantile,
)
from skflow.data.noise_floor import NoiseFloor, find_noise_floor
from skflow.estimators.checks import check_bounds, check_weight, check_within
from skflow.estimators.fitted import FittedFlowMixin
from skflow.estimators.fitting import split_rows, train_flow
from skflow.estimators.frames import FrameTemplate
from skflow.estimators.parameters import SharedParameters
from skflow.estimators.starts import Rows
from skflow.estimators.state import ArrayStateMixin, keeps_state_on_error
from skflow.flow import Flow
from skflow.training.device import resolve_device
from skflow.training.loop import Epoch, Outcome, Settings

ROUNDING = 1e-12  # of a score, relative to its size
RISING = 0.02  # nats within n_iter_no_change epochs that are worth a warning at max_iter


class BaseFlow(
    SharedParameters, FittedFlowMixin, ArrayStateMixin, CallbackSupportMixin, BaseEstimator, ABC
):
    """Density estimator, transformer and (with ``contamination``) outlier detector."""

    # -- what a subclass gives ----------------------------------------------------------------

    @abstractmethod
    def _plan(self, n_rows: int, n_features: int) -> dict:
        """Resolve the architecture's parameters for this size, as plain values."""

    @abstractmethod
    def _started_flows(
        self,
        plans: list[dict],
        rows: Rows,
        train_rows: Rows,
        held_out: Rows | None,
        floor: NoiseFloor,
        bounds: tuple[np.ndarray, np.ndarray] | None,
        seed: int,
        rng: np.random.RandomState,
        *,
        given: bool,
    ) -> list[tuple[Flow, dict]]:
        """For every plan the flow as training finds it, and the recipe to rebuild it from.

        A flow is of two transforms: the fixed one and the learned one. ``given`` says that the
        held-out rows are the user's own.
        """

    @abstractmethod
    def _rebuilt_flow(self, recipe: dict) -> Flow:
        """The flow of a recipe, its weights still to be loaded."""

    # -- what a subclass may change ------------------------------------------------------------

    def _plans(self, n_rows: int, n_features: int) -> list[dict]:
        """Plans to choose from by held-out score; the first one where nothing is held out."""
        return [self._plan(n_rows, n_features)]

    def _check_bounds(self, X: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        return check_bounds(self.bounds, X.shape[1])

    def _find_noise_floor(self, X: np.ndarray) -> NoiseFloor:
        return find_noise_floor(X)

    def _learning_rate(self) -> float:
        return float(self.learning_rate_init)

    def _training_noise(self, n_rows: int, n_features: int) -> float:
        """Deviation of the noise on encoded training rows."""
        return 0.0

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
            Non-negative weights; a row of weight 0 is left out.
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
            if all weights are zero.
        """
        continuing = self.warm_start and hasattr(self, "flow_")
        frame = FrameTemplate.of(X)
        X = self._read_rows(X, reset=not continuing, min_rows=2)
        weight = check_weight(sample_weight, X)
        if X_val is not None:
            X_val = self._read_rows(X_val, reset=False)
        rows = positive_rows(X, weight)
        bounds = self._resolve_bounds(rows, X_val, continuing)
        check_within(bounds, rows.x.numpy(), "X")
        if X_val is not None:
            check_within(bounds, X_val, "X_val")
        floor = self._noise_floor(rows)
        plans = [self._recipe["plan"]] if continuing else self._plans(floor.n_distinct, X.shape[1])
        if not self.early_stopping:
            plans = plans[:1]  # nothing to choose by
        context = self._init_callback_context(max_subtasks=self.max_iter * len(plans))
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)

        rng = check_random_state(self.random_state)
        # Drawn first: neither may depend on how many rows the split then permutes.
        initial_seed, training_seed = (int(seed) for seed in rng.randint(2**31 - 1, size=2))
        if X_val is not None:
            train_rows, held_out = rows, Rows(torch.as_tensor(X_val), None)
        else:
            train_rows, held_out = split_rows(
                rows, self.validation_fraction, rng, floor.inseparable
            )
        if continuing:
            started = [(copy.deepcopy(self.flow_).cpu(), self._recipe)]
            width = self.noise_floor_
        else:
            width = floor.width
            started = self._started_flows(
                plans, rows, train_rows, held_out, floor, bounds, initial_seed, rng,
                given=X_val is not None,
            )  # fmt: skip
        judged = held_out is not None
        if not self.early_stopping:
            train_rows, held_out = rows, None

        stopped: list[bool] = []

        def on_epoch(epoch: Epoch) -> bool:
            if self.verbose:
                self._print(epoch)
            task = context.subcontext(task_name="epoch")
            task.call_on_fit_task_begin(estimator=self, X=X, y=y)
            stopped.append(bool(task.call_on_fit_task_end(estimator=self, X=X, y=y)))
            return stopped[-1]

        if self.early_stopping and not judged:  # nothing to judge by: the start stands
            (flow, recipe), outcome = started[0], Outcome()
        else:
            trained = []
            for flow, recipe in started:
                outcome = self._train(
                    flow, train_rows, held_out, width, training_seed, on_epoch,
                    share_of_time=1 / len(started),
                )  # fmt: skip
                trained.append((flow, recipe, outcome))
                if any(stopped):
                    break
            flow, recipe, outcome = max(trained, key=lambda one: one[2].best_score)
        self._n_passes, self._optimizer_state = 0, None
        self._finish(flow, recipe, outcome, X, weight, width, bounds, frame, training_seed)
        context.call_on_fit_task_end(estimator=self, X=X, y=y)
        self._warn_of(outcome)
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
        """
        first = not hasattr(self, "flow_")
        frame = FrameTemplate.of(X) if first else self._frame
        X = self._read_rows(X, reset=first, min_rows=2 if first else 1)
        weight = check_weight(sample_weight, X)
        rows = positive_rows(X, weight)
        bounds = self._resolve_bounds(rows, None, not first)
        check_within(bounds, rows.x.numpy(), "X")
        rng = check_random_state(self.random_state)
        initial_seed, training_seed = (int(seed) for seed in rng.randint(2**31 - 1, size=2))
        if first:
            floor = self._noise_floor(rows)
            width = floor.width
            parts = split_rows(rows, self.validation_fraction, rng, floor.inseparable)
            plans = self._plans(floor.n_distinct, X.shape[1])[:1]
            ((flow, recipe),) = self._started_flows(
                plans, rows, *parts, floor, bounds, initial_seed, rng, given=False
            )
        else:
            flow, recipe, width = copy.deepcopy(self.flow_).cpu(), self._recipe, self.noise_floor_
        n_passes = getattr(self, "_n_passes", 0)
        seed = (training_seed + n_passes) % 2**31
        outcome = self._train(
            flow, rows, None, width, seed, lambda epoch: False,
            max_iter=1, optimizer_state=getattr(self, "_optimizer_state", None),
        )  # fmt: skip
        self._finish(flow, recipe, outcome, X, weight, width, bounds, frame, training_seed)
        self._n_passes = n_passes + 1
        self._optimizer_state = outcome.optimizer_state
        return self

    def _resolve_bounds(self, rows: Rows, X_val, continuing: bool):
        """Bounds of the columns; those of the first fit where it goes on."""
        if continuing:
            return self.bounds_
        X = rows.x.numpy()
        return self._check_bounds(X if X_val is None else np.concatenate([X, X_val]))

    def _noise_floor(self, rows: Rows) -> NoiseFloor:
        """Find the noise floor; say once where it is not zero."""
        floor = self._find_noise_floor(rows.x.numpy())
        found = [f"{i} ({kind})" for i, kind in enumerate(floor.kinds) if kind != "continuous"]
        if found:
            warnings.warn(
                f"columns {', '.join(found[:10])}{' and more' if len(found) > 10 else ''} repeat "
                "their values, and a repeated value has no density. They are spread by uniform "
                "noise of the width in noise_floor_ (one step of a lattice), which bounds the "
                "density. SurVAEFlow models such columns exactly.",
                DataConversionWarning,
                stacklevel=5,
            )
        return floor

    def _rows_per_step(self, n: int) -> int:
        if self.batch_size != "auto":
            return int(self.batch_size)
        # Twenty steps an epoch for most tables, two hundred for large ones.
        return int(np.clip(n / 20, 64, 512)) if n < 100_000 else min(n // 200, 4096)

    def _train(
        self, flow, rows, held_out, width, seed, on_epoch, *,
        max_iter=None, optimizer_state=None, share_of_time=1.0,
    ) -> Outcome:  # fmt: skip
        n = len(rows)
        settings = Settings(
            max_iter=max_iter or self.max_iter,
            batch_size=self._rows_per_step(n),
            learning_rate_init=self._learning_rate(),
            weight_decay=self.weight_decay,
            n_iter_no_change=self.n_iter_no_change,
            tol=self.tol,
            max_time=None if self.max_time is None else share_of_time * self.max_time,
        )
        return train_flow(
            flow, rows, held_out, width, settings,
            device=resolve_device(self.device), dtype=getattr(torch, self.dtype),
            noise=self._training_noise(*rows.x.shape), seed=seed, on_epoch=on_epoch,
            optimizer_state=optimizer_state,
        )  # fmt: skip

    def _finish(self, flow, recipe, outcome, X, weight, width, bounds, frame, seed) -> None:
        """Set the fitted attributes; the threshold comes from all rows given."""
        self._recipe = recipe
        self._noise_seed = seed
        self.flow_ = flow.eval().requires_grad_(False)
        self._frame = frame
        self.noise_floor_ = width
        self.bounds_ = bounds
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
        self.exact_ = flow.exact
        self.bound_gap_ = 0.0 if flow.exact else self._measured_gap(X, weight)
        if self.contamination is not None:
            scores = self._score_rows(X)
            ones = np.ones(len(X)) if weight is None else weight
            quantile = weighted_quantile(scores, ones, self.contamination)
            # A little lower: the row whose score it is may score otherwise by rounding elsewhere.
            self.offset_ = quantile - ROUNDING * (1 + abs(quantile))

    def _warn_of(self, outcome: Outcome) -> None:
        if outcome.n_rollbacks:
            warnings.warn(
                f"the loss was not finite in {outcome.n_rollbacks} epochs; training went back to "
                "the last good weights with a smaller step. Lower learning_rate_init, or look "
                "for extreme values in X.",
                ConvergenceWarning,
                stacklevel=5,
            )
        if not self.early_stopping or len(outcome.history) < self.max_iter:
            return
        scores = [outcome.start_score, *(epoch.validation_score for epoch in outcome.history)]
        gain = outcome.best_score - max(scores[: -self.n_iter_no_change] or scores[:1])
        if gain > RISING:
            warnings.warn(
                f"the held-out score rose by {gain:.2f} nats in the last epochs before "
                f"max_iter={self.max_iter}; raise max_iter for a better fit.",
                ConvergenceWarning,
                stacklevel=5,
            )

    def _print(self, epoch: Epoch) -> None:
        if epoch.epoch % max(1, 10 // int(self.verbose)) == 0:
            print(
                f"[{type(self).__name__}] epoch {epoch.epoch}: loss {epoch.train_loss:.4f}, "
                f"held-out score {epoch.validation_score:.4f}, {epoch.seconds:.1f} s"
            )

    # -- scikit-learn's bookkeeping -----------------------------------------------------------

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        detects = self.contamination is not None
        tags.estimator_type = "outlier_detector" if detects else "density_estimator"
        return tags


def positive_rows(X: np.ndarray, weight: np.ndarray | None) -> Rows:
    """The rows whose weight is not 0."""
    if weight is None:
        return Rows(torch.tensor(X), None)
    kept = weight > 0
    if (weight[kept] == weight[kept][0]).all():  # a mask, not weights
        return Rows(torch.tensor(X[kept]), None)
    return Rows(torch.tensor(X[kept]), torch.tensor(weight[kept]))
