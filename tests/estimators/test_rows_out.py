"""What all six estimators give back: rows of the fitted kind, on the grid."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skflow import SurVAEFlow
from tests.estimators.configurations import SIX, six_flows

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning"),
]
RNG = np.random.default_rng(0)
N = 120


def table():
    """Every dtype that all six estimators take."""
    return pd.DataFrame(
        {
            "float": RNG.normal(size=N),
            "float32": RNG.normal(size=N).astype(np.float32),
            "Float64": pd.array(RNG.normal(size=N), dtype="Float64"),
            "int8": RNG.integers(0, 9, N).astype(np.int8),
            "Int64": pd.array(RNG.integers(0, 9, N), dtype="Int64"),
            "bool": RNG.uniform(size=N) < 0.5,
            "truth": pd.Series(list(RNG.uniform(size=N) < 0.5), dtype=object),
            "class": pd.Categorical(RNG.integers(1, 4, N)),
            "nullable class": pd.Categorical(pd.array(RNG.integers(1, 4, N), dtype="Int64")),
            "sparse": pd.arrays.SparseArray(RNG.integers(0, 2, N), fill_value=0),
        }
    ).set_axis(np.arange(N) + 1000)


FRAME = table()


@pytest.fixture(scope="module")
def fitted():
    return {name: flow.fit(FRAME) for name, flow in six_flows().items()}


def assert_like_the_table(frame):
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == list(FRAME.columns)
    for name, dtype in FRAME.dtypes.items():
        assert frame[name].dtype == dtype, name
    for name in ("class", "nullable class"):
        assert set(frame[name].dropna()) <= {1, 2, 3}
        assert frame[name].cat.categories.dtype == FRAME[name].cat.categories.dtype
    assert set(map(type, frame["truth"])) == {bool}


@pytest.mark.parametrize("name", SIX)
def test_rows_come_back_with_the_fitted_columns_and_dtypes(name, fitted):
    flow = fitted[name]
    Z = flow.transform(FRAME)
    assert isinstance(Z, np.ndarray)
    assert_like_the_table(flow.sample(50, random_state=0))
    back = flow.inverse_transform(Z)
    assert_like_the_table(back)
    assert back.index.tolist() == list(range(N))
    if name in ("FunnelFlow", "MultiscaleFlow", "FlowifiedMLP"):
        assert_like_the_table(flow.inverse_transform(Z, mode="sample", random_state=0))


@pytest.mark.parametrize("name", SIX)
def test_latent_frames_keep_their_index_on_the_way_back(name):
    flow = six_flows()[name].set_output(transform="pandas")
    Z = flow.fit_transform(FRAME)
    assert Z.index.equals(FRAME.index)
    back = flow.inverse_transform(Z)
    assert back.index.equals(FRAME.index)
    assert_like_the_table(back)


@pytest.mark.parametrize("name", SIX)
@pytest.mark.parametrize("kind", ["array", "list", "polars"])
def test_one_rule_for_what_comes_back(name, kind):
    """A pandas frame where a frame of any library was fitted, else an array."""
    X = RNG.normal(size=(60, 2))
    given = {"array": X, "list": X.tolist(), "polars": pl.DataFrame(X, schema=["a", "b"])}[kind]
    flow = six_flows()[name].fit(given)
    for rows in (flow.sample(3), flow.inverse_transform(flow.transform(given))):
        assert isinstance(rows, pd.DataFrame if kind == "polars" else np.ndarray)
        if kind == "polars":
            assert list(rows.columns) == ["a", "b"]


@pytest.mark.parametrize("name", SIX)
def test_a_pipeline_goes_there_and_back(name):
    X = FRAME[["float", "float32"]].astype(float)
    pipe = make_pipeline(StandardScaler().set_output(transform="pandas"), six_flows()[name])
    Z = pipe.fit(X).transform(X)
    back = pipe.inverse_transform(Z)
    assert back.shape == X.shape
    if name in ("NormalizingFlow", "SelfNormalizingFlow", "SurVAEFlow"):
        np.testing.assert_allclose(back, X, atol=1e-5)


@pytest.mark.parametrize("name", SIX)
def test_samples_are_whole_where_the_column_is(name, fitted):
    drawn = fitted[name].sample(200, random_state=0)
    assert drawn["int8"].between(-128, 127).all()
    assert set(drawn["bool"]) <= {True, False}


# -- the grid -------------------------------------------------------------------------------------

GRIDS = {
    "tenths": lambda k: (k / 10).round(1),
    "hundredths from 3.005": lambda k: (3.005 + k / 100).round(3),
    "twentieths": lambda k: (k / 20).round(2),
    "sixteenths": lambda k: k / 16,
    "thirds": lambda k: k / 3,
    "tenths of a million": lambda k: (10_000_000 + k) / 10,
    "halves between": lambda k: k + 0.5,
    "milliseconds": lambda k: 1.7e12 + k,
}


@pytest.mark.parametrize("name", GRIDS)
def test_drawn_and_imputed_values_are_those_of_the_grid(name):
    make, k = GRIDS[name], RNG.integers(-300, 300, 500)
    frame = pd.DataFrame({"a": RNG.normal(size=500), "r": make(k)})
    flow = SurVAEFlow(max_iter=2, hidden_layer_sizes=(8,), random_state=0).fit(frame)
    assert flow.column_kinds_["r"] in ("grid", "integer")
    meant = set(make(np.arange(-4_000, 4_000)).tolist())
    assert set(flow.sample(500, random_state=0)["r"]) <= meant
    empty = frame.assign(r=np.nan)
    assert set(flow.impute(empty, random_state=0)["r"]) <= meant
    assert set(flow.impute(empty, strategy="median", random_state=0)["r"]) <= meant
    Z = flow.transform(frame)
    assert set(flow.inverse_transform(Z)["r"]) <= meant
    single = SurVAEFlow(max_iter=1, random_state=0).fit(frame.astype(np.float32))
    if name not in ("tenths of a million", "milliseconds"):
        drawn = single.sample(200, random_state=0)["r"]
        assert drawn.dtype == np.float32
        assert set(drawn.tolist()) <= {float(np.float32(value)) for value in meant}


def test_bounds_of_a_grid_are_on_it():
    share = (RNG.integers(0, 11, 400) / 10).round(1)
    frame = pd.DataFrame({"a": RNG.normal(size=400), "r": share})
    flow = SurVAEFlow(bounds={"r": (0, 1)}, max_iter=1, random_state=0).fit(frame)
    drawn = flow.sample(500, random_state=0)["r"]
    assert set(drawn) <= set((np.arange(11) / 10).tolist())


def test_pixels_are_those_of_the_images():
    X = RNG.integers(0, 256, (60, 16)) / 255
    flow = SurVAEFlow(image_shape=(1, 4, 4), n_layers=1, max_iter=1, random_state=0).fit(X)
    levels = set((np.arange(256) / 255).tolist())
    assert set(flow.sample(20, random_state=0).ravel()) <= levels
    assert set(flow.inverse_transform(flow.transform(X)).ravel()) <= levels


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_a_value_beside_an_atom_or_a_level_is_not_it(offset):
    """However large the numbers are; the atom has .4, beside it the density is .08."""
    x = 3 * RNG.normal(size=400)
    frame = pd.DataFrame(
        {
            "atom": offset + np.where(RNG.uniform(size=400) < 0.4, 0.0, x),
            "level": offset + RNG.choice([0.1, 0.37, 2.0, 9.1], 400),
        }
    )
    flow = SurVAEFlow(max_iter=1, hidden_layer_sizes=(8,), random_state=0).fit(frame)
    assert flow.column_kinds_ == {"atom": "continuous +atoms", "level": "ordinal"}
    at = pd.DataFrame({"atom": [offset, offset + 0.01], "level": offset + np.array([2.0, 2.1])})
    scores = flow.score_columns(at)
    assert (scores[0] > -1.6).all()
    assert (scores[1] < scores[0] - 1.0).all()


@pytest.mark.parametrize("name", SIX)
def test_timestamps_are_no_constants(name):
    ms = RNG.integers(0, 500, 1500)
    X = np.c_[1.7e12 + ms, RNG.normal(size=1500)]
    flow = six_flows()[name].fit(X)
    again = six_flows()[name].fit(X - [1.7e12, 0])
    assert abs(flow.score(X) - again.score(X - [1.7e12, 0])) < 0.1
    drawn = flow.sample(1000, random_state=0)[:, 0] - 1.7e12
    assert 400 < np.ptp(drawn) < 2_000
    if name != "SurVAEFlow":
        assert flow.noise_floor_[0] == 1
