"""What a column of a mixed table is to its model: codes, cells and points, absent where missing.

A column becomes up to four variables: whether the cell is *present*, which atom it is (*spike*),
its *value* and its *sign*. A variable is three numbers per row: what a network is to see, and the
lower and upper end of its cell in scores; the three are equal for a code or a point, NaN where
absent.
"""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Variable:
    """One variable of the model.

    ``kind`` is "code" (one of ``n_levels``), "cell" (an interval of scores) or "point".
    """

    column: int
    role: str  # "present", "spike", "value" or "sign"
    kind: str
    n_levels: int = 0
    circular: bool = False


def three(value: Tensor) -> Tensor:
    """The three numbers of a code or a point: (n, 3)."""
    return value[:, None].expand(-1, 3)


def unseen_share(counts: Tensor) -> float:
    """Probability of a level that never occurred, after Good and Turing, at least a half count."""
    singletons = float(((counts > 0) & (counts < 1.5)).sum())  # weights are rows, or nearly
    return (singletons + 1) / (float(counts.sum()) + singletons + 2)
