"""NumericFlow: a flow of numbers that starts as the best classical density of them."""

import copy
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import asdict
from functools import partial

import numpy as np
import torch

from skflow.data.fit_data import FitData
from skflow.data.rows import Rows
from skflow.distributions import Distribution, FlowBase
from skflow.estimators.base import BaseFlow
from skflow.estimators.parameters import StartParameters
from skflow.flow import Flow
from skflow.starts.search import StartOptions, fit_start
from skflow.starts.start_recipe import Start, StartRecipe
from skflow.training.clock import Clock
from skflow.transforms import Compose

NOISE_ROWS = 5_000  # below, the training rows get noise


class NumericFlow(StartParameters, BaseFlow):
    """Learned transforms, the identity at first, on a start chosen by held-out likelihood."""

    @abstractmethod
    def _learned(
        self,
        plan: dict,
        base: FlowBase,
        generator: torch.Generator | None,
        *,
        ordered: bool,
    ) -> tuple[Compose, Distribution]:
        """Build the trainable transforms of a plan and the base behind them.

        At first, together, they are the density of ``base``. ``ordered`` says that its columns are
        in the order of their variances.
        """

    @abstractmethod
    def _plan(self, n_rows: int, n_features: int) -> dict:
        """Resolve the architecture's parameters for this size, as plain values."""

    def _plans(self, n_rows: int, n_features: int) -> list[dict]:
        """Plans to choose from by held-out score; the first one where nothing is held out."""
        return [self._plan(n_rows, n_features)]

    def _initialize(self, flow: Flow, rows: Rows, generator: torch.Generator) -> None:
        """Set what learned layers take from the data; the default ones begin at the start."""

    def _oriented(
        self,
        start: Start,
        plan: dict,
        draw_rows: Callable[[], Rows],
        generator: torch.Generator,
        clock: Clock,
    ) -> tuple[Start, dict]:
        """Turn the start, or complete the plan, by the rows; here as they are."""
        return start, plan

    def _start_options(self) -> tuple[str, str]:
        """Which starts and bases to choose from: see `choose_start`."""
        return self.start, self.base

    def _training_noise(self, n_rows: int, n_features: int) -> float:
        """Deviation of the noise on encoded training rows."""
        if self.noise != "auto":
            return float(self.noise)
        return 0.1 * n_rows ** (-1 / (n_features + 4)) if n_rows < NOISE_ROWS else 0.0

    def _candidates(
        self, data: FitData, seed: int, rng: np.random.RandomState, clock: Clock
    ) -> list[tuple[Flow, dict]]:
        """Choose the start; for every plan put the learned transforms, as they begin, on top."""
        plans = self._plans(*data.shape)
        on_all_rows = not self.early_stopping
        if on_all_rows:
            plans = plans[:1]
        generator = torch.Generator().manual_seed(seed)
        options = StartOptions(*self._start_options(), self.max_mixture_components, clock)
        start = fit_start(data, options, rng, generator, on_all_rows=on_all_rows)

        def draw_rows() -> Rows:
            return data.spread(data.rows if on_all_rows else data.train, generator)

        started = []
        for plan in plans:
            own, plan = self._oriented(copy.deepcopy(start), plan, draw_rows, generator, clock)
            flow = own.put_under(partial(self._learned, plan, generator=generator))
            self._initialize(flow, draw_rows(), generator)
            started.append((flow, {"start": asdict(own.recipe), "plan": plan}))
        return started

    def _rebuilt_flow(self, recipe: dict) -> Flow:
        """The flow of a recipe, its weights still to be loaded."""
        start = StartRecipe(**recipe["start"]).unfitted()
        return start.put_under(partial(self._learned, recipe["plan"], generator=torch.Generator()))
