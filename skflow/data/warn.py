"""Warnings at the user's line, each shown once there."""

import re
import sys
import warnings
from types import FrameType

INSIDE = re.compile(r"(skflow|sklearn|joblib)(\.|$)")
_SHOWN: set[tuple] = set()


def warn(text: str, category: type[Warning]) -> None:
    """Warn where the first call from outside of skflow and scikit-learn came from.

    Where Python's rule is once per line and text, that holds for a whole search: scikit-learn
    resets Python's own memory of it before every fold.
    """
    frame = _calling_frame()
    place = frame.f_code.co_filename, frame.f_lineno
    module = frame.f_globals.get("__name__", "<unknown>")
    if _action(text, category, module, frame.f_lineno) == "default":
        if (text, category, *place) in _SHOWN:
            return
        _SHOWN.add((text, category, *place))
    warnings.warn_explicit(text, category, *place, module=module)


def _calling_frame() -> FrameType:
    frame = sys._getframe(2)
    while frame.f_back and INSIDE.match(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    return frame


def _action(text: str, category: type[Warning], module: str, line: int) -> str:
    """What Python's filters say to such a warning."""
    for action, message, kind, where, at in warnings.filters:
        if (
            _matches(message, text)
            and issubclass(category, kind)
            and _matches(where, module)
            and at in (0, line)
        ):
            return action
    return "default"


def _matches(pattern, text: str) -> bool:
    if pattern is None or isinstance(pattern, str):
        return pattern in (None, text)
    return bool(pattern.match(text))
