"""Bases by name: made, and fitted where there is something to fit."""

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture as SklearnMixture

from skflow.data.rows import Rows
from skflow.starts.bases import BASES, FitOptions

OPTIONS = FitOptions(regularisation=1e-3, max_iter=300, seed=3)


@pytest.mark.parametrize("name", sorted(BASES))
def test_a_base_is_fitted_in_place(name):
    z = np.random.default_rng(0).normal(size=(200, 3)) * [1, 2, 5]
    base = BASES[name].kind.unfitted(3, 2).double()
    before = base.log_prob(torch.as_tensor(z)).mean()
    assert BASES[name].fit(base, Rows(torch.tensor(z)), OPTIONS)
    gain = base.log_prob(torch.as_tensor(z)).mean() - before
    assert (gain > 1) == (name == "mixture")


def test_the_mixture_is_no_less_likely_than_scikit_learns():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(200, 3)) * [1, 2, 5] + 9 * rng.integers(3, size=(200, 1))
    base = BASES["mixture"].kind.unfitted(3, 4).double()
    assert BASES["mixture"].fit(base, Rows(torch.tensor(z)), OPTIONS)
    expected = SklearnMixture(4, reg_covar=1e-3, max_iter=300, random_state=3).fit(z)
    assert base.log_prob(torch.as_tensor(z)).mean().item() > expected.score(z) - 1e-3


def test_too_few_rows_leave_it_unfitted():
    base = BASES["mixture"].kind.unfitted(2, 5).double()
    assert not BASES["mixture"].fit(base, Rows(torch.zeros(3, 2).double()), OPTIONS)
