"""Ctrl-C in a fit."""

import os
import signal

import numpy as np
import pytest
from sklearn.callback import ProgressBar
from sklearn.exceptions import ConvergenceWarning

from skflow import FunnelFlow, MultiscaleFlow, NormalizingFlow
from skflow.estimators import numeric_flow
from skflow.training import candidates
from tests.estimators.configurations import SIX, six_flows
from tests.estimators.test_callbacks import Keeper

X = np.random.default_rng(0).normal(size=(80, 3))


class Interrupter(Keeper):
    """Sends the signal of Ctrl-C after some epochs."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.task_name == "epoch":
            self.epochs.append(fitted_estimator)
            if len(self.epochs) == self.stop_after:
                os.kill(os.getpid(), signal.SIGINT)


def interrupted_only(caught):
    return [str(one.message) for one in caught if "interrupted" in str(one.message)]


@pytest.mark.parametrize("early_stopping", [True, False])
@pytest.mark.parametrize("name", SIX)
def test_the_best_weights_so_far_stand(name, early_stopping):
    flow = six_flows(max_iter=50, early_stopping=early_stopping)[name]
    interrupter = Interrupter(3)
    with pytest.warns(ConvergenceWarning) as caught:
        flow.set_callbacks(interrupter).fit(X)
    assert len(interrupted_only(caught)) == 1
    assert flow.n_iter_ == 3
    if flow.best_iter_:
        best = interrupter.epochs[flow.best_iter_ - 1]
        np.testing.assert_array_equal(flow.score_samples(X), best.score_samples(X))


def test_without_a_callback_and_within_an_epoch(monkeypatch):
    flow = six_flows(max_iter=50)["NormalizingFlow"]
    settings = NormalizingFlow._settings

    def interrupt_soon(self, *args):
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        return settings(self, *args)

    monkeypatch.setattr(NormalizingFlow, "_settings", interrupt_soon)
    before = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    try:
        with pytest.warns(ConvergenceWarning) as caught:
            flow.set_params(max_iter=10**6, n_iter_no_change=10**6).fit(X)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(interrupted_only(caught)) == 1
    assert np.isfinite(flow.score_samples(X)).all()


def test_a_progress_bar_ends_too():
    pytest.importorskip("rich")
    flow = six_flows(max_iter=50)["NormalizingFlow"]
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        flow.set_callbacks(ProgressBar(), Interrupter(2)).fit(X)
    assert flow.n_iter_ == 2


@pytest.mark.parametrize("name", ["NormalizingFlow", "FunnelFlow"])
def test_in_the_search_of_a_start_nothing_changes(name, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    flow = six_flows()[name]
    with monkeypatch.context() as patch:
        patch.setattr(numeric_flow, "fit_start", interrupt)
        with pytest.raises(KeyboardInterrupt):
            flow.fit(X)
    assert not hasattr(flow, "flow_")
    flow.fit(X)
    expected = flow.score_samples(X)
    monkeypatch.setattr(numeric_flow, "fit_start", interrupt)
    with pytest.raises(KeyboardInterrupt):
        flow.fit(2 * X)
    np.testing.assert_array_equal(flow.score_samples(X), expected)


def test_in_the_training_that_only_ranks_columns_nothing_is_kept(monkeypatch):
    from skflow.estimators import multiscale_flow

    fit_flow = multiscale_flow.fit_flow

    def interrupted(fitted, settings, seed):
        def interrupt(epoch, so_far):
            raise KeyboardInterrupt

        return fit_flow(fitted, settings, seed, interrupt)

    monkeypatch.setattr(multiscale_flow, "fit_flow", interrupted)
    flow = MultiscaleFlow(factor_out="likelihood", n_scales=2, max_iter=5, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        flow.fit(X)
    assert not hasattr(flow, "flow_")


@pytest.mark.parametrize("interrupted_at", [0, 1])
def test_between_candidates_the_trained_ones_stand(interrupted_at, monkeypatch):
    fit_flow, done = candidates.fit_flow, []

    def interrupted(*args, **paused):
        if len(done) == interrupted_at:
            raise KeyboardInterrupt
        done.append(fit_flow(*args, **paused))
        return done[-1]

    monkeypatch.setattr(candidates, "fit_flow", interrupted)
    flow = FunnelFlow("auto", max_iter=3, hidden_layer_sizes=(8,), random_state=0)
    if interrupted_at == 0:
        with pytest.raises(KeyboardInterrupt):
            flow.fit(X)
        assert not hasattr(flow, "flow_")
        return
    with pytest.warns(ConvergenceWarning) as caught:
        flow.fit(X)
    assert len(interrupted_only(caught)) == 1
    assert flow.n_components_ == done[0].flow.base.n_features


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_in_partial_fit_too(monkeypatch):
    flow = six_flows()["NormalizingFlow"].partial_fit(X)
    expected = flow.score_samples(X)
    from skflow.training import fit

    train = fit.train

    def interrupted(state, batches, settings, on_epoch):
        def interrupt(flow, batch, noise):
            raise KeyboardInterrupt

        return train(state, batches, settings, on_epoch, interrupt)

    monkeypatch.setattr(fit, "train", interrupted)
    with pytest.warns(ConvergenceWarning) as caught:
        flow.partial_fit(X)
    assert len(interrupted_only(caught)) == 1
    np.testing.assert_allclose(flow.score_samples(X), expected, rtol=1e-6)
