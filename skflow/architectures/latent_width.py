"""How many latent dimensions a user asks for: a number, or a share of the columns."""

from math import ceil
from numbers import Integral

ROUNDING = 1e-9  # 0.55 of 100 columns are 55


def latent_width(n_components: float, n_features: int) -> int:
    """The number, or the share rounded up.

    Raises
    ------
    ValueError
        If that is more than there are columns.
    """
    if not isinstance(n_components, Integral):
        return ceil(n_components * n_features - ROUNDING)
    if int(n_components) > n_features:
        raise ValueError(
            f"n_components={n_components} is more than the {n_features} columns of X; "
            "lower it, or give a share such as 0.5."
        )
    return int(n_components)
