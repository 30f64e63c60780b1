"""What is to be built, in plain values: from them the same modules, today or out of a file."""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields
from typing import Self

import numpy as np
import torch

from skflow.flow import Flow


def as_plain(value):
    """Tuples for lists, Python's numbers for NumPy's."""
    if isinstance(value, list | tuple):
        return tuple(as_plain(one) for one in value)
    return value.item() if isinstance(value, np.generic) else value


@dataclass(frozen=True)
class Plan(ABC):
    """A flow before it is built: its sizes and kinds, no weights."""

    def __post_init__(self):
        for field in fields(self):
            object.__setattr__(self, field.name, as_plain(getattr(self, field.name)))

    @abstractmethod
    def flow(self, generator: torch.Generator | None) -> Flow:
        """Build it; what data or a file decide is still to be set."""

    def to_plain(self) -> dict:
        """Fields by name, as numbers, strings, tuples and dicts."""
        return asdict(self)

    @classmethod
    def from_plain(cls, values: dict) -> Self:
        """From the fields by name."""
        return cls(**values)
