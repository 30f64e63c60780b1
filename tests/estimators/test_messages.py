"""What a fit warns of, where, and how often."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

from skflow import NormalizingFlow
from skflow.data.fit_data import FitData
from skflow.data.rows import Rows
from skflow.training.fit import Fitted
from skflow.training.state import Epoch, Outcome
from tests.estimators.configurations import SIX, six_flows

SEARCH = """
import numpy as np
from sklearn.model_selection import GridSearchCV
from skflow import {name}
X = np.random.default_rng(0).normal(size=(90, 3))
X[:, 0] = X[:, 0].round(1)
flow = {name}(max_iter=1, learning_rate_init=0.1, random_state=0)
GridSearchCV(flow, {{"weight_decay": [0.0]}}, cv=3).fit(X)
"""


@pytest.mark.parametrize("name", ["NormalizingFlow", "SelfNormalizingFlow"])
def test_a_search_shows_a_warning_once(name):
    done = subprocess.run(
        [sys.executable, "-c", SEARCH.format(name=name)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    shown = [line for line in done.stderr.splitlines() if "Warning: " in line]
    assert any("columns 0 repeat values" in line for line in shown)
    assert len(shown) == len(set(shown))
    assert all(line.startswith("<string>:8: ") for line in shown)


@pytest.mark.parametrize("spread", [0.01, 30.0])
def test_a_rise_within_the_held_out_error_is_no_reason_to_warn(spread):
    """The same rise of 0.1 nats, on held-out rows whose scores differ little or much."""
    rng = np.random.default_rng(0)
    flow = NormalizingFlow(start="standard", base="normal", n_layers=0, max_iter=2)
    flow.fit(rng.normal(size=(200, 2)))
    held_out = Rows(torch.tensor(1 + spread * np.linspace(0, 0.1, 40)[:, None] * [[1.0, 1.0]]))
    history = [Epoch(i, 0.0, score, 0.0, 0.0) for i, score in ((1, -3.0), (2, -2.9))]
    outcome = Outcome(history, start_score=-3.0, best_score=-2.9, best_epoch=2)
    fitted = Fitted(flow.flow_, FitData.plain(held_out, held_out), {}, outcome)
    assert flow._still_rises(fitted) is (spread < 1)
    for changed in ({"best_score": -2.99}, {"history": history[:1]}):
        unlike = Fitted(flow.flow_, fitted.data, {}, Outcome(**{**vars(outcome), **changed}))
        assert not flow._still_rises(unlike)


def test_the_standard_error_of_a_mean():
    values, weight = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([2.0, 1.0, 3.0])
    repeated = values.repeat_interleave(weight.long())
    expected = float(repeated.std() / len(repeated) ** 0.5)
    assert Rows(repeated).standard_error(repeated) == pytest.approx(expected)
    assert Rows(values, weight).standard_error(values) == pytest.approx(expected)


@pytest.mark.parametrize("name", SIX)
def test_a_warning_points_to_the_line_of_the_fit(name, monkeypatch):
    flow = six_flows(max_iter=1)[name]
    monkeypatch.setattr(type(flow), "_still_rises", lambda self, fitted: True)
    X = np.random.default_rng(0).normal(size=(60, 3))
    with pytest.warns(ConvergenceWarning, match="still rising at max_iter=1; raise") as caught:
        flow.fit(X)
    assert {one.filename for one in caught} == {__file__}
