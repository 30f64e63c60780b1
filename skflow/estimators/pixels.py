"""Images as rows: one grid of values for all pixels."""

import numpy as np

from skflow.data.noise_floor import NoiseFloor, column_resolution, row_groups

ROWS_LOOKED_AT = 1_000


def check_image_shape(image_shape, n_features: int) -> tuple[int, int, int]:
    """Channels, height and width, three positive numbers whose product is the row's length."""
    shape = tuple(int(size) for size in image_shape)
    if len(shape) != 3 or min(shape) < 1:
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


def pixel_step(X: np.ndarray) -> float:
    """The distance of neighbouring levels, the same for all pixels; 0 for continuous ones."""
    width, kind = column_resolution(X[:ROWS_LOOKED_AT].ravel())
    return width if kind == "lattice" else 0.0


def pixel_noise_floor(X: np.ndarray) -> NoiseFloor:
    """Dequantisation by one step, the same for all pixels, constant ones included.

    Pixels are expected to be quantised, so no column is named as one to warn of.
    """
    d = X.shape[1]
    return NoiseFloor(np.full(d, pixel_step(X)), ("continuous",) * d, row_groups(X))


def pixel_bounds(X: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Half a step beyond the darkest and the brightest level; None for continuous pixels."""
    step = pixel_step(X)
    if not step:
        return None
    ones = np.ones(X.shape[1])
    return (X.min() - step / 2) * ones, (X.max() + step / 2) * ones
