"""What DESIGN section 3 promises of an estimator, beyond scikit-learn's checks."""

import copy
import pickle
import subprocess
import sys
import threading

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris, make_moons
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.estimators.configurations import FULL_BATCH, quick_flow

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def moons():
    return make_moons(400, noise=0.1, random_state=0)[0]


@pytest.fixture(scope="module")
def fitted(moons):
    return quick_flow().fit(moons)


def test_scores_are_a_density_in_the_units_of_x(moons):
    flow = quick_flow().fit(moons)
    a, b = np.linspace(-3, 4, 400), np.linspace(-3, 3, 400)
    grid = np.stack(np.meshgrid(a, b), -1).reshape(-1, 2)
    total = np.exp(flow.score_samples(grid)).sum() * (a[1] - a[0]) * (b[1] - b[0])
    assert abs(total - 1) < 1e-2
    assert flow.exact_ is True
    assert flow.score(moons) == pytest.approx(flow.score_samples(moons).mean())


@pytest.mark.parametrize("start", ["standard", "whiten", "marginal", "auto"])
def test_units_shift_scores_by_the_log_jacobian(moons, start):
    scale, shift = np.array([2.0**10, 2.0**-7]), np.array([5.0, -3.0])
    scores = quick_flow(start=start).fit(moons).score_samples(moons)
    moved = quick_flow(start=start).fit(moons * scale).score_samples(moons * scale)
    np.testing.assert_allclose(moved, scores - np.log(scale).sum(), atol=1e-9)
    exact = quick_flow(start="standard", base="normal", dtype="float64")
    first = clone(exact).fit(moons).score_samples(moons)
    second = clone(exact).fit(moons * 3.7 + shift).score_samples(moons * 3.7 + shift)
    np.testing.assert_allclose(second, first - 2 * np.log(3.7), atol=1e-6)


def test_a_score_does_not_depend_on_its_neighbours(fitted, moons):
    alone = np.concatenate([fitted.score_samples(row[None]) for row in moons[:20]])
    np.testing.assert_allclose(alone, fitted.score_samples(moons)[:20], atol=1e-10)
    many = np.tile(moons, (30, 1))  # more than one chunk
    np.testing.assert_allclose(
        fitted.score_samples(many)[-len(moons) :], fitted.score_samples(moons), atol=1e-10
    )


@pytest.mark.parametrize("changes", [{}, {"architecture": "spline_autoregressive"}, FULL_BATCH])
def test_refitting_gives_the_same_model_bit_for_bit(moons, changes):
    settings = {"random_state": 3, **changes}
    first, second = (quick_flow(**settings).fit(moons) for _ in range(2))
    assert np.array_equal(first.score_samples(moons), second.score_samples(moons))
    other = quick_flow(**{**settings, "random_state": 4}).fit(moons)
    assert not np.array_equal(first.score_samples(moons), other.score_samples(moons))


def test_global_state_is_left_alone(moons):
    torch.manual_seed(11)
    np.random.seed(11)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    kept = torch.get_default_dtype(), torch.get_num_threads()
    flow = quick_flow().fit(moons)
    flow.sample(5, random_state=1)
    pickle.loads(pickle.dumps(flow)).score_samples(moons)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert kept == (torch.get_default_dtype(), torch.get_num_threads())


def test_importing_is_cheap():
    code = "import skflow, sys; assert not {'torch', 'sklearn', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    "architecture",
    [
        "spline_coupling",
        "affine_coupling",
        "additive_coupling",
        "spline_autoregressive",
        "affine_autoregressive",
    ],
)
@pytest.mark.parametrize("base", ["normal", "mixture", "student_t"])
def test_every_architecture_round_trips(architecture, base, moons):
    flow = quick_flow(architecture=architecture, base=base).fit(moons)
    Z = flow.transform(moons)
    assert Z.shape == moons.shape
    np.testing.assert_allclose(flow.inverse_transform(Z), moons, atol=1e-7)
    assert flow.start_["base"] == base
    loaded = pickle.loads(pickle.dumps(flow))
    assert np.array_equal(loaded.score_samples(moons), flow.score_samples(moons))
    assert np.isfinite(flow.sample(50, random_state=0)).all()


def test_pickled_state_is_arrays_and_plain_values(fitted, moons, tmp_path):
    state = fitted.__getstate__()
    allowed = (dict, list, tuple, str, int, float, bool, type(None), np.ndarray, np.generic)

    def check(value):
        assert isinstance(value, allowed), type(value)
        for inner in (
            value.values()
            if isinstance(value, dict)
            else value
            if isinstance(value, list | tuple)
            else ()
        ):
            check(inner)

    check(state)
    rows = sum(v.size for v in state.values() if isinstance(v, np.ndarray))
    assert rows < moons.size, "the training data travel along"
    joblib.dump(fitted, tmp_path / "flow.joblib")
    for copied in (joblib.load(tmp_path / "flow.joblib"), copy.deepcopy(fitted)):
        assert np.array_equal(copied.score_samples(moons), fitted.score_samples(moons))
    with pytest.raises(NotFittedError):
        clone(fitted).score_samples(moons)


def test_scoring_from_many_threads(fitted, moons):
    expected = fitted.score_samples(moons)
    results = [None] * 8

    def work(i):
        results[i] = fitted.score_samples(moons)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(r, expected) for r in results)


def test_searches_pipelines_and_processes(moons):
    grid = {"n_bins": [3, 4]}
    search = GridSearchCV(quick_flow(), grid, cv=2, n_jobs=2).fit(moons)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    pipeline = make_pipeline(StandardScaler(), quick_flow(contamination=0.1)).fit(moons)
    assert set(pipeline.predict(moons)) == {-1, 1}
    assert np.isfinite(cross_val_score(quick_flow(), moons, cv=2)).all()
    union = FeatureUnion([("flow", quick_flow()), ("scaled", StandardScaler())])
    assert union.fit_transform(moons).shape == (len(moons), 4)
    halving = HalvingGridSearchCV(
        quick_flow(), grid, resource="max_iter", min_resources=2, max_resources=4, cv=2
    ).fit(moons)
    assert halving.best_params_["n_bins"] in grid["n_bins"]


def test_metadata_routing(moons):
    weight = np.linspace(0.1, 1, len(moons))
    with sklearn.config_context(enable_metadata_routing=True):
        flow = (
            quick_flow().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        )
        scores = cross_validate(flow, moons, params={"sample_weight": weight}, cv=2)
    assert np.isfinite(scores["test_score"]).all()


def test_weights_count(moons):
    left = moons[:, 0] < 0.5
    weight = np.where(left, 1.0, 1e-3)
    flow = quick_flow().fit(moons, sample_weight=weight)
    plain = quick_flow().fit(moons)
    assert flow.score(moons[left]) > plain.score(moons[left]) + 0.2
    zeros = quick_flow(**FULL_BATCH).fit(moons, sample_weight=left.astype(float))
    dropped = quick_flow(**FULL_BATCH).fit(moons[left])
    np.testing.assert_allclose(zeros.score_samples(moons), dropped.score_samples(moons), atol=1e-9)
    with pytest.raises(ValueError, match=r"zero"):
        quick_flow().fit(moons, sample_weight=np.zeros(len(moons)))
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        quick_flow().fit(moons, sample_weight=-np.ones(len(moons)))


def test_outlier_role(moons):
    flow = quick_flow(contamination=0.05).fit(moons)
    labels = flow.predict(moons)
    assert (labels == -1).sum() == 20
    np.testing.assert_allclose(
        flow.decision_function(moons), flow.score_samples(moons) - flow.offset_
    )
    assert np.array_equal(quick_flow(contamination=0.05).fit_predict(moons), labels)
    plain = quick_flow()
    for method in ("predict", "fit_predict", "decision_function"):
        assert not hasattr(plain, method)
    with pytest.raises(AttributeError) as refused:
        plain.predict(moons)
    assert "set contamination" in str(refused.value.__cause__)


def test_frames_come_back_as_they_went_in():
    frame = load_iris(as_frame=True).data.assign(
        count=np.arange(150) % 7,
        flag=np.arange(150) % 3 == 0,
        nullable=pd.array(np.arange(150), "Int64"),
    )
    with pytest.warns(DataConversionWarning, match="repeat"):
        flow = quick_flow().fit(frame)
    sample = flow.sample(10, random_state=0)
    assert list(sample.columns) == list(frame.columns)
    assert (sample.dtypes == frame.dtypes).all()
    assert list(flow.feature_names_in_) == list(frame.columns)
    latent = flow.set_output(transform="pandas").transform(frame)
    assert list(latent.columns) == list(flow.get_feature_names_out())
    loaded = pickle.loads(pickle.dumps(flow))
    pd.testing.assert_frame_equal(loaded.sample(10, random_state=0), sample)
    with pytest.raises(ValueError, match="feature names"):
        flow.score_samples(frame[frame.columns[::-1]])


def test_validation_rows_of_ones_own(moons):
    flow = quick_flow().fit(moons[:300], X_val=moons[300:])
    assert flow.best_score_ == pytest.approx(flow.score(moons[300:]), abs=1e-4)
    assert flow.best_score_ >= flow.start_score_


def test_warm_start_goes_on(moons):
    flow = quick_flow(warm_start=True, early_stopping=False, max_iter=5).fit(moons)
    first = flow.history_["train_loss"][-1]
    recipe = dict(flow.start_)
    flow.fit(moons)
    assert flow.start_ == recipe
    assert flow.history_["train_loss"][0] < first + 0.05


def test_partial_fit_goes_on(moons):
    flow = quick_flow(start="standard", base="normal", learning_rate_init=3e-3)
    rng = np.random.default_rng(0)
    flow.partial_fit(moons)
    first = flow.score(moons)
    for _ in range(60):
        flow.partial_fit(moons[rng.permutation(len(moons))[:200]])
    assert flow.score(moons) > first + 0.05
    with pytest.raises(ValueError, match="features"):
        flow.partial_fit(moons[:, :1])
    flow.set_params(n_layers=1).fit(moons).partial_fit(moons)
    loaded = pickle.loads(pickle.dumps(flow)).partial_fit(moons)
    assert loaded.n_iter_ == 1


def test_bounds_hold():
    rng = np.random.default_rng(0)
    X = np.stack([rng.gamma(1.5, size=500), rng.uniform(-1, 1, 500), rng.normal(size=500)], 1)
    flow = quick_flow(bounds=[(0, None), (-1, 1), None]).fit(X)
    sample = flow.sample(500, random_state=0)
    assert (sample[:, 0] >= 0).all()
    assert (np.abs(sample[:, 1]) <= 1).all()
    assert flow.score_samples([[-0.1, 0.0, 0.0]]) == -np.inf
    free = quick_flow().fit(X)
    assert flow.score(X) > free.score(X) - 0.05
    loaded = pickle.loads(pickle.dumps(flow))
    assert np.array_equal(loaded.score_samples(X), flow.score_samples(X))
    with pytest.raises(ValueError, match="outside their bounds"):
        quick_flow(bounds={0: (1, 2)}).fit(X)
    with pytest.raises(ValueError, match="one for each"):
        quick_flow(bounds=[(0, 1)]).fit(X)


def test_refusals_say_what_to_do(moons):
    holes = moons.copy()
    holes[3, 1] = np.nan
    with pytest.raises(ValueError, match="SurVAEFlow"):
        quick_flow().fit(holes)
    with pytest.raises(ValueError, match="infinity"):
        quick_flow().fit(np.where(np.isnan(holes), np.inf, holes))
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        quick_flow().fit(sparse.csr_array(moons))
    with pytest.raises(ValueError, match="could not convert"):
        quick_flow().fit(np.array([["a", "b"], ["c", "d"]], dtype=object))
    with pytest.raises(ValueError, match="1 sample"):
        quick_flow().fit(moons[:1])
    with pytest.raises(ValueError, match="device"):
        quick_flow(device="abacus").fit(moons)
    with pytest.raises(ValueError, match="3 columns, but the latent space"):
        quick_flow().fit(moons).inverse_transform(np.ones((2, 3)))


def test_html_repr_names_the_parameters(fitted):
    assert "NormalizingFlow" in fitted._repr_html_()
