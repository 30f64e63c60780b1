"""Parameters that change while a fitted flow is trained on."""

import pickle

import numpy as np
import pytest

from skflow import MultiscaleFlow, NormalizingFlow, SelfNormalizingFlow
from skflow.estimators.changed_parameters import building_parameters
from tests.estimators.configurations import SIX, six_flows

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning"),
]
X = np.random.default_rng(0).normal(size=(60, 3))
BUILT_BY = {
    "NormalizingFlow": {"n_layers": 7, "architecture": "affine_coupling", "base": "mixture"},
    "SelfNormalizingFlow": {"start": "whiten", "logdet_gradient": "self", "activation": "spline"},
    "FunnelFlow": {"n_components": 2, "funnel": "dense", "decoder": "full"},
    "FlowifiedMLP": {"hidden_layer_sizes": (1,), "augment": "gaussian", "kernel_size": 3},
    "MultiscaleFlow": {"n_components": 2, "prior": "vae", "scale_floor": 0.1},
    "SurVAEFlow": {"symmetric": [0], "categorical_features": [1], "image_shape": (1, 1, 3)},
}
TRAINED_BY = {
    "contamination": 0.2,
    "max_iter": 1,
    "batch_size": 30,
    "learning_rate_init": 1e-4,
    "weight_decay": 0.0,
    "early_stopping": False,
    "validation_fraction": 0.2,
    "n_iter_no_change": 3,
    "tol": 0.1,
    "max_time": 60.0,
    "random_state": 5,
    "device": "cpu",
    "dtype": "float64",
}


def go_on(flow, how):
    return flow.fit(X) if how == "warm_start" else flow.partial_fit(X)


@pytest.mark.parametrize("how", ["warm_start", "partial_fit"])
@pytest.mark.parametrize("name", SIX)
def test_what_shapes_the_model_is_refused(name, how):
    flow = six_flows(warm_start=True)[name].fit(X)
    flow = pickle.loads(pickle.dumps(flow))
    expected = flow.score_samples(X)
    changes = {**BUILT_BY[name], "max_mixture_components": 5, "bounds": {0: (-9, 9)}}
    for parameter, value in changes.items():
        old = getattr(flow, parameter)
        if old == value:
            value = "smooth_leaky_relu"
        flow.set_params(**{parameter: value})
        with pytest.raises(ValueError, match=f"{parameter} was .* and is .* warm_start=False"):
            go_on(flow, how)
        flow.set_params(**{parameter: old})
    np.testing.assert_allclose(flow.score_samples(X), expected, rtol=1e-12)
    go_on(flow, how)


@pytest.mark.parametrize("how", ["warm_start", "partial_fit"])
@pytest.mark.parametrize("name", SIX)
def test_what_says_how_to_train_may_change(name, how):
    flow = go_on(six_flows(warm_start=True)[name].fit(X).set_params(**TRAINED_BY), how)
    assert flow.n_iter_ == 1
    assert hasattr(flow, "offset_")
    assert not TRAINED_BY.keys() & building_parameters(flow).keys()


def test_a_cold_fit_takes_all_changes():
    flow = six_flows()["NormalizingFlow"].fit(X)
    flow.set_params(n_layers=1, bounds={0: (-9, 9)}, base="mixture").fit(X)
    assert (flow._recipe["plan"]["n_layers"], flow.start_["base"]) == (1, "mixture")
    assert (flow.bounds_[0][0], flow.bounds_[1][0]) == (-9, 9)


def test_all_changes_are_named_with_old_and_new_value():
    flow = six_flows(warm_start=True)["NormalizingFlow"].fit(X)
    flow.set_params(n_layers=7, bounds={0: (5, 6)})
    with pytest.raises(ValueError, match=r"bounds was None and is \{0: \[5, 6\]\} now; n_layers"):
        flow.fit(X)


@pytest.mark.parametrize("how", ["warm_start", "partial_fit"])
def test_rows_outside_the_fitted_bounds_are_refused(how):
    flow = six_flows(warm_start=True)["NormalizingFlow"].set_params(bounds={0: (-9, 9)}).fit(X)
    flow.set_params(bounds={np.int64(0): [-9.0, 9]})  # the same ones
    go_on(flow, how)
    outside = X + np.array([20, 0, 0])
    with pytest.raises(ValueError, match="outside their bounds"):
        flow.fit(outside) if how == "warm_start" else flow.partial_fit(outside)


def test_a_learned_inverse_needs_its_gradient_on_a_warm_start_too():
    flow = SelfNormalizingFlow(
        logdet_gradient="exact", start="standard", base="normal", max_iter=1, warm_start=True
    ).fit(X)
    with pytest.raises(ValueError, match="needs logdet_gradient='self'"):
        flow.set_params(inverse="learned").fit(X)


def test_a_truncated_flow_is_trained_on():
    flow = MultiscaleFlow(hidden_layer_sizes=(8,), max_iter=1, random_state=0).fit(X)
    shorter = flow.truncate(1).partial_fit(X)
    assert shorter.transform(X).shape == (60, 1)
    with pytest.raises(ValueError, match="n_components was 1 and is None now"):
        shorter.set_params(n_components=None).partial_fit(X)


def test_equal_values_of_other_types_are_no_change():
    flow = NormalizingFlow(hidden_layer_sizes=(8, 8), max_iter=1, warm_start=True).fit(X)
    flow.set_params(hidden_layer_sizes=np.array([8, 8]), n_bins=np.int64(8)).fit(X)
