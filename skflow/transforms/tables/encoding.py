"""A mixed table as variables: what a row of codes and numbers is to a density of it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skflow.data.column_plan import ColumnPlan
from skflow.transforms.base import Transform
from skflow.transforms.tables.category_column import CategoryColumn
from skflow.transforms.tables.exchangeable_columns import ExchangeableColumns
from skflow.transforms.tables.numeric_column import NumericColumn
from skflow.transforms.tables.variable import Variable, three


def _stage(variable: Variable, plan: ColumnPlan) -> int:
    """Order of the factorisation: what is missing, what is discrete, numbers, signs."""
    if variable.role == "present":
        return 0
    if variable.role == "sign":
        return 4
    if variable.kind == "code":
        return 1
    return 3 if plan.kind == "continuous" else 2


class TableEncoding(Transform):
    """Rows of codes, numbers and NaN (n, d) to variables (n, 3 V), three numbers each.

    Fixed by the data, in float64 so that levels of any size are told apart. The contribution holds
    what no variable does: the volume of the scores, the width of lattice cells, the share of rare
    and of unseen categories.

    Parameters
    ----------
    plans : sequence of ColumnPlan
    groups : sequence of sequence of int
        Exchangeable columns.

    Attributes
    ----------
    variables : list of Variable
        In the order of the factorisation.
    """

    def __init__(self, plans: Sequence[ColumnPlan], groups: Sequence[Sequence[int]] = ()):
        super().__init__()
        self.plans = list(plans)
        self.exchangeable = ExchangeableColumns(groups).double()
        self.columns = nn.ModuleList(
            (CategoryColumn if plan.kind == "categorical" else NumericColumn)(plan, i)
            for i, plan in enumerate(plans)
        )
        variables = [
            Variable(i, "present", "code", 2) for i, plan in enumerate(plans) if plan.missing
        ]
        for column in self.columns:
            variables += column.variables
        self.variables = sorted(
            variables, key=lambda v: (_stage(v, self.plans[v.column]), v.column)
        )

    @property
    def spans(self) -> list[tuple[float, float]]:
        """Of every column the ends of the values that it was fitted to, else infinite."""
        spans = [column.span for column in self.columns]
        for group in self.exchangeable.groups:
            lows, highs = zip(*(spans[i] for i in group), strict=True)
            for i in group:
                spans[i] = min(lows), max(highs)
        return spans

    def index(self, column: int, role: str) -> int | None:
        """Place of a column's variable, None where it has none of that role."""
        found = [i for i, v in enumerate(self.variables) if v.column == column and v.role == role]
        return found[0] if found else None

    def _initialize(self, x, weight, context, noise):
        if self.exchangeable.groups:
            x = self.exchangeable.initialize(x, weight)
        weight = torch.ones(len(x), dtype=x.dtype) if weight is None else weight
        for column, values in zip(self.columns, x.T, strict=True):
            known = values >= 0 if isinstance(column, CategoryColumn) else ~values.isnan()
            column.initialize(values[known], weight[known])
        return self._encode(x)[0]

    def _encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Variables (n, 3 V), and the contribution per column (n, d)."""
        parts: dict[tuple[int, str], Tensor] = {}
        contributions = []
        for i, (column, plan) in enumerate(zip(self.columns, self.plans, strict=True)):
            values = x[:, i]
            encoded, contribution = column.encode(values)
            for variable, ends in zip(column.variables, encoded, strict=True):
                parts[i, variable.role] = ends
            if plan.missing:
                parts[i, "present"] = three((~values.isnan()).to(x))
            contributions.append(contribution)
        ordered = [parts[v.column, v.role] for v in self.variables]
        return torch.cat([x[:, :0], *ordered], 1), torch.stack(contributions, 1)

    def forward_by_column(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `forward`, the contribution per column (n, d); and whose each column now is (n, d)."""
        x, sorted_contribution, owner = self.exchangeable.forward_by_owner(x)
        z, contribution = self._encode(x)
        return z, contribution + sorted_contribution, owner

    def _forward(self, x, context, noise):
        z, contribution, _ = self.forward_by_column(x)
        return z, contribution.sum(1)

    def _inverse_after(self, following, z, context, draw):
        """Draw variable by variable; each value that is drawn counts as what a row would hold."""
        nothing = z.new_full((len(z), len(self.variables), 3), torch.nan)
        ends = following.complete(nothing, z, draw, self.snap, self.signless)
        return self._inverse(ends.flatten(1), None, draw)

    def _inverse(self, z, context, draw):
        ends = z.view(len(z), len(self.variables), 3)
        columns = []
        for i, (column, plan) in enumerate(zip(self.columns, self.plans, strict=True)):
            own = [ends[:, self.index(i, v.role)] for v in column.variables]
            values = column.decode(own, len(z), draw)
            if plan.missing:
                here = ends[:, self.index(i, "present"), 0] == 1
                values = torch.where(here, values, torch.nan)
            columns.append(values)
        return self.exchangeable.inverse(torch.stack(columns, 1), draw=draw)

    def snap(self, index: int, u: Tensor) -> Tensor:
        """The three numbers of variable ``index`` where its score is ``u``."""
        return self.columns[self.variables[index].column].snap(u)

    def signless(self, index: int, ends: Tensor) -> Tensor:
        """Rows of ``ends`` (n, V, 3) in which the sign ``index`` is of a zero: it has none."""
        i = self.variables[index].column
        own = [ends[:, self.index(i, v.role)] for v in self.columns[i].variables]
        return self.columns[i].is_zero(own, len(ends))
