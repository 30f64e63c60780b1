"""A second fit: nothing of the first one is left over."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from skflow import MultiscaleFlow, SurVAEFlow
from tests.estimators.configurations import SIX, six_flows

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning"),
]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))


def fitted_names(flow):
    return {name for name in vars(flow) if name.endswith("_")}


@pytest.mark.parametrize("name", SIX)
def test_a_refit_leaves_what_a_first_fit_leaves(name):
    frame = pd.DataFrame(X, columns=list("abc"))
    flow = six_flows(contamination=0.1)[name].fit(frame)
    flow.left_over_ = 1
    flow.set_params(contamination=None).fit(5 * X)
    first = six_flows()[name].fit(5 * X)
    assert fitted_names(flow) == fitted_names(first)
    assert not {"offset_", "feature_names_in_"} & fitted_names(flow)
    np.testing.assert_array_equal(flow.score_samples(X), first.score_samples(X))


@pytest.mark.parametrize("how", ["warm_start", "partial_fit"])
@pytest.mark.parametrize("name", SIX)
def test_a_threshold_is_gone_when_a_fit_goes_on_without(name, how):
    flow = six_flows(contamination=0.1, warm_start=True)[name].fit(X)
    flow.set_params(contamination=None)
    flow = flow.fit(X) if how == "warm_start" else flow.partial_fit(X)
    assert not hasattr(flow, "offset_")
    flow.set_params(contamination=0.2)
    flow = flow.fit(X) if how == "warm_start" else flow.partial_fit(X)
    assert (flow.predict(X) == -1).sum() == 12


def test_kinds_of_columns_and_rankings_go_with_the_fit_they_are_of():
    flow = SurVAEFlow(hidden_layer_sizes=(8,), max_iter=1, random_state=0).fit(X)
    assert "column_kinds_" in fitted_names(flow)
    images = np.rint(3 * RNG.normal(size=(60, 16)))
    flow.set_params(image_shape=(1, 4, 4), n_layers=1).fit(images)
    assert "column_kinds_" not in fitted_names(flow)
    assert "a: " not in repr(flow)

    flow = MultiscaleFlow(factor_out="variance", prior="vae", max_iter=1, random_state=0).fit(X)
    assert flow.ranking_ is not None
    flow.set_params(prior="normal", factor_out="entropy").fit(X)
    assert flow.ranking_ is None


@pytest.mark.parametrize("name", SIX)
@pytest.mark.parametrize(("first", "then"), [(None, 0.1), (0.1, 0.4)])
def test_a_threshold_of_another_contamination_is_refused(name, first, then):
    flow = six_flows(contamination=first)[name].fit(X).set_params(contamination=then)
    for one in (flow, pickle.loads(pickle.dumps(flow))):
        for judge in (one.predict, one.decision_function):
            with pytest.raises(NotFittedError, match=rf"contamination={first}.*fit it again"):
                judge(X)
    assert np.isfinite(flow.score_samples(X)).all()
    assert (flow.fit_predict(X) == -1).sum() == round(then * len(X))
    with pytest.raises(NotFittedError, match="not fitted yet"):
        six_flows(contamination=0.1)[name].predict(X)


def test_a_fit_that_fails_keeps_the_earlier_one():
    flow = six_flows(contamination=0.1)["NormalizingFlow"].fit(X)
    expected = flow.predict(X)
    with pytest.raises(ValueError, match="NaN"):
        flow.fit(np.full_like(X, np.nan))
    np.testing.assert_array_equal(flow.predict(X), expected)
