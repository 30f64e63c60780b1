"""What a fit that fails leaves behind."""

import subprocess
import sys

import numpy as np
import pytest

from tests.estimators.configurations import SIX, six_flows

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.DataConversionWarning"),
]
X = np.random.default_rng(0).normal(size=(60, 3))


class Recorder:
    """A callback that notes what it is told, and may fail there."""

    def __init__(self, fails_at=""):
        self.fails_at, self.told = fails_at, []

    def _note(self, what):
        self.told.append(what)
        if what == self.fails_at:
            raise RuntimeError(what)

    def setup(self, estimator, context):
        self._note("setup")

    def teardown(self, estimator, context):
        self._note("teardown")

    def on_fit_task_begin(self, estimator, context):
        self._note(f"{context.task_name} begins")

    def on_fit_task_end(self, estimator, context):
        self._note(f"{context.task_name} ends")


@pytest.mark.parametrize("fails_at", ["setup", "fit begins", "epoch begins", "epoch ends"])
@pytest.mark.parametrize("name", SIX)
def test_callbacks_are_torn_down_after_any_error(name, fails_at):
    recorder = Recorder(fails_at)
    flow = six_flows()[name]
    before = {**vars(flow), "_skl_callbacks": [recorder]}
    with pytest.raises(RuntimeError, match=fails_at):
        flow.set_callbacks(recorder).fit(X)
    assert recorder.told[-1] == "teardown"
    assert vars(flow) == before
    flow.set_callbacks().fit(X)
    after = dict(vars(flow))
    with pytest.raises(RuntimeError, match=fails_at):
        flow.set_callbacks(Recorder(fails_at)).fit(2 * X)
    vars(flow).pop("_skl_callbacks")
    assert all(vars(flow)[key] is value for key, value in after.items())
    assert vars(flow).keys() == after.keys()


def test_the_process_ends_after_an_error_behind_a_progress_bar():
    pytest.importorskip("rich")
    code = """if True:
        import numpy as np
        from sklearn.callback import ProgressBar
        from skflow import NormalizingFlow

        class Fails:
            def setup(self, estimator, context): pass
            def teardown(self, estimator, context): pass
            def on_fit_task_begin(self, estimator, context): pass
            def on_fit_task_end(self, estimator, context): raise RuntimeError("on purpose")

        flow = NormalizingFlow(start="standard", base="normal", max_iter=2)
        flow.set_callbacks(ProgressBar(), Fails()).fit(np.random.normal(size=(60, 2)))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.returncode == 1
    assert "on purpose" in done.stderr
