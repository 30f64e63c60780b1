"""What a user says about the columns of a table."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Statements:
    """What is said about one column.

    Attributes
    ----------
    ordinal, symmetric, exchangeable : bool
    bounds : (float, float), or None
    period : float, or None
    """

    ordinal: bool = False
    bounds: tuple[float, float] | None = None
    symmetric: bool = False
    exchangeable: bool = False
    period: float | None = None

    @property
    def on_numbers(self) -> list[str]:
        """Parameters that say something of the column that no category can be."""
        said = {
            "bounds": self.bounds is not None,
            "symmetric": self.symmetric,
            "exchangeable": self.exchangeable,
            "periodic": self.period is not None,
        }
        return [name for name, one in said.items() if one]


@dataclass(frozen=True)
class ColumnStatements:
    """What is said about the columns of a table, by their positions.

    Attributes
    ----------
    ordinal, symmetric : sequence of int
    bounds : dict {column: (float, float)}
    exchangeable : sequence of sequence of int
    periodic : dict {column: period}
    """

    ordinal: Sequence[int] = ()
    bounds: dict[int, tuple[float, float]] = field(default_factory=dict)
    symmetric: Sequence[int] = ()
    exchangeable: Sequence[Sequence[int]] = ()
    periodic: dict[int, float] = field(default_factory=dict)

    def of(self, column: int) -> Statements:
        """What is said about one of them."""
        return Statements(
            ordinal=column in self.ordinal,
            bounds=self.bounds.get(column),
            symmetric=column in self.symmetric,
            exchangeable=any(column in group for group in self.exchangeable),
            period=self.periodic.get(column),
        )
