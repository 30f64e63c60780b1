"""Classical densities of mixed tables with missing cells, for benchmarks/mixed.py.

A peer is a function ``fit(table) -> (score, note)``: fitted on the training rows, every choice made
on the validation rows; ``score(frame)`` is in the measure that tables.py describes.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from benchmarks.support.mixed.latent_classes import mixture
from benchmarks.support.mixed.marginals import marginals
from benchmarks.support.mixed.tables import Table
from benchmarks.support.mixed.tree import conditional

Score = Callable[[pd.DataFrame], np.ndarray]
Peer = Callable[[Table], tuple[Score, str]]

PEERS: dict[str, Peer] = {
    "marginals": marginals,
    "mixture": mixture,
    "conditional": conditional,
}
