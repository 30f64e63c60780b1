"""All six estimators leave global random numbers, dtypes and threads as they are."""

import pickle
import random

import numpy as np
import pandas as pd
import pytest
import torch
from threadpoolctl import threadpool_info

from skflow import SurVAEFlow
from tests.estimators.configurations import SIX, six_flows

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning"),
]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 4))


def global_state():
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002
    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": (kind, keys.tolist(), *rest),
        "python": random.getstate(),
        "dtype": torch.get_default_dtype(),
        "torch's threads": torch.get_num_threads(),
        "threads": {one["filepath"]: one["num_threads"] for one in threadpool_info()},
    }


def use(flow, rows):
    flow.fit(rows)
    flow.score_samples(rows)
    flow.sample(5, random_state=0)
    flow.inverse_transform(flow.transform(rows))
    flow.partial_fit(rows)
    flow.set_params(warm_start=True).fit(rows)
    loaded = pickle.loads(pickle.dumps(flow))
    loaded.score_samples(rows)
    if isinstance(flow, SurVAEFlow) and hasattr(flow, "impute"):
        holes = rows.copy()
        holes[::3, 1] = np.nan
        for strategy in ("sample", "median"):
            loaded.impute(holes, strategy=strategy, random_state=0)


@pytest.mark.parametrize("start", ["auto", "marginal"])
@pytest.mark.parametrize("name", SIX)
def test_global_state_is_left_alone(name, start):
    flow = six_flows()[name]
    if name != "SurVAEFlow":
        flow.set_params(start=start, base="auto", max_mixture_components=2)
    before = global_state()
    use(flow, X)
    assert global_state() == before


@pytest.mark.parametrize(
    "parameters",
    [
        {"image_shape": (1, 2, 2)},
        {"input_shape": (2, 2)},
        {"input_shape": (2, 2), "symmetry": "sort"},
        {"symmetric": [0], "exchangeable": [[2, 3]], "categorical_features": []},
    ],
)
def test_nor_by_other_rows(parameters):
    rows = np.rint(3 * X) if "image_shape" in parameters else X
    flow = six_flows()["SurVAEFlow"].set_params(n_layers=1, **parameters)
    before = global_state()
    use(flow, rows)
    assert global_state() == before


def test_nor_by_frames_with_categories_and_holes():
    frame = pd.DataFrame({"a": RNG.choice(["x", "y"], 80), "b": X[:, 1], "c": X[:, 2].round()})
    frame.loc[::7, "b"] = np.nan
    flow = six_flows()["SurVAEFlow"].fit(frame)
    before = global_state()
    flow.fit(frame).impute(frame, strategy="mean", random_state=0)
    assert global_state() == before
