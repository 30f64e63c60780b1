"""What is NormalizingFlow's own: its architectures, starts and bounds; searches around it."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris, make_moons
from sklearn.exceptions import DataConversionWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.estimators.configurations import quick_flow

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def moons():
    return make_moons(400, noise=0.1, random_state=0)[0]


def test_scores_are_a_density_in_the_units_of_x(moons):
    flow = quick_flow().fit(moons)
    a, b = np.linspace(-3, 4, 400), np.linspace(-3, 3, 400)
    grid = np.stack(np.meshgrid(a, b), -1).reshape(-1, 2)
    total = np.exp(flow.score_samples(grid)).sum() * (a[1] - a[0]) * (b[1] - b[0])
    assert abs(total - 1) < 1e-2
    assert flow.exact_ is True


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


def test_searches_pipelines_and_processes(moons):
    grid = {"n_bins": [3, 4]}
    search = GridSearchCV(quick_flow(), grid, cv=2, n_jobs=2).fit(moons)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    pipeline = make_pipeline(StandardScaler(), quick_flow(contamination=0.1)).fit(moons)
    assert set(pipeline.predict(moons)) == {-1, 1}
    union = FeatureUnion([("flow", quick_flow()), ("scaled", StandardScaler())])
    assert union.fit_transform(moons).shape == (len(moons), 4)
    halving = HalvingGridSearchCV(
        quick_flow(), grid, resource="max_iter", min_resources=2, max_resources=4, cv=2
    ).fit(moons)
    assert halving.best_params_["n_bins"] in grid["n_bins"]


def test_weights_count(moons):
    left = moons[:, 0] < 0.5
    weight = np.where(left, 1.0, 1e-3)
    flow = quick_flow().fit(moons, sample_weight=weight)
    plain = quick_flow().fit(moons)
    assert flow.score(moons[left]) > plain.score(moons[left]) + 0.2


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
    with pytest.raises(ValueError, match="could not convert"):
        quick_flow().fit(np.array([["a", "b"], ["c", "d"]], dtype=object))
