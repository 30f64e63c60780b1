"""What users call."""

from skflow.estimators.normalizing_flow import NormalizingFlow
from skflow.estimators.self_normalizing_flow import SelfNormalizingFlow

__all__ = ["NormalizingFlow", "SelfNormalizingFlow"]
