"""The state of all six estimators: arrays and plain values, of a known format."""

import pickle

import numpy as np
import pandas as pd
import pytest

from skflow import NormalizingFlow, SurVAEFlow
from tests.estimators.configurations import SIX, six_flows
from tests.estimators.test_rows_out import FRAME, N

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning"),
]
RNG = np.random.default_rng(1)


def odd_parts(value, path="state"):
    """Whatever is neither an array nor a plain value, with its place."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from odd_parts(key, f"{path} key")
            yield from odd_parts(one, f"{path}[{key!r}]")
    elif type(value) in (list, tuple):
        for i, one in enumerate(value):
            yield from odd_parts(one, f"{path}[{i}]")
    elif isinstance(value, np.ndarray):
        if value.dtype == object:
            yield from odd_parts(value.tolist(), path)
        elif type(value) is not np.ndarray:
            yield path, type(value)
    elif not isinstance(value, str | bytes | bool | int | float | np.generic | type(None)):
        yield path, type(value)


@pytest.mark.parametrize("kind", ["frame", "array"])
@pytest.mark.parametrize("name", SIX)
def test_the_state_is_arrays_and_plain_values(name, kind):
    frame = FRAME
    if name == "SurVAEFlow":  # which takes more
        frame = FRAME.assign(
            text=RNG.choice(["x", "y"], N),
            width=pd.cut(RNG.normal(size=N), 3),
            string=pd.array(RNG.choice(["u", "v"], N), dtype="string"),
        )
    X = frame if kind == "frame" else RNG.normal(size=(60, 2))
    flow = six_flows()[name].set_params(contamination=0.1).fit(X)
    assert list(odd_parts(flow.__getstate__())) == []
    flow.partial_fit(X)
    assert list(odd_parts(flow.__getstate__())) == []
    loaded = pickle.loads(pickle.dumps(flow))
    np.testing.assert_allclose(loaded.score_samples(X), flow.score_samples(X), rtol=1e-12)
    drawn, again = (one.sample(9, random_state=0) for one in (flow, loaded))
    if kind == "frame":
        pd.testing.assert_frame_equal(drawn, again)
        assert (again.dtypes == frame.dtypes).all()
    else:
        np.testing.assert_array_equal(drawn, again)
    assert list(odd_parts(loaded.__getstate__())) == []


@pytest.mark.parametrize(
    "parameters",
    [
        {"image_shape": (1, 4, 4), "n_layers": 1},
        {"input_shape": (8, 2), "n_layers": 1},
        {"symmetric": [0], "exchangeable": [[1, 2]], "periodic": {3: 6.0}},
    ],
)
def test_the_state_of_other_rows_is_plain_too(parameters):
    X = RNG.normal(size=(60, 16))
    X = np.rint(X) if "image_shape" in parameters else X
    flow = SurVAEFlow(**parameters, hidden_layer_sizes=(8,), max_iter=1, random_state=0).fit(X)
    assert list(odd_parts(flow.__getstate__())) == []


def test_state_of_another_format_says_what_to_do():
    flow = NormalizingFlow(max_iter=1, random_state=0).fit(RNG.normal(size=(60, 2)))
    state = flow.__getstate__()
    for form in (1, 2, 4):
        with pytest.raises(
            ValueError, match=f"format {form}, and skflow .*: fit it again, or load"
        ):
            NormalizingFlow().__setstate__({**state, "_skflow_format": form})
    older = {key: value for key, value in state.items() if key != "_skflow_format"}
    with pytest.raises(ValueError, match="format 1"):
        NormalizingFlow().__setstate__(older)
    pickle.loads(pickle.dumps(NormalizingFlow()))  # nothing fitted, nothing to read
