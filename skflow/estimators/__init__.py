"""The estimators: scikit-learn's interface to flows."""

from skflow.estimators.funnel_flow import FunnelFlow
from skflow.estimators.normalizing_flow import NormalizingFlow
from skflow.estimators.self_normalizing_flow import SelfNormalizingFlow

__all__ = ["FunnelFlow", "NormalizingFlow", "SelfNormalizingFlow"]
