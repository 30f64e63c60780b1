"""skflow: density estimation with normalizing flows, as scikit-learn estimators.

The estimators are imported when they are first asked for: ``import skflow`` alone loads neither
torch nor scikit-learn.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "FlowifiedMLP": "skflow.estimators",
    "FunnelFlow": "skflow.estimators",
    "MultiscaleFlow": "skflow.estimators",
    "NormalizingFlow": "skflow.estimators",
    "SelfNormalizingFlow": "skflow.estimators",
    "SurVAEFlow": "skflow.estimators",
    "flowify": "skflow.flowification",
}

__all__ = ["FlowifiedMLP", "FunnelFlow", "MultiscaleFlow", "NormalizingFlow"]
__all__ += ["SelfNormalizingFlow", "SurVAEFlow", "__version__", "flowify"]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'skflow' has no attribute {name!r}")


def __dir__():
    return __all__
