"""The model of a mixed table: its columns' encoding, and one factor for every variable."""

from collections.abc import Sequence
from dataclasses import asdict

import torch

from skflow.data.column_plan import ColumnPlan
from skflow.distributions import StandardNormal
from skflow.flow import Flow
from skflow.transforms.tables.autoregression import TableAutoregression
from skflow.transforms.tables.encoding import TableEncoding


def table_flow(encoding: TableEncoding, autoregression: TableAutoregression) -> Flow:
    """The encoding and the autoregression over a standard normal."""
    base = StandardNormal(autoregression.n_latent).double()
    return Flow(encoding, autoregression.double(), base)


def table_plan(flow: Flow, hidden_layer_sizes: Sequence[int]) -> dict:
    """Plain values from which a table's flow can be built again."""
    return {
        "columns": [asdict(column) for column in flow.fixed.plans],
        "groups": flow.fixed.exchangeable.groups,
        "n_classes": flow.learned.start.n_classes,
        "hidden_layer_sizes": list(hidden_layer_sizes),
    }


def flow_of_plan(plan: dict) -> Flow:
    """The flow of a plan, its numbers still to be loaded."""
    columns = [ColumnPlan(**column) for column in plan["columns"]]
    encoding = TableEncoding(columns, plan["groups"]).double()
    autoregression = TableAutoregression(
        encoding.variables,
        plan["n_classes"],
        plan["hidden_layer_sizes"],
        generator=torch.Generator(),
    )
    return table_flow(encoding, autoregression)
