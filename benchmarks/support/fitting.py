"""Fits by the clock."""

import time
import warnings

from sklearn.exceptions import ConvergenceWarning, DataConversionWarning


class Clock:
    """Seconds since it was made."""

    def __init__(self):
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def seconds(self) -> float:
        return time.perf_counter() - self.wall

    def cpu_seconds(self) -> float:
        return time.process_time() - self.cpu


def fitted(model, X, X_val=None):
    """Fit without warnings of convergence and of rounded columns; also the seconds it took."""
    clock = Clock()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", DataConversionWarning)
        model.fit(X, X_val=X_val)
    return model, clock.seconds()


def seconds_to(score: float, model, seconds: float) -> float | None:
    """Seconds of a fit that took ``seconds`` until held-out rows had this score; None if never."""
    trained = [0.0, *model.history_["seconds"]]
    scores = [model.start_score_, *model.history_["validation_score"]]
    reached = [one >= score for one in scores]
    return seconds - trained[-1] + trained[reached.index(True)] if any(reached) else None
