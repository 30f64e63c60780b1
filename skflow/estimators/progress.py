"""What a user sees of a fit while it runs: printed lines and scikit-learn's callbacks."""

from collections.abc import Callable
from functools import cached_property

import numpy as np

from skflow._compat import name_default_scores
from skflow.data.rows import Rows
from skflow.estimators.snapshots import Snapshots
from skflow.training.fit import Fitted
from skflow.training.state import Epoch


class ToldRows:
    """The rows that callbacks are told of: those held out, or all where none are.

    Parameters
    ----------
    estimator : BaseFlow
    X, y : array-like
        As given to `fit`.
    rows : Rows
        To tell of.
    given : bool
        Whether they are the user's own held-out rows, no part of ``X``.
    """

    def __init__(self, estimator, X, y, rows: Rows, *, given: bool):
        self._estimator, self._given_X, self._given_y = estimator, X, y
        self._rows, self._given = rows, given

    @cached_property
    def X(self):
        """A table of the user's kind."""
        schema, values = self._estimator._schema, self._rows.x.numpy()
        return values if schema is None else schema.write(values)

    @cached_property
    def y(self) -> np.ndarray:
        """Their ``y``; zeros where there is none, as monitors score only where they get one."""
        if self._given or np.shape(self._given_y)[:1] != np.shape(self._given_X)[:1]:
            return np.zeros(len(self._rows))
        values = self._estimator._read_rows(self._given_X, reset=False)
        # The first of equal rows, which stands for the others where repetitions are merged.
        position = {row.tobytes(): i for i, row in reversed(list(enumerate(values)))}
        return np.asarray(self._given_y)[[position[row.tobytes()] for row in self._rows.x.numpy()]]

    @property
    def metadata(self) -> dict | None:
        """How many rows each counts as, where they differ."""
        weight = self._rows.weight_array()
        return None if weight is None else {"sample_weight": weight}


class Progress:
    """Tells callbacks of the beginning of a fit, of its epochs and of its end.

    Parameters
    ----------
    estimator : BaseFlow
    rows : ToldRows
    snapshots : Snapshots

    Attributes
    ----------
    stopped : bool
        Whether a callback asked to stop.
    """

    def __init__(self, estimator, rows: ToldRows, snapshots: Snapshots):
        self._estimator, self._snapshots = estimator, snapshots
        self.stopped = False
        # Functions are called where a callback asks for what they give.
        self._told = {
            "estimator": estimator,
            "X": lambda: rows.X,
            "y": lambda: rows.y,
            "metadata": lambda: rows.metadata,
        }

    def begin(self, *, max_epochs: int) -> None:
        """Tell that the training begins."""
        self._context = self._estimator._init_callback_context(max_subtasks=max_epochs)
        name_default_scores(self._estimator)
        self._context.call_on_fit_task_begin(**self._told)

    def after_epoch(self, epoch: Epoch, so_far: Callable[[], Fitted]) -> bool:
        """Tell of an epoch; whether a callback asked to stop."""
        self._print(epoch)
        task = self._context.subcontext(task_name="epoch")
        task.call_on_fit_task_begin(**self._told)
        asked = task.call_on_fit_task_end(
            **self._told,
            reconstruction_attributes=lambda: self._snapshots.attributes(so_far()),
        )
        self.stopped |= bool(asked)
        return self.stopped

    def end(self) -> None:
        """Tell that the fit is done."""
        self._context.call_on_fit_task_end(**self._told)

    def _print(self, epoch: Epoch) -> None:
        verbose = int(self._estimator.verbose)
        if verbose and epoch.epoch % max(1, 10 // verbose) == 0:
            print(
                f"[{type(self._estimator).__name__}] epoch {epoch.epoch}: loss "
                f"{epoch.train_loss:.4f}, held-out score {epoch.validation_score:.4f}, "
                f"{epoch.seconds:.1f} s"
            )
