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
