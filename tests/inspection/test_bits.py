"""Bits per dimension against a density whose cells have known probabilities."""

import numpy as np
import pytest

from skflow import NormalizingFlow
from skflow.inspection import bits_per_dimension


@pytest.fixture(scope="module")
def uniform_levels():
    return np.random.default_rng(0).integers(0, 16, size=(3000, 2)).astype(float)


@pytest.mark.filterwarnings("ignore:columns:sklearn.exceptions.DataConversionWarning")
def test_uniform_levels_take_their_entropy(uniform_levels):
    flow = NormalizingFlow(
        start="standard", base="normal", bounds=[(-0.5, 15.5)] * 2, n_layers=2, random_state=0
    )
    flow.fit(uniform_levels[:2000])
    bits = bits_per_dimension(flow, uniform_levels[2000:], n_draws=3)
    assert 4 <= bits < 4.05  # no model can be below log2(16)


@pytest.mark.filterwarnings("ignore:columns:sklearn.exceptions.DataConversionWarning")
def test_the_unit_of_the_levels_does_not_matter(uniform_levels):
    settings = {"start": "standard", "base": "normal", "n_layers": 0, "random_state": 0}
    ones = NormalizingFlow(**settings).fit(uniform_levels)
    eighths = NormalizingFlow(**settings).fit(uniform_levels / 8)
    assert bits_per_dimension(ones, uniform_levels) == pytest.approx(
        bits_per_dimension(eighths, uniform_levels / 8), abs=1e-9
    )


def test_continuous_columns_need_a_step():
    X = np.random.default_rng(0).normal(size=(100, 2))
    flow = NormalizingFlow(start="standard", base="normal", n_layers=0).fit(X)
    with pytest.raises(ValueError, match="give step"):
        bits_per_dimension(flow, X)
    assert np.isfinite(bits_per_dimension(flow, X, step=0.01))
