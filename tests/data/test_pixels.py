"""The levels of pixels: one grid for all of them."""

import numpy as np
import pytest

from skflow.data.pixels import pixel_bounds, pixel_step, pixels_per_unit

RNG = np.random.default_rng(0)
BYTES = RNG.integers(0, 256, (50, 16)).astype(float)


@pytest.mark.parametrize("offset", [0.0, -3.5, 1e6, 1.7e12])
def test_levels_on_a_large_offset_have_their_step(offset):
    assert pixel_step(BYTES + offset) == 1.0
    low, high = pixel_bounds(BYTES + offset)
    assert (low >= offset).all()
    assert (high <= offset + 255).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_bytes_as_shares(dtype):
    X = (BYTES / 255).astype(dtype).astype(float)
    assert pixel_step(X) == pytest.approx(1 / 255, rel=1e-4)
    assert pixels_per_unit(X) == 255
    np.testing.assert_allclose(pixel_bounds(X)[1], 1.0)


def test_levels_that_differ_by_rounding_are_one():
    X = np.where(RNG.uniform(size=BYTES.shape) < 0.5, 0.1 + 0.2, 0.3) + RNG.integers(0, 4, (50, 16))
    assert pixel_step(X) == pytest.approx(1.0)


def test_no_levels_no_step():
    X = RNG.normal(size=(50, 16))
    assert (pixel_step(X), pixels_per_unit(X), pixel_bounds(X)) == (0.0, 0, None)
