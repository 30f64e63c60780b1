"""The seconds that a fit may take, all of its parts together."""

import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Clock:
    """Runs from where it is made.

    Parameters
    ----------
    max_time : float, optional
        Seconds; None for no limit.
    """

    max_time: float | None = None
    _started: float = field(default_factory=lambda: time.monotonic())

    @property
    def left(self) -> float | None:
        """Seconds until the limit, at least a millisecond; None without a limit."""
        if self.max_time is None:
            return None
        return max(1e-3, self.max_time - (time.monotonic() - self._started))

    def past(self, share: float) -> bool:
        """Whether this share of the time is over."""
        if self.max_time is None:
            return False
        return time.monotonic() - self._started > share * self.max_time
