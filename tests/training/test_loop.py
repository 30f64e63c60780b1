"""The loop: it never loses what it had."""

import math
from dataclasses import replace

import pytest
import torch

from skflow.distributions import StandardNormal
from skflow.flow import Flow
from skflow.training.device import resolve_device
from skflow.training.loop import Settings, mean_log_prob, train
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
    return Flow([ActNorm(2), Coupling(2, Affine(), generator=generator())], StandardNormal(2))


def run(flow, settings=SETTINGS, *, validation=HELD_OUT, on_epoch=lambda epoch: False, rows=X):
    return train(flow, lambda _: rows, None, validation, None, settings, generator(2), on_epoch)


def test_training_improves_and_keeps_the_best_weights():
    flow = make_flow()
    start = mean_log_prob(flow, HELD_OUT, None)
    outcome = run(flow, replace(SETTINGS, max_iter=60))
    assert outcome.start_score == pytest.approx(start)
    assert outcome.best_score > start + 1
    assert mean_log_prob(flow, HELD_OUT, None) == pytest.approx(outcome.best_score, abs=1e-6)
    assert outcome.history[outcome.best_epoch - 1].validation_score == outcome.best_score


def test_the_untrained_flow_is_epoch_zero():
    flow = make_flow()
    flow.transform.initialize(X)
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
    def transform(self):
        return self.flow.transform

    def forward(self, x, noise=None):
        score = self.flow(x, noise=noise)
        if not torch.is_grad_enabled():
            return score
        self.step += 1
        return score * math.nan if self.step in self.bad_steps else score

    def take_training_terms(self):
        return []


@pytest.mark.parametrize("validation", [HELD_OUT, None])
def test_a_loss_that_is_not_finite_rolls_back(validation):
    flow = Stumbling({6, 14})
    outcome = run(flow, validation=validation)
    assert outcome.n_rollbacks == 2
    assert all(p.isfinite().all() for p in flow.parameters())
    assert mean_log_prob(flow, HELD_OUT, None) > mean_log_prob(make_flow(), HELD_OUT, None)


def test_a_hopeless_loss_ends_with_the_start():
    flow = Stumbling(set(range(1000)))
    before = {k: v.clone() for k, v in flow.state_dict().items()}
    outcome = run(flow, replace(SETTINGS, max_iter=100))
    assert outcome.n_rollbacks < 100
    assert all(torch.equal(v, before[k]) for k, v in flow.state_dict().items())


def test_a_callback_stops_it():
    seen = []
    outcome = run(make_flow(), on_epoch=lambda epoch: seen.append(epoch) or epoch.epoch == 4)
    assert len(seen) == len(outcome.history) == 4


def test_stalling_ends_it():
    flow = make_flow()
    flow.transform.initialize(X)
    outcome = run(flow, replace(SETTINGS, max_iter=1000, learning_rate_init=1e-9))
    assert outcome.stopped_early
    # Once at the first step, once at a smaller one: a start that nothing improved gets no third.
    assert len(outcome.history) == 2 * SETTINGS.n_iter_no_change


def test_time_runs_out():
    outcome = run(make_flow(), replace(SETTINGS, max_iter=10**6, max_time=0.2), validation=None)
    assert outcome.history[-1].seconds < 5


def test_weights_of_rows_weigh_the_loss():
    flow, dropped = make_flow(), make_flow()
    settings = replace(SETTINGS, batch_size=1000, max_iter=30)
    weight = torch.cat([torch.full((100,), 2.0), torch.zeros(100)])  # of mean 1
    train(flow, lambda _: X, weight, None, None, settings, generator(2), lambda epoch: False)
    run(dropped, settings, validation=None, rows=X[:100])
    torch.testing.assert_close(flow.log_prob(X), dropped.log_prob(X), atol=1e-4, rtol=1e-4)


def test_nothing_to_train():
    flow = Flow([], StandardNormal(2))
    assert run(flow).history == []


def test_all_tail_batches_train_on():
    flow = Flow([Coupling(2, RationalQuadratic(), generator=generator())], StandardNormal(2))
    outcome = run(flow, rows=X * 1e5, validation=None)
    assert outcome.n_rollbacks == 0
    assert all(p.isfinite().all() for p in flow.parameters())


def test_devices_are_named_or_refused():
    assert resolve_device("cpu").type == "cpu"
    assert resolve_device("auto").type in ("cpu", "cuda")
    with pytest.raises(ValueError, match="no device of torch"):
        resolve_device("abacus")
