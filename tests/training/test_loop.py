"""The loop: it never loses what it had."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from skflow.data.batches import MemoryBatches
from skflow.data.rows import Rows
from skflow.distributions import StandardNormal
from skflow.flow import Flow
from skflow.training.device import resolve_device
from skflow.training.loop import train
from skflow.training.settings import Settings
from skflow.training.state import TrainState
from skflow.training.stopping import AllEpochs, EarlyStopping, mean_log_prob
from skflow.transforms import ActNorm, Affine, Coupling, RationalQuadratic
from tests.contract.table import generator

SETTINGS = Settings(
    max_iter=20,
    batch_size=50,
    learning_rate_init=1e-2,
    weight_decay=1e-4,
    n_iter_no_change=3,
    tol=1e-4,
    max_time=None,
)
X = 2 + 3 * torch.randn(200, 2, generator=generator(0))
HELD_OUT = 2 + 3 * torch.randn(100, 2, generator=generator(1))


def make_flow():
    return Flow([], [ActNorm(2), Coupling(2, Affine(), generator=generator())], StandardNormal(2))


def begin(flow, settings=SETTINGS, *, held_out=HELD_OUT, rows=X, weight=None):
    """The state of a training that has not begun, and its batches."""
    rule = AllEpochs()
    if held_out is not None:
        rule = EarlyStopping(Rows(held_out), settings.n_iter_no_change, settings.tol)
    state = TrainState(flow, settings, generator(2), rule)
    batches = MemoryBatches(
        lambda epoch: rows, len(rows), settings.batch_size, weight, state.generator
    )
    return state, batches


def run(flow, settings=SETTINGS, on_epoch=lambda epoch, module: False, **data):
    return train(*begin(flow, settings, **data), settings, on_epoch)


def score(flow, rows=HELD_OUT):
    return mean_log_prob(flow, Rows(rows))


def test_training_improves_and_keeps_the_best_weights():
    flow = make_flow()
    start = score(flow)
    outcome = run(flow, replace(SETTINGS, max_iter=60))
    assert outcome.start_score == pytest.approx(start)
    assert outcome.best_score > start + 1
    assert score(flow) == pytest.approx(outcome.best_score, abs=1e-6)
    assert outcome.history[outcome.best_epoch - 1].validation_score == outcome.best_score


def test_the_untrained_flow_is_epoch_zero():
    flow = make_flow()
    flow.learned.initialize(X)
    before = {k: v.clone() for k, v in flow.state_dict().items()}
    outcome = run(flow, replace(SETTINGS, learning_rate_init=100.0, max_iter=3))
    assert outcome.best_epoch == 0
    assert all(torch.equal(v, before[k]) for k, v in flow.state_dict().items())


class Stumbling(torch.nn.Module):
    """A flow whose training loss is NaN on chosen steps."""

    def __init__(self, bad_steps):
        super().__init__()
        self.flow, self.bad_steps, self.step = make_flow(), bad_steps, 0

    @property
    def learned(self):
        return self.flow.learned

    def forward(self, x, context=None, noise=None):
        score = self.flow(x, noise=noise)
        if not torch.is_grad_enabled():
            return score
        self.step += 1
        return score * math.nan if self.step in self.bad_steps else score

    def take_training_terms(self):
        return []


@pytest.mark.parametrize("held_out", [HELD_OUT, None])
def test_a_loss_that_is_not_finite_rolls_back(held_out):
    flow = Stumbling({6, 14})
    outcome = run(flow, held_out=held_out)
    assert outcome.n_rollbacks == 2
    assert all(p.isfinite().all() for p in flow.parameters())
    assert score(flow) > score(make_flow())


def test_a_hopeless_loss_ends_with_the_start():
    flow = Stumbling(set(range(1000)))
    before = {k: v.clone() for k, v in flow.state_dict().items()}
    outcome = run(flow, replace(SETTINGS, max_iter=100))
    assert outcome.n_rollbacks < 100
    assert all(torch.equal(v, before[k]) for k, v in flow.state_dict().items())


def test_a_callback_stops_it():
    seen = []
    outcome = run(
        make_flow(), on_epoch=lambda epoch, module: seen.append(epoch) or epoch.epoch == 4
    )
    assert len(seen) == len(outcome.history) == 4


def test_stalling_ends_it():
    flow = make_flow()
    flow.learned.initialize(X)
    outcome = run(flow, replace(SETTINGS, max_iter=1000, learning_rate_init=1e-9))
    assert outcome.stopped_early
    # A whole round at the first step, a third of one at a smaller, which brought nothing either.
    assert len(outcome.history) == SETTINGS.n_iter_no_change + 1


def test_time_runs_out():
    outcome = run(make_flow(), replace(SETTINGS, max_iter=10**6, max_time=0.2), held_out=None)
    assert outcome.history[-1].seconds < 5


def test_weights_of_rows_weigh_the_loss():
    flow, dropped = make_flow(), make_flow()
    settings = replace(SETTINGS, batch_size=1000, max_iter=30)
    weight = torch.cat([torch.full((100,), 2.0), torch.zeros(100)])  # of mean 1
    run(flow, settings, held_out=None, weight=weight)
    run(dropped, settings, held_out=None, rows=X[:100])
    torch.testing.assert_close(flow.log_prob(X), dropped.log_prob(X), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("held_out", [HELD_OUT, None])
def test_a_kept_state_goes_on_as_if_nothing_had_come_between(held_out):
    settings = replace(SETTINGS, max_iter=8, learning_rate_init=0.2)
    whole = make_flow()
    expected = run(whole, settings, held_out=held_out)
    first, batches = begin(make_flow(), settings, held_out=held_out)
    kept = {}

    def keep_after_three(epoch, module):
        if epoch.epoch == 3:
            kept.update(copy.deepcopy(first.state_dict()))
        return epoch.epoch == 3

    train(first, batches, settings, keep_after_three)
    second, batches = begin(make_flow(), settings, held_out=held_out)
    second.load_state_dict(kept)
    outcome = train(second, batches, settings, lambda epoch, module: False)
    scores = [epoch.validation_score for epoch in outcome.history]
    assert len(scores) == len(expected.history)
    np.testing.assert_equal(scores, [epoch.validation_score for epoch in expected.history])
    for name, value in whole.state_dict().items():
        assert torch.equal(second.flow.state_dict()[name], value), name


@pytest.mark.parametrize("held_out", [HELD_OUT, None])
def test_an_interrupt_keeps_the_best_weights(held_out):
    flow = make_flow()

    def interrupt(epoch, module):
        if epoch.epoch == 4:
            raise KeyboardInterrupt
        return False

    outcome = run(flow, on_epoch=interrupt, held_out=held_out)
    assert outcome.interrupted
    assert len(outcome.history) == 4
    assert score(flow) > score(make_flow()) + 0.1


def test_nothing_to_train():
    flow = Flow([], [], StandardNormal(2))
    assert run(flow).history == []


def test_all_tail_batches_train_on():
    flow = Flow([], [Coupling(2, RationalQuadratic(), generator=generator())], StandardNormal(2))
    outcome = run(flow, rows=X * 1e5, held_out=None)
    assert outcome.n_rollbacks == 0
    assert all(p.isfinite().all() for p in flow.parameters())


def test_devices_are_named_or_refused():
    assert resolve_device("cpu").type == "cpu"
    assert resolve_device("auto").type in ("cpu", "cuda")
    with pytest.raises(ValueError, match="no device of torch"):
        resolve_device("abacus")
