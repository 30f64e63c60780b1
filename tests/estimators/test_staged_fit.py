import pickle

import numpy as np
import pytest
from sklearn.base import clone

from skflow import MultiscaleFlow
from skflow.training.staged_fit import Stage
from tests.estimators.configurations import six_flows

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 4))
X[:, 1] += X[:, 0] ** 2
X[:, 2] *= np.exp(0.5 * X[:, 3])
NAMES = list(six_flows())
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def in_stages(flow, X, *pauses, prepared=None):
    """Fit as a search does: in parts, all that is kept going through a file in between."""
    paused = []
    for pause in pauses:
        stage = Stage(prepared, pause, paused)
        flow = clone(flow)
        flow._stage = stage
        flow.fit(X)
        prepared, paused = pickle.loads(pickle.dumps((stage.prepared, stage.paused)))
    return flow, prepared


@pytest.mark.parametrize("name", NAMES)
def test_a_fit_in_stages_is_the_fit_at_once(name):
    whole = six_flows()[name].set_params(max_iter=6).fit(X)
    staged, _ = in_stages(whole, X, 0, 2, 3, None)
    assert staged.n_iter_ == whole.n_iter_
    assert staged.history_["validation_score"] == whole.history_["validation_score"]
    np.testing.assert_array_equal(staged.score_samples(X), whole.score_samples(X))


@pytest.mark.parametrize("name", NAMES)
def test_a_pause_publishes_what_stands(name):
    flow = six_flows()[name].set_params(max_iter=6)
    paused, _ = in_stages(flow, X, 2)
    short = clone(flow).set_params(max_iter=2).fit(X)
    assert paused.n_iter_ == 2
    np.testing.assert_array_equal(paused.score_samples(X), short.score_samples(X))


@pytest.mark.parametrize("name", NAMES)
def test_another_candidate_trains_on_what_one_prepared(name):
    one = six_flows()[name].set_params(max_iter=3)
    other = clone(one).set_params(
        learning_rate_init=3e-3, weight_decay=0.1, batch_size=40, contamination=0.1
    )
    assert one._prepared_by() == other._prepared_by()
    _, prepared = in_stages(one, X, 0)
    shared, _ = in_stages(other, X, None, prepared=prepared)
    alone = clone(other).fit(X)
    np.testing.assert_array_equal(shared.score_samples(X), alone.score_samples(X))
    assert shared.offset_ == alone.offset_
    np.testing.assert_array_equal(shared.sample(5, random_state=0), alone.sample(5, random_state=0))


def test_a_ranking_by_a_training_depends_on_how_that_trains():
    one = MultiscaleFlow(factor_out="likelihood")
    assert one._prepared_by() != clone(one).set_params(learning_rate_init=1e-2)._prepared_by()
    one.set_params(factor_out="variance")
    assert one._prepared_by() == clone(one).set_params(learning_rate_init=1e-2)._prepared_by()


def test_a_stage_is_for_one_fit():
    flow = six_flows()["NormalizingFlow"].set_params(max_iter=2)
    flow._stage = Stage(pause_after=0)
    flow.fit(X)
    assert not hasattr(flow, "flow_")
    flow.fit(X)
    assert flow.n_iter_ == 2


def test_the_time_for_a_fit_is_for_its_start_too():
    one = six_flows()["NormalizingFlow"]
    assert one._prepared_by() != clone(one).set_params(max_time=5.0)._prepared_by()
