"""Moments of weighted rows are those of repeated rows."""

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf_shrinkage

from skflow.kernels.moments import (
    ledoit_wolf_intensity,
    rows_of_moments,
    weighted_mean,
    weighted_median,
    weighted_moments,
)

RNG = np.random.default_rng(0)
X = torch.tensor(RNG.normal(size=(30, 5)) @ RNG.normal(size=(5, 5)))
COUNTS = torch.tensor(RNG.integers(1, 5, size=30))
WEIGHT, REPEATED = COUNTS.double(), X.repeat_interleave(COUNTS, 0)


def test_the_shrinkage_is_that_of_repeated_rows():
    centred = X - weighted_mean(X, WEIGHT)
    found = ledoit_wolf_intensity(centred, WEIGHT)
    repeated = ledoit_wolf_intensity(REPEATED - REPEATED.mean(0), None)
    assert found == pytest.approx(repeated, rel=1e-12)
    assert found == pytest.approx(ledoit_wolf_shrinkage(REPEATED.numpy()), rel=1e-9)


@pytest.mark.parametrize("n", [29, 30])
def test_the_median_is_the_lower_one_of_repeated_rows(n):
    x, counts = X[:n].clone(), COUNTS[:n]
    x[::4, 1] = torch.nan
    x[:, 2] = torch.nan
    found = weighted_median(x, counts.double())
    expected = x.repeat_interleave(counts, 0).nanmedian(0).values
    assert torch.equal(found.nan_to_num(-1), expected.nan_to_num(-1))
    ones = weighted_median(x, torch.ones(n).double())
    assert torch.equal(ones.nan_to_num(-1), x.nanmedian(0).values.nan_to_num(-1))


def test_rows_stand_for_weighted_moments():
    rows = rows_of_moments(X, WEIGHT)
    torch.testing.assert_close(rows.mean(0), REPEATED.mean(0))
    torch.testing.assert_close(rows.T.cov(correction=0), REPEATED.T.cov(correction=0))
    assert rows_of_moments(X, None) is X


def test_deviations_are_those_of_repeated_rows():
    for one, other in zip(
        weighted_moments(X, WEIGHT), weighted_moments(REPEATED, None), strict=True
    ):
        torch.testing.assert_close(one, other)
