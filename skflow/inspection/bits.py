"""Bits per dimension: the code length of quantised data under a density."""

import math

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted


def bits_per_dimension(estimator, X, *, step=None, n_draws=1, random_state=0):
    r"""Mean code length of quantised rows, in bits per column.

    A density p of continuous values gives a level x of a lattice the probability of its cell. By
    Jensen's inequality, with u uniform on the cell around 0,

    .. math:: -\log_2 P(x) \le \mathrm{E}_u[-\log_2 p(x + u)] - d \log_2 \mathrm{step},

    of which this is the mean over rows and draws, divided by the number of columns d.

    Parameters
    ----------
    estimator : fitted flow
    X : array-like of shape (n_samples, n_features)
        Rows on the lattice, in the units the estimator was fitted on.
    step : float, default=None
        Distance of neighbouring levels; by default the one `fit` found, if it is the same in
        all columns.
    n_draws : int, default=1
        Draws of u for every row.
    random_state : int, RandomState instance or None, default=0

    Returns
    -------
    bits : float

    Raises
    ------
    ValueError
        If ``step`` is not given and the columns have none in common.

    References
    ----------
    Theis, van den Oord, Bethge (2016), "A note on the evaluation of generative models",
    arXiv:1511.01844.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skflow import SelfNormalizingFlow
    >>> from skflow.inspection import bits_per_dimension
    >>> X = load_digits().data
    >>> flow = SelfNormalizingFlow(image_shape=(1, 8, 8), max_iter=1, random_state=0).fit(X[:500])
    >>> 0 < bits_per_dimension(flow, X[500:600]) < 4
    True
    """
    check_is_fitted(estimator)
    X = np.asarray(X, dtype=np.float64)
    if step is None:
        widths = np.unique(estimator.noise_floor_)
        if len(widths) != 1 or widths[0] == 0:
            raise ValueError(
                "the columns have no lattice step in common; give step, such as 1 for grey levels "
                "0, 1, ..., 255."
            )
        step = float(widths[0])
    rng = check_random_state(random_state)
    scores = [
        estimator.score(X + step * rng.uniform(-0.5, 0.5, size=X.shape)) for _ in range(n_draws)
    ]
    return float(-np.mean(scores) / (X.shape[1] * math.log(2)) - math.log2(step))
