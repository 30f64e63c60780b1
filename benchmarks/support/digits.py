"""scikit-learn's digits, as the benchmarks split and dequantise them."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def dequantised_digits() -> tuple[np.ndarray, np.ndarray]:
    """The grey levels' middles and the dequantised rows, in units of 17 levels, shuffled."""
    levels, rng = load_digits().data, np.random.default_rng(0)
    dequantised = levels + rng.uniform(size=levels.shape)
    order = rng.permutation(len(levels))
    return (levels[order] + 0.5) / 17, dequantised[order] / 17


def split_digits(seed: int):
    """Rows on their levels, and test rows dequantised within their cells."""
    X, X_test = train_test_split(load_digits().data, test_size=347, random_state=seed)
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, X_test.shape)
    return X, X_test, X_test + noise
