"""What a user sees of a fit while it runs: printed lines and scikit-learn's callbacks."""

from collections.abc import Callable

from skflow.flow import Flow
from skflow.training.fit import Fitted
from skflow.training.state import Epoch


class Progress:
    """Tells callbacks of the beginning of a fit, of its epochs and of its end.

    Parameters
    ----------
    estimator : BaseFlow
    X, y : array-like
        As given to `fit`.
    max_epochs : int

    Attributes
    ----------
    stopped : bool
        Whether a callback asked to stop.
    """

    def __init__(self, estimator, X, y, *, max_epochs: int):
        self.estimator, self.X, self.y = estimator, X, y
        self.stopped = False
        self._context = estimator._init_callback_context(max_subtasks=max_epochs)
        self._context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)

    def after_epoch(self, started: Fitted) -> Callable[[Epoch, Callable[[], Flow]], bool]:
        """What the training of this candidate is to call after every epoch."""

        def on_epoch(epoch: Epoch, flow: Callable[[], Flow]) -> bool:
            self._print(epoch)
            task = self._context.subcontext(task_name="epoch")
            told = {"estimator": self.estimator, "X": self.X, "y": self.y}
            task.call_on_fit_task_begin(**told)
            self.stopped |= bool(task.call_on_fit_task_end(**told))
            return self.stopped

        return on_epoch

    def end(self) -> None:
        """Tell that the fit is done."""
        self._context.call_on_fit_task_end(estimator=self.estimator, X=self.X, y=self.y)

    def _print(self, epoch: Epoch) -> None:
        verbose = int(self.estimator.verbose)
        if verbose and epoch.epoch % max(1, 10 // verbose) == 0:
            print(
                f"[{type(self.estimator).__name__}] epoch {epoch.epoch}: loss "
                f"{epoch.train_loss:.4f}, held-out score {epoch.validation_score:.4f}, "
                f"{epoch.seconds:.1f} s"
            )
