"""What DESIGN section 3 promises of every estimator, beyond scikit-learn's checks."""

import copy
import pickle
import threading

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold, cross_validate
from sklearn.utils import _safe_indexing

from tests.contract.estimators import ESTIMATORS, N_ROWS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
PLAIN_VALUES = (dict, list, tuple, str, int, float, bool, type(None), np.ndarray, np.generic)


@pytest.fixture(scope="module", params=ESTIMATORS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def case(name):
    return ESTIMATORS[name]


@pytest.fixture(scope="module")
def X(case):
    return case.make_rows()


@pytest.fixture(scope="module")
def fitted(case, X):
    """Fitted once for all; no test changes it."""
    return case.make(contamination=0.1).fit(X)


def rows_of(X, index):
    """Some rows of an array or a frame."""
    return _safe_indexing(X, np.asarray(index))


def same(a, b):
    """Whether two tables are equal to the last bit."""
    if isinstance(a, pd.DataFrame):
        return a.equals(b)
    return np.array_equal(a, b)


def test_scores(fitted, X):
    scores = fitted.score_samples(X)
    assert scores.shape == (N_ROWS,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    assert np.array_equal(scores, fitted.score_samples(X))
    assert fitted.score(X) == pytest.approx(scores.mean(), rel=1e-12)
    weight = np.random.default_rng(0).integers(0, 4, N_ROWS)
    repeated = rows_of(X, np.repeat(np.arange(N_ROWS), weight))
    assert fitted.score(X, sample_weight=weight) == pytest.approx(fitted.score(repeated), rel=1e-9)


def test_a_score_does_not_depend_on_its_neighbours(fitted, X):
    scores = fitted.score_samples(X)
    alone = [fitted.score_samples(rows_of(X, [i]))[0] for i in range(10)]
    np.testing.assert_allclose(alone, scores[:10], rtol=1e-10)
    many = rows_of(X, np.tile(np.arange(N_ROWS)[::-1], 30))  # more than one chunk
    np.testing.assert_allclose(fitted.score_samples(many)[-N_ROWS:], scores[::-1], rtol=1e-10)


def test_fitted_attributes(fitted, X):
    assert fitted.n_features_in_ == X.shape[1]
    assert fitted.n_iter_ == 3
    assert 0 <= fitted.best_iter_ <= 3
    history = fitted.history_
    assert set(history) == {"train_loss", "validation_score", "learning_rate", "seconds"}
    assert all(len(values) == 3 and np.isfinite(values).all() for values in history.values())
    assert fitted.best_score_ == max(fitted.start_score_, *history["validation_score"])
    assert isinstance(fitted.start_, dict)
    # Tables, and none of these settings widens: nothing is bounded only.
    assert fitted.exact_ is True
    assert fitted.bound_gap_ == 0


def test_samples_are_like_the_rows(fitted, X):
    drawn = fitted.sample(50, random_state=0)
    assert type(drawn) is type(X)
    assert drawn.shape == (50, X.shape[1])
    if isinstance(X, pd.DataFrame):
        assert list(drawn) == list(X)
        assert (drawn.dtypes == X.dtypes).all()
    assert same(drawn, fitted.sample(50, random_state=0))
    assert not same(drawn, fitted.sample(50, random_state=1))
    assert not same(fitted.sample(50), fitted.sample(50))
    assert np.isfinite(fitted.score_samples(drawn)).all()
    assert fitted.sample(random_state=0).shape == (1, X.shape[1])
    with pytest.raises(ValueError, match="n_samples"):
        fitted.sample(0)


def test_samples_follow_the_density(fitted, X):
    """The mean score of samples is the negative entropy, by two ways of estimating it."""
    drawn = fitted.score_samples(fitted.sample(4_000, random_state=0))
    again = fitted.score_samples(fitted.sample(4_000, random_state=1))
    error = np.hypot(drawn.std(), again.std()) / np.sqrt(4_000)
    assert abs(drawn.mean() - again.mean()) < 4 * error
    # Rows of the table are of about that density: it is fitted to them.
    own = fitted.score_samples(X)
    assert abs(own.mean() - drawn.mean()) < 4 * own.std() / np.sqrt(N_ROWS) + 0.5


def test_latent_rows(fitted, X):
    Z = fitted.transform(X)
    assert Z.shape == (N_ROWS, fitted.n_components_)
    assert np.isfinite(Z).all()
    names = fitted.get_feature_names_out()
    prefix = type(fitted).__name__.lower()
    assert list(names) == [f"{prefix}{i}" for i in range(fitted.n_components_)]
    framed = copy.deepcopy(fitted).set_output(transform="pandas").transform(X)
    assert list(framed) == list(names)
    np.testing.assert_array_equal(framed, Z)
    back = fitted.inverse_transform(Z)
    assert back.shape == X.shape
    with pytest.raises(ValueError, match="latent"):
        fitted.inverse_transform(np.ones((2, fitted.n_components_ + 1)))


def test_the_outlier_role(fitted, case, X):
    labels = fitted.predict(X)
    scores = fitted.score_samples(X)
    assert (labels == -1).sum() == 0.1 * N_ROWS
    assert scores[labels == -1].max() < fitted.offset_ < scores[labels == 1].min()
    np.testing.assert_allclose(fitted.decision_function(X), scores - fitted.offset_)
    assert np.array_equal(case.make(contamination=0.1).fit_predict(X), labels)
    plain = case.make()
    for method in ("predict", "fit_predict", "decision_function"):
        assert not hasattr(plain, method)
    with pytest.raises(AttributeError) as refused:
        plain.predict(X)
    assert "set contamination" in str(refused.value.__cause__)


def test_refitting_gives_the_same_model_bit_for_bit(fitted, case, X):
    scores = fitted.score_samples(X)
    assert np.array_equal(case.make().fit(X).score_samples(X), scores)
    assert not np.array_equal(case.make(random_state=4).fit(X).score_samples(X), scores)


def test_global_state_is_left_alone(case, X):
    torch.manual_seed(11)
    np.random.seed(11)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    kept = torch.get_default_dtype(), torch.get_num_threads()
    flow = case.make(max_iter=1).fit(X)
    flow.sample(5, random_state=1)
    pickle.loads(pickle.dumps(flow)).partial_fit(X).score_samples(X)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert kept == (torch.get_default_dtype(), torch.get_num_threads())


def test_its_state_is_arrays_and_plain_values(fitted):
    def check(value, where):
        assert isinstance(value, PLAIN_VALUES), f"{where}: {type(value)}"
        if isinstance(value, dict):
            for key, inner in value.items():
                check(inner, f"{where}[{key!r}]")
        elif isinstance(value, list | tuple):
            for inner in value:
                check(inner, where)

    state = fitted.__getstate__()
    check(state, "state")
    arrays = [value for value in state.values() if isinstance(value, np.ndarray)]
    assert not any(N_ROWS in value.shape for value in arrays), "the training data travel along"


def test_copies_are_the_same_model(fitted, X, tmp_path):
    joblib.dump(fitted, tmp_path / "flow.joblib")
    copies = [
        joblib.load(tmp_path / "flow.joblib"),
        pickle.loads(pickle.dumps(fitted)),
        copy.deepcopy(fitted),
    ]
    for copied in copies:
        assert np.array_equal(copied.score_samples(X), fitted.score_samples(X))
        assert same(copied.sample(20, random_state=1), fitted.sample(20, random_state=1))
        assert np.array_equal(copied.predict(X), fitted.predict(X))
        assert np.array_equal(copied.transform(X), fitted.transform(X))
    with pytest.raises(NotFittedError):
        clone(fitted).score_samples(X)


def test_scoring_from_many_threads(fitted, X):
    expected = fitted.score_samples(X)
    results = [None] * 4

    def work(i):
        results[i] = fitted.score_samples(X)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(result, expected) for result in results)


def test_a_mask_of_weights_is_dropping_rows(case, X):
    mask = np.arange(N_ROWS) % 3 > 0
    masked = case.make(max_iter=2).fit(X, sample_weight=2.0 * mask)
    dropped = case.make(max_iter=2).fit(rows_of(X, np.flatnonzero(mask)))
    assert np.array_equal(masked.score_samples(X), dropped.score_samples(X))
    with pytest.raises(ValueError, match=r"zero"):
        case.make().fit(X, sample_weight=np.zeros(N_ROWS))
    with pytest.raises(ValueError, match=r"[Nn]egative"):
        case.make().fit(X, sample_weight=-np.ones(N_ROWS))


def test_weights_are_routed_to_fit_and_score(case, X):
    """Cross-validated with weights: the scores of doing it by hand."""
    weight = np.where(np.arange(N_ROWS) % 4 == 0, 5.0, 0.5)
    flow = case.make(max_iter=1)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = flow.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        found = cross_validate(routed, X, params={"sample_weight": weight}, cv=KFold(2))
    expected, unweighted = [], []
    for train, test in KFold(2).split(np.zeros(N_ROWS)):
        fit = case.make(max_iter=1).fit(rows_of(X, train), sample_weight=weight[train])
        expected.append(fit.score(rows_of(X, test), sample_weight=weight[test]))
        unweighted.append(fit.score(rows_of(X, test)))
    np.testing.assert_allclose(found["test_score"], expected, rtol=1e-9)
    assert not np.isclose(expected, unweighted, rtol=1e-4).any()


def test_validation_rows_of_ones_own(case, X):
    train, held_out = rows_of(X, np.arange(150)), rows_of(X, np.arange(150, N_ROWS))
    flow = case.make(**case.trains).fit(train, X_val=held_out)
    assert flow.best_score_ == pytest.approx(flow.score(held_out), abs=1e-4)
    assert flow.best_score_ > flow.start_score_
    assert flow.best_score_ == max(flow.history_["validation_score"])


def test_refusals(fitted, case, X):
    numbers = np.random.default_rng(0).normal(size=(30, 2))
    with pytest.raises(ValueError, match="infinity"):
        case.make().fit(np.where(np.abs(numbers) > 2, np.inf, numbers))
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        case.make().fit(sparse.csr_array(numbers))
    with pytest.raises(ValueError, match="1 sample"):
        case.make().fit(rows_of(X, [0]))
    with pytest.raises(ValueError, match="device"):
        case.make(device="abacus").fit(X)
    with pytest.raises(ValueError, match="max_iter"):
        case.make(max_iter=0).fit(X)
    fewer = X.iloc[:, :2] if isinstance(X, pd.DataFrame) else X[:, :2]
    for method in (fitted.score_samples, fitted.transform, copy.deepcopy(fitted).partial_fit):
        with pytest.raises(ValueError, match="feature"):
            method(fewer)


def test_html_repr_names_the_parameters(fitted, name):
    assert name in fitted._repr_html_()
