"""What a user sees of a fit while it runs: printed lines and scikit-learn's callbacks."""

from collections.abc import Callable

from skflow._compat import name_default_scores
from skflow.data.user_rows import UserRows
from skflow.estimators.snapshots import Snapshots
from skflow.training.fit import Fitted
from skflow.training.state import Epoch


class Progress:
    """Tells callbacks of the beginning of a fit, of its epochs and of its end.

    Parameters
    ----------
    estimator : BaseFlow
    rows : UserRows
        To tell of.
    snapshots : Snapshots
    """

    def __init__(self, estimator, rows: UserRows, snapshots: Snapshots):
        self._estimator, self._snapshots = estimator, snapshots
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
        return bool(asked)

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
