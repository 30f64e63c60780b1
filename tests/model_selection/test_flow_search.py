import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skflow import FunnelFlow, NormalizingFlow, SurVAEFlow
from skflow.model_selection import FlowSearchCV
from skflow.model_selection.shared_fits import SharedFits
from skflow.starts import search as start_search

RNG = np.random.default_rng(0)
X = RNG.normal(size=(180, 3)) + 5
X[:, 1] += X[:, 0] ** 2
FLOW = NormalizingFlow(
    start="standard", max_iter=4, n_layers=2, hidden_layer_sizes=(8,), random_state=0
)
GRID = {"learning_rate_init": [1e-4, 3e-3, 3e-2], "weight_decay": [0.0, 0.1]}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def without_times(results):
    return {k: np.asarray(v) for k, v in results.items() if "time" not in k and k != "params"}


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("estimator", [FLOW, make_pipeline(StandardScaler(), FLOW)])
def test_full_finds_what_a_grid_search_finds(estimator, n_jobs):
    grid = GRID if estimator is FLOW else {f"normalizingflow__{k}": v for k, v in GRID.items()}
    ours = FlowSearchCV(estimator, grid, cv=3, n_jobs=n_jobs, return_train_score=True).fit(X)
    theirs = GridSearchCV(estimator, grid, cv=3, return_train_score=True).fit(X)
    expected = without_times(theirs.cv_results_)
    found = without_times(ours.cv_results_)
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
    assert ours.best_params_ == theirs.best_params_
    assert ours.best_score_ == theirs.best_score_
    assert ours.best_index_ == theirs.best_index_
    np.testing.assert_array_equal(ours.score_samples(X), theirs.score_samples(X))
    assert ours.n_features_in_ == 3


def counted(monkeypatch):
    """How often a start was searched for."""
    calls, choose = [], start_search.choose_start

    def choose_start(*args):
        calls.append(1)
        return choose(*args)

    monkeypatch.setattr(start_search, "choose_start", choose_start)
    return calls


def test_candidates_that_only_train_differently_share_their_start(monkeypatch):
    calls = counted(monkeypatch)
    FlowSearchCV(FLOW, GRID, cv=3, refit=False).fit(X)
    assert len(calls) == 3


def test_others_have_their_own(monkeypatch):
    calls = counted(monkeypatch)
    grid = {"max_mixture_components": [1, 2], "learning_rate_init": [1e-4, 1e-3]}
    FlowSearchCV(FLOW, grid, cv=3, refit=False).fit(X)
    assert len(calls) == 6


def test_so_do_those_whose_rows_are_scaled_differently(monkeypatch):
    calls = counted(monkeypatch)
    pipeline = make_pipeline(StandardScaler(), FLOW)
    grid = {
        "standardscaler__with_mean": [True, False],
        "normalizingflow__learning_rate_init": [1e-4, 1e-3],
    }
    FlowSearchCV(pipeline, grid, cv=3, refit=False).fit(X)
    assert len(calls) == 6


def test_halving_trains_fewer_further_and_is_best_where_the_last_are():
    flow = clone(FLOW).set_params(max_iter=12)
    search = FlowSearchCV(flow, GRID, strategy="halving", factor=2, min_epochs=2, cv=3).fit(X)
    results = search.cv_results_
    assert results["iter"].tolist() == [0] * 6 + [1] * 3 + [2] * 2 + [3]
    assert results["n_resources"].tolist() == [2] * 6 + [4] * 3 + [8] * 2 + [12]
    assert search.best_index_ == 11
    assert search.best_score_ == results["mean_test_score"][-1]
    first = results["mean_test_score"][:6]
    kept = {str(results["params"][i]) for i in np.argsort(-first)[:3]}
    assert {str(p) for p in results["params"][6:9]} == kept


def test_halving_goes_on_where_it_paused():
    flow = clone(FLOW).set_params(max_iter=12)
    halved = FlowSearchCV(flow, GRID, strategy="halving", factor=2, min_epochs=2, cv=3).fit(X)
    full = FlowSearchCV(flow, [{k: [v] for k, v in halved.best_params_.items()}], cv=3).fit(X)
    assert halved.best_score_ == full.best_score_


def test_halving_by_one_of_several_scores():
    def scores(estimator, X, y=None):
        mean = estimator.score(X)
        return {"up": mean, "down": -mean}

    down = FlowSearchCV(
        FLOW, GRID, strategy="halving", min_epochs=1, scoring=scores, refit="down", cv=3
    ).fit(X)
    means = down.cv_results_["mean_test_down"][:6]
    assert down.best_params_ in [down.cv_results_["params"][i] for i in np.argsort(-means)[:2]]


def test_which_of_several_scores_to_halve_by_must_be_said():
    search = FlowSearchCV(FLOW, GRID, strategy="halving", min_epochs=1, cv=2, refit=False)
    with pytest.raises(ValueError, match="to the name of one"):
        search.set_params(scoring=lambda flow, X: {"a": 1.0, "b": 2.0}).fit(X)


def test_weights_and_groups_are_split_with_the_rows():
    weight, groups = RNG.uniform(size=len(X)), np.arange(len(X)) % 7
    fit = {"sample_weight": weight, "groups": groups}
    ours = FlowSearchCV(FLOW, GRID, cv=GroupKFold(3), refit=False).fit(X, **fit)
    theirs = GridSearchCV(FLOW, GRID, cv=GroupKFold(3), refit=False).fit(X, **fit)
    expected = without_times(theirs.cv_results_)
    for name, values in without_times(ours.cv_results_).items():
        np.testing.assert_array_equal(values, expected[name])


def test_splits_drawn_at_random_are_the_same_for_all():
    cv = KFold(3, shuffle=True, random_state=np.random.RandomState(0))
    search = FlowSearchCV(FLOW, GRID, strategy="halving", min_epochs=1, cv=cv).fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_a_frame_with_categories():
    frame = pd.DataFrame({"a": X[:, 0], "b": pd.Categorical(np.where(X[:, 1] > 30, "u", "v"))})
    grid = {"learning_rate_init": [1e-3, 1e-2]}
    search = FlowSearchCV(SurVAEFlow(max_iter=2, random_state=0), grid, cv=2).fit(frame)
    assert list(search.feature_names_in_) == ["a", "b"]
    assert search.score_samples(frame).shape == (len(X),)


def test_a_candidate_that_fails_has_the_error_score():
    grid = {"n_components": [2, 99]}
    flow = FunnelFlow(max_iter=1, hidden_layer_sizes=(4,), random_state=0)
    search = FlowSearchCV(flow, grid, cv=2, error_score=-1e3)
    with pytest.warns(Warning, match="fits failed"):
        search.fit(X)
    assert search.best_params_ == {"n_components": 2}
    assert search.cv_results_["mean_test_score"][1] == -1e3
    with pytest.raises(ValueError, match="n_components"):
        FlowSearchCV(flow, grid, cv=2, error_score="raise").fit(X)


def test_a_model_that_is_no_flow_is_searched_as_usual():
    grid = {"n_components": [1, 2]}
    ours = FlowSearchCV(GaussianMixture(random_state=0), grid, cv=3).fit(X)
    theirs = GridSearchCV(GaussianMixture(random_state=0), grid, cv=3).fit(X)
    assert ours.best_score_ == theirs.best_score_
    with pytest.raises(ValueError, match="strategy='full'"):
        FlowSearchCV(GaussianMixture(), grid, strategy="halving").fit(X)


@pytest.mark.parametrize(
    "wrong", [{"strategy": "quarter"}, {"factor": 1}, {"min_epochs": 0}, {"factor": "2"}]
)
def test_wrong_parameters(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        FlowSearchCV(FLOW, GRID, **wrong).fit(X)


def test_it_is_cloned_and_leaves_its_estimator_alone():
    search = clone(FlowSearchCV(FLOW, GRID, strategy="halving", min_epochs=1, cv=2)).fit(X)
    assert not hasattr(search.estimator, "flow_")
    assert "_stage" not in vars(search.best_estimator_)


def test_what_one_rung_kept_is_forgotten_after_the_next():
    fits = SharedFits(FLOW, X, None, [], {})
    assert fits({0: {}}, None, lambda tasks: list(tasks)) == []
