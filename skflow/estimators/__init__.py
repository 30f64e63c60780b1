"""What users call."""

from skflow.estimators.normalizing_flow import NormalizingFlow

__all__ = ["NormalizingFlow"]
