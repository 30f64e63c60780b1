"""Starts are found on one thread of linear algebra, whoever else is at work."""

import threading

import numpy as np
import pytest
import torch
from threadpoolctl import ThreadpoolController, threadpool_info, threadpool_limits

from skflow.starts import factors, point_set, search, table
from skflow.training.one_thread import one_thread
from tests.estimators.configurations import six_flows

OF_TORCH = "/torch/lib/"


def threads(user_api=("blas", "openmp")):
    return {
        one["filepath"]: one["num_threads"]
        for one in threadpool_info()
        if one["user_api"] in user_api and OF_TORCH not in one["filepath"]
    }


@pytest.fixture(autouse=True)
def _three_threads():
    """A number that is neither the limit nor, on most machines, the default."""
    import sklearn.cluster  # noqa: F401

    with ThreadpoolController().limit(limits=3):
        yield


def start_thread(target):
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread


def test_limited_within_and_restored_after():
    before, of_torch = threads(), torch.get_num_threads()
    assert set(before.values()) == {3}
    with one_thread():
        assert set(threads().values()) == {1}
        assert torch.get_num_threads() == 1
        with one_thread():
            assert set(threads().values()) == {1}
        assert set(threads().values()) == {1}
    assert threads() == before
    assert torch.get_num_threads() == of_torch


def test_restored_after_an_error():
    before = threads()
    with pytest.raises(KeyboardInterrupt), one_thread():
        raise KeyboardInterrupt
    assert threads() == before


@pytest.mark.parametrize("first_out", ["first in", "last in"])
def test_overlapping_threads_restore_what_was_before_both(first_out):
    entered = {"first in": threading.Event(), "last in": threading.Event()}
    leave = {"first in": threading.Event(), "last in": threading.Event()}
    seen = {}

    def work(name):
        with one_thread():
            seen[name] = threads()
            entered[name].set()
            assert leave[name].wait(20)
            with threadpool_limits(1):  # as scikit-learn does inside
                pass
            seen[name, "at the end"] = threads()

    _free()
    workers = {}
    for name in ("first in", "last in"):
        workers[name] = start_thread(lambda name=name: work(name))
        assert entered[name].wait(20)
    order = [first_out, *({"first in", "last in"} - {first_out})]
    leave[order[0]].set()
    workers[order[0]].join(20)
    assert set(threads(["blas"]).values()) == {1}
    leave[order[1]].set()
    workers[order[1]].join(20)
    assert set(threads(["blas"]).values()) == {3}
    for values in seen.values():
        assert set(values.values()) == {1}
    _free()
    with threadpool_limits(2):  # nothing is left that would keep other threads from their limits
        assert set(threads(["blas"]).values()) == {2}


def _free():
    """Let go of what the fixture's own limit keeps for this thread."""
    for one in ThreadpoolController().lib_controllers:
        if hasattr(one, "clear_controlling_thread"):
            one.clear_controlling_thread()


def test_a_limit_of_another_thread_is_not_made_permanent():
    inside, leave = threading.Event(), threading.Event()
    _free()

    def limited():
        with threadpool_limits(1, user_api="blas"):
            inside.set()
            assert leave.wait(20)

    other = start_thread(limited)
    assert inside.wait(20)
    with one_thread():
        leave.set()
        other.join(20)
    assert set(threads(["blas"]).values()) == {3}


STARTS = [
    (search, "Space", "NormalizingFlow", {"start": "auto", "base": "auto"}),
    (table, "with_edges", "SurVAEFlow", {}),
    (point_set, "Rows", "SurVAEFlow", {"input_shape": (2, 2), "n_layers": 1}),
    (factors, "fit_factors", "MultiscaleFlow", {"prior": "vae", "n_components": 1}),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("start", STARTS, ids=lambda start: start[0].__name__)
def test_every_start_is_found_on_one_thread(start, monkeypatch):
    module, inner, name, parameters = start
    seen, function = [], getattr(module, inner)

    def noted(*args, **kwargs):
        seen.append(threads())
        return function(*args, **kwargs)

    monkeypatch.setattr(module, inner, noted)
    before = threads()
    six_flows()[name].set_params(**parameters).fit(np.random.default_rng(0).normal(size=(60, 4)))
    assert seen
    assert all(set(one.values()) == {1} for one in seen)
    assert threads() == before
