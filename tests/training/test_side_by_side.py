"""Chunks on several threads, each limited to one."""

import threading

import numpy as np
import pytest
import torch

from skflow import FunnelFlow, NormalizingFlow
from skflow.estimators import answers
from skflow.training.side_by_side import side_by_side
from tests.training.test_one_thread import threads


@pytest.fixture(autouse=True)
def _three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_results_come_in_order_from_several_threads_of_one_each():
    meet = threading.Barrier(3, timeout=20)
    before = threads()

    def work(chunk):
        if chunk < 3:
            meet.wait()  # all three are at work at once
        return chunk, threading.get_ident(), torch.get_num_threads(), set(threads().values())

    found = side_by_side(work, range(5))
    assert [chunk for chunk, *_ in found] == [0, 1, 2, 3, 4]
    assert len({ident for _, ident, *_ in found[:3]}) == 3
    assert {n for _, _, n, _ in found} == {1}
    assert all(seen == {1} for *_, seen in found)
    assert threads() == before
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("n_threads", [1, 3])
def test_an_error_is_the_callers(n_threads):
    torch.set_num_threads(n_threads)

    def work(chunk):
        raise ValueError(f"chunk {chunk}")

    with pytest.raises(ValueError, match="chunk 0"):
        side_by_side(work, [0, 1])
    assert torch.get_num_threads() == n_threads


def test_one_chunk_and_one_thread_stay_where_they_are():
    here = threading.get_ident()
    assert side_by_side(lambda chunk: threading.get_ident(), [0]) == [here]
    torch.set_num_threads(1)
    assert side_by_side(lambda chunk: threading.get_ident(), [0, 1]) == [here] * 2


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("flow", [NormalizingFlow, FunnelFlow])
def test_answers_do_not_depend_on_the_number_of_threads(flow, monkeypatch):
    X = np.random.default_rng(0).normal(size=(300, 3))
    flow = flow(max_iter=2, random_state=0).fit(X)
    monkeypatch.setattr(answers, "CHUNK_ROWS", 64)
    found = []
    for n_threads in (1, 3):
        torch.set_num_threads(n_threads)
        Z = flow.transform(X)
        found.append((flow.score_samples(X), Z, flow.inverse_transform(Z)))
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)
