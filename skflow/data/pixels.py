"""Images as rows: one grid of values for all pixels."""

from numbers import Integral

import numpy as np

from skflow.data.grids import exact_grid
from skflow.data.noise_floor import NoiseFloor, column_resolution, find_noise_floor
from skflow.data.repeated_rows import row_groups

MAX_LEVELS = 2**16  # of a quantised image; with more, pixels count as continuous
ROWS_AT_ONCE = 1_000


def check_image_shape(image_shape, n_features: int) -> tuple[int, int, int]:
    """Channels, height and width, three positive numbers whose product is the row's length."""
    shape = tuple(image_shape)
    if len(shape) != 3 or not all(isinstance(size, Integral) and int(size) > 0 for size in shape):
        raise ValueError(
            f"image_shape={image_shape!r}; give (channels, height, width), as in (1, 28, 28)."
        )
    if np.prod(shape) != n_features:
        raise ValueError(
            f"image_shape={shape} has {np.prod(shape)} values, X has {n_features} columns. Rows "
            "are images laid out flat, as by X.reshape(len(X), -1) from (n, channels, height, "
            "width)."
        )
    return shape


def pixel_levels(X: np.ndarray) -> np.ndarray | None:
    """The distinct values of all pixels; None where there are too many to be levels."""
    levels = np.empty(0)
    for first in range(0, len(X), ROWS_AT_ONCE):
        levels = np.union1d(levels, X[first : first + ROWS_AT_ONCE])
        if len(levels) > MAX_LEVELS:
            return None
    return levels


def pixel_step(X: np.ndarray) -> float:
    """The distance of neighbouring levels, the same for all pixels; 0 where there is none."""
    levels = pixel_levels(X)
    if levels is None:
        return 0.0
    width, kind = column_resolution(np.concatenate([levels, levels]))
    return width if kind == "lattice" else 0.0


def pixels_per_unit(X: np.ndarray) -> int:
    """What the levels are whole numbers divided by, such as 255; 0 where there is no such."""
    levels, step = pixel_levels(X), pixel_step(X)
    return exact_grid(levels, step)[2] if levels is not None and step else 0


def pixel_noise_floor(X: np.ndarray) -> NoiseFloor:
    """Dequantisation by one step, the same for all pixels, constant ones included.

    Levels on a lattice are what one expects of pixels, so none is named as a column to warn of.
    Without a common lattice every pixel is treated as a column of a table is.
    """
    step, d = pixel_step(X), X.shape[1]
    if step == 0:
        return find_noise_floor(X)
    return NoiseFloor(np.full(d, step), ("continuous",) * d, row_groups(X))


def pixel_bounds(X: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The darkest and the brightest level; None without a lattice.

    Bytes, and bytes divided by 255, have their known range, whatever part of it occurs.
    """
    step = pixel_step(X)
    if not step:
        return None
    low, high = X.min(), X.max()
    for unit in (1.0, 1 / 255):
        if np.isclose(step, unit) and low >= 0 and 127 * unit < high <= 255.5 * unit:
            low, high = 0.0, 255 * unit
    ones = np.ones(X.shape[1])
    return low * ones, high * ones
