"""The one table of estimators: a new estimator adds one line here."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.datasets import make_moons

from skflow import (
    FlowifiedMLP,
    FunnelFlow,
    MultiscaleFlow,
    NormalizingFlow,
    SelfNormalizingFlow,
    SurVAEFlow,
)

N_ROWS = 200


@dataclass(frozen=True)
class Case:
    """A small configuration of an estimator, and rows that suit it."""

    estimator: type
    settings: dict
    trains: dict  # what makes it begin below what training reaches
    make_rows: Callable = lambda: in_three_columns(N_ROWS)

    def make(self, **changes):
        """Build it unfitted; a second long, at most, to fit."""
        common = {"max_iter": 3, "max_mixture_components": 3, "random_state": 0}
        return self.estimator(**{**common, **self.settings, **changes})


def in_three_columns(n, seed=0):
    """Two moons and a column that follows the first: no Gaussian, in units of its own."""
    moons = make_moons(n, noise=0.1, random_state=seed)[0]
    third = 20 * moons[:, 0] + np.random.default_rng(seed).normal(size=n)
    return np.column_stack([moons, third])


def of_all_kinds(n, seed=0):
    """Categories, counts, numbers, missing cells."""
    rng = np.random.default_rng(seed)
    colour = rng.choice(["red", "green"], n)
    frame = pd.DataFrame(
        {
            "colour": colour,
            "size": rng.normal(np.where(colour == "red", 3.0, 0.0)),
            "count": rng.poisson(4, n),
            "weight": rng.gamma(2.0, size=n),
        }
    )
    frame.loc[::9, "size"] = np.nan
    return frame


SMALL = {"n_bins": 4, "hidden_layer_sizes": (8, 8)}
TRAINS = {"batch_size": 8, "max_iter": 8, "learning_rate_init": 3e-2}
STANDARD = {**TRAINS, "start": "standard", "base": "normal"}
ESTIMATORS = {
    "NormalizingFlow": Case(NormalizingFlow, {**SMALL, "n_layers": 2}, STANDARD),
    "SelfNormalizingFlow": Case(SelfNormalizingFlow, {"n_bins": 4}, STANDARD),
    "FunnelFlow": Case(FunnelFlow, {**SMALL, "n_components": 2, "n_layers": 1}, STANDARD),
    "FlowifiedMLP": Case(
        FlowifiedMLP,
        {"hidden_layer_sizes": (3, 2), "n_bins": 4, "decoder_hidden_layer_sizes": (8,)},
        STANDARD,
    ),
    "MultiscaleFlow": Case(MultiscaleFlow, {**SMALL, "n_layers": 1, "n_scales": 2}, STANDARD),
    "SurVAEFlow": Case(
        SurVAEFlow,
        {"hidden_layer_sizes": (8,)},
        {**TRAINS, "max_mixture_components": 1},
        lambda: of_all_kinds(N_ROWS),
    ),
}
