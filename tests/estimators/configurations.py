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


def six_flows(**changes):
    """One small flow of every estimator, by name."""
    from skflow import FlowifiedMLP, FunnelFlow, MultiscaleFlow, SelfNormalizingFlow, SurVAEFlow

    short = {"max_iter": 2, "random_state": 0, **changes}
    small = {**short, "hidden_layer_sizes": (8,)}
    plain = {"start": "standard", "base": "normal"}
    flows = [
        NormalizingFlow(**small, **plain),
        SelfNormalizingFlow(**short, **plain),
        FunnelFlow(1, **small, **plain),
        FlowifiedMLP((2,), **short, **plain),
        MultiscaleFlow(**small, **plain),
        SurVAEFlow(**small, max_mixture_components=2),
    ]
    return {type(flow).__name__: flow for flow in flows}


SIX = tuple(six_flows())
