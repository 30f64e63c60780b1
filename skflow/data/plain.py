"""Plain values: what can be compared, and kept in a file."""

from collections.abc import Iterable, Mapping
from typing import Any


def plain(value: Any) -> Any:
    """A value in lists, dictionaries and Python's own scalars."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {plain(key): plain(one) for key, one in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [plain(one) for one in value]
    return value
