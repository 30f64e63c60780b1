"""What callbacks are told while a fit runs."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.model_selection import GridSearchCV

from skflow import FunnelFlow, NormalizingFlow
from tests.estimators.configurations import SIX, six_flows

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning"),
]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 3))


class Keeper:
    """Keeps what it is told after every epoch; may stop the fit."""

    def __init__(self, stop_after=None):
        self.stop_after, self.epochs = stop_after, []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, *, X, y):
        assert len(X) == len(y)

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        if context.task_name != "epoch":
            return None
        self.epochs.append((fitted_estimator, X, y, metadata))
        return len(self.epochs) == self.stop_after


class Watcher(Keeper):
    """Asks for nothing but to be called."""

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.epochs.append(context.task_name)


def watched(flow, rows=X, **fit):
    keeper = Keeper()
    flow.set_callbacks(keeper).fit(rows, **fit)
    return flow, keeper.epochs


@pytest.mark.parametrize("name", SIX)
def test_snapshots_answer_with_the_weights_that_the_epoch_judged(name):
    flow, epochs = watched(six_flows(max_iter=3, contamination=0.1)[name])
    assert len(epochs) == flow.n_iter_ == 3
    for i, (snapshot, rows, y, metadata) in enumerate(epochs):
        assert snapshot is not flow
        assert snapshot.n_iter_ == snapshot.best_iter_ == i + 1
        for key, values in flow.history_.items():
            assert snapshot.history_[key] == values[: i + 1]
        assert snapshot.start_score_ == flow.start_score_
        assert (len(rows), metadata) == (8, None)
        np.testing.assert_array_equal(y, np.zeros(8))
        # Trained in float32; a bound has other draws.
        atol = 1e-3 if flow.exact_ else 0.5
        assert snapshot.score(rows) == pytest.approx(flow.history_["validation_score"][i], abs=atol)
        loaded = pickle.loads(pickle.dumps(snapshot))
        np.testing.assert_allclose(loaded.score_samples(X), snapshot.score_samples(X), rtol=1e-12)
        Z = loaded.transform(X)
        assert Z.shape == (80, snapshot.n_components_)
        assert loaded.inverse_transform(Z).shape == X.shape
        assert loaded.sample(4, random_state=0).shape == (4, 3)
        assert set(loaded.predict(X)) == {-1, 1}
        fitted = {key for key in vars(flow) if key.endswith("_")}
        assert fitted == {key for key in vars(snapshot) if key.endswith("_")}
    if flow.best_iter_:
        best = epochs[flow.best_iter_ - 1][0]
        np.testing.assert_array_equal(best.score_samples(X), flow.score_samples(X))


@pytest.mark.parametrize("name", SIX)
def test_watching_changes_nothing(name):
    plain = six_flows()[name].fit(X)
    flow, _ = watched(six_flows()[name])
    np.testing.assert_array_equal(flow.score_samples(X), plain.score_samples(X))
    assert vars(flow).keys() - vars(plain).keys() == {"_skl_callbacks"}
    assert len(pickle.dumps(flow)) < 1.01 * len(pickle.dumps(plain))


def test_snapshots_are_made_only_for_callbacks_that_ask(monkeypatch):
    published = []
    publish = NormalizingFlow._publish
    monkeypatch.setattr(
        NormalizingFlow, "_publish", lambda self, *a, **k: published.append(publish(self, *a, **k))
    )
    watcher = Watcher()
    six_flows(max_iter=3)["NormalizingFlow"].set_callbacks(watcher).fit(X)
    assert watcher.epochs == ["epoch", "epoch", "epoch", "fit"]
    assert len(published) == 1


@pytest.mark.parametrize("scoring", [None, {"density": lambda flow, X, y: flow.score(X)}])
def test_a_monitor_logs_the_held_out_score(scoring):
    monitor = ScoringMonitor(scoring=scoring)
    flow = NormalizingFlow(max_iter=5, hidden_layer_sizes=(8,), random_state=0)
    flow.set_callbacks(monitor).fit(X)
    logged = [row["density" if scoring else "score"] for row in monitor.get_logs().data]
    np.testing.assert_allclose(logged, flow.history_["validation_score"], atol=1e-3)
    assert len(logged) == 5


def test_a_monitor_judges_weighted_rows_by_their_weights():
    monitor = ScoringMonitor(scoring=None)
    flow = six_flows()["NormalizingFlow"].set_callbacks(monitor)
    flow.fit(X, sample_weight=RNG.uniform(0.1, 2, size=len(X)))
    logged = [row["score"] for row in monitor.get_logs().data]
    np.testing.assert_allclose(logged, flow.history_["validation_score"], atol=1e-3)


def test_rows_are_of_the_users_kind():
    frame = pd.DataFrame(
        {"colour": pd.Categorical(RNG.choice(["red", "blue"], 80)), "size": RNG.normal(size=80)}
    )
    _, epochs = watched(six_flows()["SurVAEFlow"], frame)
    rows = epochs[0][1]
    assert (rows.dtypes == frame.dtypes).all()
    assert rows.merge(frame).shape == (8, 2)
    images = np.rint(3 * RNG.normal(size=(60, 16)))
    flow = six_flows()["SurVAEFlow"].set_params(image_shape=(1, 4, 4), n_layers=1)
    rows = watched(flow, images)[1][0][1]
    assert {tuple(row) for row in rows} <= {tuple(row) for row in images}


def test_which_rows_are_told_of():
    flow = six_flows()["NormalizingFlow"]
    own = RNG.normal(size=(7, 3))
    np.testing.assert_array_equal(watched(flow, X_val=own)[1][0][1], own)
    flow.set_params(early_stopping=False)
    np.testing.assert_array_equal(watched(flow, X_val=own)[1][0][1], own)
    np.testing.assert_array_equal(watched(flow)[1][0][1], X)


@pytest.mark.parametrize("early_stopping", [True, False])
def test_a_label_stays_with_its_row(early_stopping):
    labels = (X[:, 0] > 0).astype(int)
    flow = six_flows(early_stopping=early_stopping)["NormalizingFlow"]
    _, rows, y, _ = watched(flow, y=labels)[1][0]
    np.testing.assert_array_equal(y, rows[:, 0] > 0)
    own = RNG.normal(size=(7, 3))
    np.testing.assert_array_equal(watched(flow, y=labels, X_val=own)[1][0][2], np.zeros(7))


@pytest.mark.parametrize("name", SIX)
def test_a_callback_stops_the_fit(name):
    keeper = Keeper(stop_after=3)
    flow = six_flows(max_iter=9)[name].set_callbacks(keeper).fit(X)
    assert flow.n_iter_ == len(keeper.epochs) == 3


def test_a_stop_ends_the_other_candidates_too():
    keeper = Keeper(stop_after=3)
    flow = FunnelFlow("auto", max_iter=9, hidden_layer_sizes=(8,), random_state=0)
    flow.set_callbacks(keeper).fit(X)
    assert len(keeper.epochs) == 3


def test_a_warm_start_tells_of_its_own_epochs():
    flow, _ = watched(six_flows(warm_start=True)["MultiscaleFlow"])
    flow, epochs = watched(flow)
    assert [one.n_iter_ for one, *_ in epochs] == [1, 2]


@pytest.mark.parametrize("callback", [ProgressBar, lambda: ScoringMonitor(scoring=None)])
def test_callbacks_of_a_search_reach_the_flow(callback):
    pytest.importorskip("rich")
    search = GridSearchCV(six_flows()["NormalizingFlow"], {"n_bins": [4, 8]}, cv=2)
    search.set_callbacks(callback()).fit(X)
    assert np.isfinite(search.best_score_)
