"""The plan of a table: what it builds again is what was fitted."""

import json

import numpy as np
import torch

from skflow.architectures.table import TablePlan
from skflow.data.column_plan import ColumnPlan
from skflow.data.fit_data import FitData
from skflow.data.rows import Rows
from skflow.starts.table import choose_table_start
from skflow.training.clock import Clock
from tests.contract.table import generator


def test_a_completed_plan_builds_the_flow_again():
    r = np.random.RandomState(0)
    colour = r.randint(3, size=200)
    x = np.c_[colour, r.poisson(3, 200), 5 * colour + r.randn(200), r.randn(200, 2)]
    x[::9, 2] = np.nan
    columns = [
        ColumnPlan("categorical", n_levels=3),
        ColumnPlan("lattice", step=1.0, bounds=(0.0, np.inf)),
        ColumnPlan("continuous", missing=True),
        *2 * [ColumnPlan("continuous")],
    ]
    rows = Rows(torch.tensor(x))
    plan = TablePlan(columns, [[3, 4]], 4, [8, 8])
    start = choose_table_start(plan, FitData.plain(rows[50:], rows[:50]), r, generator(), Clock())
    completed = start.completed(plan)
    assert completed.n_classes > 1
    assert completed.columns[1].edges
    again = TablePlan.from_plain(json.loads(json.dumps(completed.to_plain())))
    assert again == completed
    flow = again.flow(generator(1))
    flow.load_state_dict(start.flow().state_dict())
    torch.testing.assert_close(flow.eval()(rows.x), start.flow().eval()(rows.x))
