"""Weights mean repetition: a row given twice, and a row of weight two, are the same data.

Where repetitions of a row cannot be told apart, they become one row of their summed weight, in an
order that does not depend on how the rows came. Nothing behind that sees which of the two it was.
"""

import numpy as np


def row_groups(X: np.ndarray) -> np.ndarray:
    """Number the rows; repetitions of a row share a number, whatever the order of the rows."""
    if X.shape[1] == 1:  # here every tie is a repeated row, and ties are what we look for
        return np.arange(len(X))
    X = np.where(np.isnan(X), np.nan, X + 0.0)  # one NaN and one zero
    packed = np.ascontiguousarray(X).view(np.dtype((np.void, X.dtype.itemsize * X.shape[1])))
    return np.unique(packed.ravel(), return_inverse=True)[1]


def effective_number(weight: np.ndarray) -> float:
    r"""How many rows of equal weight say as much: :math:`\exp(-\sum p_i \log p_i)`.

    Their number where all weigh the same, whatever the unit of the weights. It forgives a few
    heavy rows: of 700 rows with a weight of 1 and one of 300, Kish's
    :math:`(\sum w)^2 / \sum w^2` would leave 11, this leaves 180.

    References
    ----------
    Hill (1973), "Diversity and evenness: a unifying notation and its consequences".
    """
    share = weight / weight.max()
    share = share / share.sum()
    return float(np.exp(-(share * np.log(np.where(share > 0, share, 1.0))).sum()))


def in_rows(weight: np.ndarray | None) -> np.ndarray | None:
    """Weights that add up to their effective number of rows; None where all are equal."""
    if weight is None or (weight == weight[0]).all():
        return None
    share = weight / weight.max()  # neither over- nor underflows, whatever the unit
    return share * (effective_number(weight) / share.sum())


def merged(
    X: np.ndarray, weight: np.ndarray | None, groups: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """One row per group and its summed weight, in the order of the groups' numbers.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    weight : ndarray of shape (n,) or None
    groups : ndarray of shape (n,)
        See `row_groups`.
    """
    first = np.unique(groups, return_index=True)[1]
    return X[first], np.bincount(groups, weights=weight).astype(np.float64)
