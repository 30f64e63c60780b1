"""What the three models of a SurVAEFlow answer, each in its own file: table, images, sets."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from skflow.architectures.plan import Plan
from skflow.data.fit_data import FitData
from skflow.data.noise_floor import NoiseFloor
from skflow.data.rows import Rows
from skflow.data.table_schema import TableSchema
from skflow.estimators.validation import check_numbers
from skflow.flow import Flow
from skflow.training.clock import Clock

if TYPE_CHECKING:
    from skflow.estimators.survae_flow import SurVAEFlow

Candidate = tuple[Flow, dict]


class SurVAEModel(ABC):
    """A model of rows, as an estimator's parameters describe it; complete numbers unless it says.

    Attributes
    ----------
    rows_are : str
        What recipes call it.
    plan : type of Plan
    learning_rate : float
        By default.
    has_columns : bool
        Whether cells may be missing, hold categories, be scored and be imputed by themselves.
    """

    rows_are: ClassVar[str]
    plan: ClassVar[type[Plan]]
    learning_rate: ClassVar[float] = 1e-3
    has_columns: ClassVar[bool] = False

    def __init__(self, estimator: "SurVAEFlow"):
        self.estimator = estimator

    def read(self, X, *, reset: bool, min_rows: int) -> tuple[np.ndarray, TableSchema | None]:
        """Validated rows as numbers, and the schema that they were read by."""
        return check_numbers(self.estimator, X, reset=reset, min_rows=min_rows)

    def written(self, values: np.ndarray) -> np.ndarray:
        """Numbers as they are written."""
        return values

    def check_bounds(self) -> None:
        """Refuse bounds where there can be none."""
        if self.estimator.bounds is not None:
            raise ValueError("bounds are for tables; images have their levels, sets have none.")

    def with_new_categories(self, X: np.ndarray) -> list:
        """Names of columns of rows to learn from that hold categories the first rows had not."""
        return []

    @abstractmethod
    def noise_floor(self, rows: Rows) -> NoiseFloor:
        """Width of the noise per column, and which rows are repetitions."""

    @abstractmethod
    def start(
        self, data: FitData, rng: np.random.RandomState, generator: torch.Generator, clock: Clock
    ) -> Candidate:
        """The flow as training finds it, and its recipe."""

    def fitted_attributes(self) -> dict:
        """Further ones, of a flow that is fitted."""
        return {}

    def recipe(self, plan: Plan, **start) -> dict:
        """Plain values from which a flow can be built again."""
        return {"start": start, "plan": {**plan.to_plain(), "rows_are": self.rows_are}}
