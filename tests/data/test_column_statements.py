"""What is said about a table, column by column."""

import numpy as np
import pytest

from skflow.data.column_detection import plan_columns
from skflow.data.column_statements import ColumnStatements, Statements
from skflow.data.table_schema import TableSchema

SAID = ColumnStatements(
    ordinal=[0], bounds={1: (0.0, 9.0)}, symmetric=[2], exchangeable=[[3, 4]], periodic={5: 24.0}
)


def test_each_column_gets_its_own():
    assert [SAID.of(i) for i in range(7)] == [
        Statements(ordinal=True),
        Statements(bounds=(0.0, 9.0)),
        Statements(symmetric=True),
        Statements(exchangeable=True),
        Statements(exchangeable=True),
        Statements(period=24.0),
        Statements(),
    ]


@pytest.mark.parametrize(
    ("column", "name"), [(1, "bounds"), (2, "symmetric"), (3, "exchangeable"), (5, "periodic")]
)
def test_what_is_said_of_a_categorical_column_is_named(column, name):
    table = np.random.RandomState(0).randn(30, 6).astype(object)
    table[:, column] = np.resize(["x", "y"], 30)
    schema = TableSchema.learn(table, None)
    with pytest.raises(ValueError, match=f"is categorical; {name} takes numbers"):
        plan_columns(schema.read(table), schema, SAID)
