import time
import warnings

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs

from skflow import NormalizingFlow, SurVAEFlow
from skflow.data.rows import Rows
from skflow.starts import search
from skflow.starts.search import StartOptions, choose_start
from skflow.starts.start_recipe import StartRecipe
from skflow.training.clock import Clock

X, _ = make_blobs(4000, 3, centers=[[0, 0, 0], [6, 0, 3], [0, 8, 1], [5, 5, 5]], random_state=0)
FOLDS = [(Rows(torch.as_tensor(X[400:])), Rows(torch.as_tensor(X[:400])))]
SMALL = [(Rows(torch.as_tensor(X[400:900])), Rows(torch.as_tensor(X[:400])))]


class Past(Clock):
    """Time is up from the first, or from the second question on."""

    def __init__(self, questions=0):
        super().__init__(1.0)
        object.__setattr__(self, "asked", []), object.__setattr__(self, "questions", questions)

    def past(self, share):
        self.asked.append(share)
        return len(self.asked) > self.questions


def choice(folds, clock=None, n_threads=1):
    options = StartOptions(clock=clock or Clock())
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        return choose_start(folds, options, None, np.random.RandomState(0))
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("folds", [FOLDS, SMALL], ids=["large", "small"])
def test_threads_find_what_one_finds(folds):
    one, two = choice(folds), choice(folds, n_threads=2)
    assert one.recipe == two.recipe
    assert one.score == two.score


@pytest.mark.parametrize("folds", [FOLDS, SMALL], ids=["large", "small"])
def test_without_time_the_plain_start_stands(folds):
    found = choice(folds, Past())
    plain = StartRecipe(3, base=found.recipe.base)
    assert (found.recipe.whiten, found.recipe.marginal_knots) == (False, 0)
    assert found.recipe.n_mixture_components in (0, 1)
    assert plain.base in ("normal", "mixture")


@pytest.mark.parametrize("questions", [1, 5, 20, 60])
def test_a_little_time_finds_something_no_worse(questions):
    assert choice(FOLDS, Past()).score <= choice(FOLDS, Past(questions)).score + 1e-9
    assert choice(FOLDS, Past(questions)).score <= choice(FOLDS).score + search.WORTH_MIXING


def test_the_filters_of_warnings_are_those_of_before():
    before = list(warnings.filters)
    repeated = Rows(torch.as_tensor(np.repeat(X[:30], 20, axis=0)))
    choice([(repeated, FOLDS[0][1])], n_threads=2)
    assert warnings.filters == before


@pytest.mark.parametrize("estimator", [NormalizingFlow, SurVAEFlow])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_fit_that_has_no_time_is_short_and_stands(estimator):
    wide = np.random.default_rng(0).normal(size=(4000, 12)) ** 3
    estimator(max_iter=1, random_state=0).fit(wide[:50])  # what the first fit of all takes
    started = time.monotonic()
    flow = estimator(max_time=0.05, random_state=0).fit(wide)
    short = time.monotonic() - started
    assert flow.n_iter_ <= 1
    assert np.isfinite(flow.score_samples(wide[:5])).all()
    started = time.monotonic()
    estimator(max_iter=1, random_state=0).fit(wide)
    assert short < time.monotonic() - started
