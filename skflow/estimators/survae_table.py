"""SurVAEFlow of a table."""

import numpy as np
from sklearn.utils.validation import validate_data

from skflow.architectures.couplings import network_sizes
from skflow.architectures.table import TablePlan
from skflow.data.column_detection import check_takes_numbers, describe, plan_columns
from skflow.data.column_statements import ColumnStatements
from skflow.data.noise_floor import NoiseFloor
from skflow.data.repeated_table_rows import table_groups
from skflow.data.selection import column_bounds, positions
from skflow.data.table_schema import TableSchema
from skflow.data.tables import as_table, is_frame
from skflow.estimators.survae_model import SurVAEModel
from skflow.estimators.validation import check_table
from skflow.starts.table import choose_table_start


class TableModel(SurVAEModel):
    """A factor for every column, and for which of its cells are missing."""

    rows_are = "table"
    plan = TablePlan
    learning_rate = 3e-3
    has_columns = True

    def read(self, X, *, reset, min_rows):
        """Codes, numbers and NaN."""
        said = self.estimator
        X = check_table(as_table(X), min_rows)
        validate_data(said, X, reset=reset, skip_check_array=True)
        schema = self._learned_schema(X) if reset else said._schema
        values = schema.read(X)
        if np.isinf(values).any():
            raise ValueError(
                "Input X contains infinity; remove or clip those rows before SurVAEFlow."
            )
        return values, schema

    def _learned_schema(self, X) -> TableSchema:
        categorical = self.estimator.categorical_features
        if isinstance(categorical, str):
            return TableSchema.learn(X, None)
        names = list(X.columns) if is_frame(X) else list(range(X.shape[1]))
        return TableSchema.learn(X, positions(categorical, names, "categorical_features"))

    def check_bounds(self):
        """Numbers have bounds, categories have none."""
        said, ordinal = self.estimator, self._ordinal()
        for i in column_bounds(said.bounds, said._names):
            check_takes_numbers(said._schema.columns[i], "bounds", ordered=i in ordinal)

    def with_new_categories(self, X):
        """Their codes are negative."""
        return [
            column.name
            for column, values in zip(self.estimator._schema.columns, X.T, strict=True)
            if column.categories is not None and (values < 0).any()
        ]

    def noise_floor(self, rows):
        """None: cells of lattices have a probability; rows are repeated where nothing differs."""
        X, d = rows.x.numpy(), rows.x.shape[1]
        columns = self.estimator._schema.columns
        numeric = [i for i, column in enumerate(columns) if column.categories is None]
        groups = table_groups(X, rows.weight_array(), numeric)
        return NoiseFloor(np.zeros(d), ("continuous",) * d, groups)

    def start(self, data, rng, generator, clock):
        """A latent class model of the columns' scores."""
        said, (n_rows, _) = self.estimator, data.shape
        hidden = network_sizes(said.hidden_layer_sizes, n_rows)
        stated, rows = self._statements(), data.rows
        columns = plan_columns(rows.x.numpy(), said._schema, stated, rows.weight_array())
        plan = TablePlan(columns, stated.exchangeable, said.max_mixture_components, hidden)
        start = choose_table_start(plan, data, rng, generator, clock)
        plan = start.completed(plan)
        return start.flow(), self.recipe(plan, n_classes=plan.n_classes)

    def _ordinal(self) -> list[int]:
        said = self.estimator
        return positions(said.ordinal_features, said._names, "ordinal_features")

    def _statements(self) -> ColumnStatements:
        said, names = self.estimator, self.estimator._names
        groups = [positions(group, names, "exchangeable") for group in (said.exchangeable or ())]
        periodic = {
            positions([name], names, "periodic")[0]: period
            for name, period in (said.periodic or {}).items()
        }
        return ColumnStatements(
            ordinal=self._ordinal(),
            bounds=column_bounds(said.bounds, names),
            symmetric=positions(said.symmetric, names, "symmetric"),
            exchangeable=groups,
            periodic=periodic,
        )

    def fitted_attributes(self):
        """What was detected, by column."""
        encoding = self.estimator.flow_.fixed
        together = {i for group in encoding.exchangeable.groups for i in group}
        columns = zip(self.estimator._schema.columns, encoding.plans, strict=True)
        return {
            "column_kinds_": {
                _plain(column.name): describe(plan, exchangeable=i in together)
                for i, (column, plan) in enumerate(columns)
            }
        }


def _plain(name):
    """A column's name as Python's own type."""
    return name.item() if isinstance(name, np.generic) else name
