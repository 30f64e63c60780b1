"""Columns of a table, made and taken there and back."""

import torch

from skflow.transforms.noise import fresh_draw
from skflow.transforms.tables.category_column import CategoryColumn
from skflow.transforms.tables.numeric_column import NumericColumn
from tests.contract.table import generator


def make(plan, x, weight=None):
    kind = CategoryColumn if plan.kind == "categorical" else NumericColumn
    column = kind(plan, 0).double()
    known = x >= 0 if plan.kind == "categorical" else ~x.isnan()
    weight = torch.ones_like(x) if weight is None else weight
    column.initialize(x[known], weight[known])
    return column


def there_and_back(column, x):
    variables, contribution = column.encode(x)
    assert [v.shape for v in variables] == [(len(x), 3)] * len(variables)
    assert not contribution.isnan().any()
    return column.decode(variables, len(x), fresh_draw(generator()))
