"""What users call."""

from skflow.estimators.flowified_mlp import FlowifiedMLP
from skflow.estimators.funnel_flow import FunnelFlow
from skflow.estimators.multiscale_flow import MultiscaleFlow
from skflow.estimators.normalizing_flow import NormalizingFlow
from skflow.estimators.self_normalizing_flow import SelfNormalizingFlow
from skflow.estimators.survae_flow import SurVAEFlow

__all__ = [
    "FlowifiedMLP",
    "FunnelFlow",
    "MultiscaleFlow",
    "NormalizingFlow",
    "SelfNormalizingFlow",
    "SurVAEFlow",
]
