"""Faults found by reading, each held by its reproducer."""

import numpy as np
import pytest
import torch
from sklearn.exceptions import DataConversionWarning

from skflow import NormalizingFlow
from skflow.data.batches import MemoryBatches
from skflow.training.loop import train
from skflow.training.settings import Settings
from skflow.training.state import TrainState
from skflow.training.stopping import AllEpochs
from tests.estimators.configurations import FULL_BATCH, quick_flow

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
NORMAL = RNG.normal(size=(200, 4))


def test_screening_does_not_stand_for_the_fit_of_sorted_rows():
    centres = np.repeat(np.arange(6) * 20.0, 1500)
    X = np.column_stack([centres, centres]) + RNG.normal(size=(9000, 2))
    rows = np.arange(len(X))
    flow = quick_flow(max_mixture_components=8, max_iter=1).fit(X[rows % 5 > 0], X_val=X[::5])
    assert flow.score(X[::5]) > -5


def test_integers_up_to_their_bounds_have_a_bounded_density():
    X = np.column_stack([RNG.integers(0, 11, 400), RNG.normal(size=400)]).astype(float)
    with pytest.warns(DataConversionWarning):
        flow = quick_flow(bounds={0: (0, 10)}).fit(X)
    assert np.isfinite(flow.best_score_)
    assert np.isfinite(flow.history_["train_loss"]).all()
    at = np.column_stack([np.arange(11.0), np.zeros(11)])
    scores = flow.score_samples(at)
    assert scores.max() - np.median(scores) < 3, "a spike at a bound"


def test_repeated_rows_do_not_leak_into_the_held_out_part():
    test = RNG.normal(size=(500, 4))
    once = quick_flow().fit(NORMAL).score(test)
    five_times = quick_flow().fit(np.tile(NORMAL, (5, 1))).score(test)
    assert five_times > once - 0.3


def test_a_heavy_row_weighs_the_same_in_any_batch():
    weight = np.ones(200)
    weight[0] = 50.0
    scores = [
        quick_flow(**{**FULL_BATCH, "batch_size": size, "max_iter": 60})
        .fit(NORMAL, sample_weight=weight)
        .score(NORMAL, sample_weight=weight)
        for size in (20, 200)
    ]
    assert scores[0] > scores[1] - 0.2


@pytest.mark.parametrize("unit", [1e-46, 1e-300, 1e300])
def test_the_unit_of_the_weights_does_not_matter(unit):
    weight = RNG.uniform(0.5, 1, 200)
    flow, scaled = (quick_flow().fit(NORMAL, sample_weight=w) for w in (weight, weight * unit))
    np.testing.assert_allclose(scaled.score_samples(NORMAL), flow.score_samples(NORMAL), rtol=1e-3)


def test_a_mask_of_weights_is_dropping_rows():
    mask = np.arange(200) % 2 == 0
    masked = quick_flow(base="mixture").fit(NORMAL, sample_weight=mask.astype(float))
    dropped = quick_flow(base="mixture").fit(NORMAL[mask])
    np.testing.assert_array_equal(masked.score_samples(NORMAL), dropped.score_samples(NORMAL))
    with pytest.raises(ValueError, match="1 sample"):
        quick_flow().fit(NORMAL, sample_weight=np.eye(200)[0])


def test_an_interrupted_refit_loses_nothing(monkeypatch):
    flow = quick_flow().fit(NORMAL)
    before = flow.score_samples(NORMAL)

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(NormalizingFlow, "_candidates", interrupted)
    with pytest.raises(KeyboardInterrupt):
        flow.set_params(n_layers=3).fit(NORMAL)
    monkeypatch.undo()
    np.testing.assert_array_equal(flow.score_samples(NORMAL), before)
    loaded = NormalizingFlow.__new__(NormalizingFlow)
    loaded.__setstate__(flow.__getstate__())
    np.testing.assert_array_equal(loaded.score_samples(NORMAL), before)


def test_bounds_are_checked_wherever_rows_come_in():
    bounds = {0: (-10, 10)}
    outside = NORMAL + 100
    with pytest.raises(ValueError, match="X_val"):
        quick_flow(bounds=bounds).fit(NORMAL, X_val=outside)
    with pytest.raises(ValueError, match="outside their bounds"):
        quick_flow(bounds=bounds).partial_fit(NORMAL).partial_fit(outside)
    with pytest.raises(ValueError, match="no pair"):
        quick_flow(bounds=(0, 1, 2, 3)).fit(NORMAL)


def test_partial_fit_takes_a_new_learning_rate():
    flow = quick_flow(start="standard", base="normal").partial_fit(NORMAL)
    before = flow.score_samples(NORMAL)
    flow.set_params(learning_rate_init=1e-12, weight_decay=0.0).partial_fit(NORMAL)
    np.testing.assert_allclose(flow.score_samples(NORMAL), before, atol=1e-6)


def test_rows_of_weight_zero_do_not_enter_a_score():
    flow = quick_flow(bounds={0: (-10, 10)}).fit(NORMAL)
    rows = NORMAL[:3].copy()
    rows[0, 0] = 1e3
    assert np.isfinite(flow.score(rows, sample_weight=[0, 1, 1]))


def test_too_large_a_held_out_part_is_refused():
    with pytest.raises(ValueError, match="validation_fraction"):
        quick_flow(validation_fraction=0.999).fit(NORMAL[:100])


def test_no_grad_around_a_fit_is_no_matter():
    with torch.no_grad():
        flow = quick_flow().fit(NORMAL)
    assert flow.n_iter_ == 3


def test_without_held_out_rows_a_bad_end_is_rolled_back():
    class Cliff(torch.nn.Module):
        """Scores end in NaN beyond a point that training reaches within an epoch."""

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(()))
            self.learned = self.base = torch.nn.Identity()

        def forward(self, x, context=None, noise=None):
            score = x[:, 0] * 0 + self.weight
            return torch.where(self.weight > 0.45, torch.nan, score)

        def take_training_terms(self):
            return []

    flow, x = Cliff(), torch.ones(10, 1)
    settings = Settings(20, 10, 10.0, 0.0, 5)
    state = TrainState(flow, settings, torch.Generator(), AllEpochs())
    batches = MemoryBatches(lambda epoch: x, 10, 10, None, state.generator)
    outcome = train(state, batches, settings, lambda epoch, module: False)
    assert outcome.n_rollbacks
    assert torch.isfinite(flow(x)).all()


def test_a_fit_that_fails_leaves_the_earlier_one():
    rng = np.random.default_rng(0)
    flow = quick_flow().fit(rng.normal(size=(100, 2)))
    before = flow.score_samples(np.zeros((1, 2)))
    flow.set_params(bounds=[(0, 1)] * 3)
    for method in (flow.fit, flow.partial_fit):
        with pytest.raises(ValueError, match=r"bounds|features"):
            method(rng.normal(size=(100, 3)))
        assert flow.n_features_in_ == 2
        assert np.array_equal(flow.score_samples(np.zeros((1, 2))), before)
    fresh = quick_flow(bounds=[(0, 1)] * 2)
    with pytest.raises(ValueError, match="bounds"):
        fresh.fit(rng.normal(size=(100, 2)))
    assert not hasattr(fresh, "n_features_in_")
