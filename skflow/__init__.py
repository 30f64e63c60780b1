"""skflow: density estimation with normalizing flows, as scikit-learn estimators.

The estimators are imported when they are first asked for: ``import skflow`` alone loads neither
torch nor scikit-learn.
"""

__version__ = "0.1.0"

__all__ = ["FunnelFlow", "NormalizingFlow", "SelfNormalizingFlow", "__version__"]


def __getattr__(name: str):
    if name in __all__:
        from skflow import estimators

        return getattr(estimators, name)
    raise AttributeError(f"module 'skflow' has no attribute {name!r}")


def __dir__():
    return __all__
