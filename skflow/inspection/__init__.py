"""What a fitted flow says about data, beyond its scores."""

from skflow.inspection.bits import bits_per_dimension

__all__ = ["bits_per_dimension"]
