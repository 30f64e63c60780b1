"""Values that can be compared and kept."""

import numpy as np
import pandas as pd
import pytest

from skflow.data.plain import plain


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ((1, 2), [1, 2]),
        (np.array([1.5, 2]), [1.5, 2.0]),
        (np.float64(0.5), 0.5),
        (pd.Index(["a", "b"]), ["a", "b"]),
        ({np.int64(0): (None, np.inf)}, {0: [None, np.inf]}),
        (range(2), [0, 1]),
        ("auto", "auto"),
        (None, None),
    ],
)
def test_parameters_are_kept_in_plain_values(given, kept):
    assert plain(given) == kept
    assert type(plain(given)) is type(kept)
