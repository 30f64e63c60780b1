"""Configurations of the estimator that many tests share."""

from skflow import NormalizingFlow

# Everything deterministic and full-batch: no held-out part, no noise, one step per epoch.
PLAIN = {
    "start": "standard",
    "base": "normal",
    "n_bins": 3,
    "max_iter": 3,
    "batch_size": 1_000_000,
    "noise": 0.0,
    "early_stopping": False,
    "dtype": "float64",
    "device": "cpu",
}
TRAINED_FULLY = {**PLAIN, "n_layers": 1}
FULL_BATCH = {**TRAINED_FULLY, "hidden_layer_sizes": (4,)}
QUICK = {"n_layers": 2, "hidden_layer_sizes": (8, 8), "n_bins": 4, "max_iter": 3, "random_state": 0}


def quick_flow(**changes):
    """Return a small flow with otherwise default behaviour."""
    return NormalizingFlow(**{**QUICK, **changes})
