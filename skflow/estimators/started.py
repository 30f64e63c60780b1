"""StartedFlow: a flow of numbers that starts as the best classical density of them."""

import copy
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import torch

from skflow.data.fit_data import FitData
from skflow.data.rows import Rows
from skflow.distributions import Distribution
from skflow.estimators.base import BaseFlow
from skflow.estimators.parameters import StartParameters
from skflow.estimators.start_search import SMALL_TABLE, choose_start, make_folds, unjudged_recipe
from skflow.estimators.starts import Start, StartRecipe
from skflow.flow import Flow
from skflow.transforms import Compose

NOISE_ROWS = 5_000  # below, the training rows get noise


class StartedFlow(StartParameters, BaseFlow):
    """Learned transforms, the identity at first, on a start chosen by held-out likelihood."""

    @abstractmethod
    def _learned(
        self, plan: dict, start: Start, generator: torch.Generator | None
    ) -> tuple[Compose, Distribution]:
        """Build the trainable transforms of a plan and the base behind them.

        At first, together, they are the density of ``start.base``.
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
        self, start: Start, plan: dict, draw_rows: Callable[[], Rows], generator: torch.Generator
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
        self, data: FitData, seed: int, rng: np.random.RandomState
    ) -> list[tuple[Flow, dict]]:
        """Choose the start; for every plan put the learned transforms, as they begin, on top."""
        (n, d), bounds = data.shape, data.spread_bounds
        plans = self._plans(n, d)
        if not self.early_stopping:
            plans = plans[:1]
        generator = torch.Generator().manual_seed(seed)

        def spread_rows(part: Rows) -> Rows:
            return data.spread(part, generator)

        to_fit = data.train if self.early_stopping else data.rows
        start_option, base_option = self._start_options()
        one_candidate = start_option == "standard" and base_option not in ("auto", "mixture")
        if data.held_out is None or one_candidate:
            only = unjudged_recipe(start_option, base_option, n, d, bounded=bounds is not None)
            start = only.fit(spread_rows(to_fit), bounds, rng)
        else:
            # A tenth of a small table is too little to choose by; its folds are all of it.
            by_folds = n < SMALL_TABLE and not data.given
            folds = (
                make_folds(spread_rows(data.rows), rng)
                if by_folds
                else [(spread_rows(data.train), spread_rows(data.held_out))]
            )
            chosen = choose_start(
                folds,
                start=start_option,
                base=base_option,
                max_components=self.max_mixture_components,
                bounds=bounds,
                rng=rng,
            )
            start = chosen.first_fit
            if by_folds or not self.early_stopping:
                start = chosen.recipe.fit(spread_rows(to_fit), bounds, rng)
        started = []
        for plan in plans:
            own, plan = self._oriented(
                copy.deepcopy(start), plan, lambda: spread_rows(to_fit), generator
            )
            flow = self._assemble(own, plan, generator)
            self._initialize(flow, spread_rows(to_fit), generator)
            started.append((flow, {"start": asdict(start.recipe), "plan": plan}))
        return started

    def _assemble(self, start: Start, plan: dict, generator: torch.Generator) -> Flow:
        learned, base = self._learned(plan, start, generator)
        return Flow(start.fixed, learned.double(), base.double())

    def _rebuilt_flow(self, recipe: dict) -> Flow:
        """The flow of a recipe, its weights still to be loaded."""
        start_recipe = StartRecipe(**recipe["start"])
        start = Start(start_recipe, start_recipe.make_fixed(), start_recipe.make_base())
        return self._assemble(start, recipe["plan"], torch.Generator())
