"""Where a flow starts: fixed maps of the columns and a fitted base, by a recipe of plain values."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from skflow.data.fit_data import Bounds
from skflow.data.rows import Rows
from skflow.distributions import Distribution, FlowBase
from skflow.flow import Flow
from skflow.starts.bases import BASES, FitOptions
from skflow.transforms import (
    Bound,
    Compose,
    FixedRotation,
    MarginalSpline,
    Permutation,
    Standardize,
    Transform,
    Whiten,
)

REGULARISATION = 1e-4  # added to a mixture's variances, in units of the columns it is fitted on
MIXTURE_ITERATIONS = 60


@dataclass(frozen=True)
class StartRecipe:
    """Says which start: enough to rebuild its modules, and to fit them to rows."""

    n_features: int
    marginal_knots: int = 0  # 0: no marginal map
    whiten: bool = False
    shrinkage: float | None = None  # of the whitening; None is Ledoit and Wolf's
    base: str = "normal"
    n_mixture_components: int = 0
    regularisation: float = REGULARISATION
    bounded: bool = False
    orientation: str = ""  # what the last fixed map turns to: ranked "directions" or "columns"

    def make_fixed(self, bounds: Bounds = None) -> Compose:
        """Build the fixed maps, their numbers still to be set."""
        d = self.n_features
        steps: list[Transform] = []
        if self.bounded:
            lower, upper = bounds if bounds is not None else (np.zeros(d), np.ones(d))
            steps.append(Bound(torch.as_tensor(lower), torch.as_tensor(upper)))
        steps.append(Standardize(d))
        if self.marginal_knots:
            steps.append(MarginalSpline(d, self.marginal_knots))
        if self.whiten:
            steps.append(Whiten(d, self.shrinkage))
        if self.orientation == "directions":
            steps.append(FixedRotation(d))
        elif self.orientation == "columns":
            steps.append(Permutation(d, order=torch.arange(d)))
        return Compose(steps).double()

    def make_base(self) -> FlowBase:
        """Build the base, its numbers still to be set."""
        kind = BASES[self.base].kind
        return kind.unfitted(self.n_features, self.n_mixture_components).double()

    def unfitted(self) -> "Start":
        """The modules, their numbers still to be loaded."""
        return Start(self, self.make_fixed(), self.make_base())

    def fit_base(self, z: Rows, seed: int, max_iter: int = MIXTURE_ITERATIONS) -> FlowBase | None:
        """Fit the base to encoded rows; None where it cannot be fitted to so few."""
        base = self.make_base()
        options = FitOptions(self.regularisation, max_iter, seed)
        return base if BASES[self.base].fit(base, z, options) else None

    def fit(self, rows: Rows, bounds: Bounds, rng: np.random.RandomState) -> "Start":
        """Fit the fixed maps, then the base.

        Raises
        ------
        ValueError
            If a mixture has more components than the rows support.
        """
        fixed = self.make_fixed(bounds)
        z = fixed.initialize(rows.x, rows.weight)
        base = self.fit_base(Rows(z, rows.weight), rng.randint(2**31 - 1))
        if base is None:
            raise ValueError(
                f"{len(rows)} rows are too few for a mixture of {self.n_mixture_components} "
                "components; lower max_mixture_components or set base='normal'."
            )
        return Start(self, fixed, base)


@dataclass
class Start:
    """A fitted start."""

    recipe: StartRecipe
    fixed: Compose
    base: FlowBase

    def put_under(self, layers: Callable[..., tuple[Transform, Distribution]]) -> Flow:
        """A flow of these fixed maps, of layers built on this base, and of the base they leave.

        ``layers`` is called with the base and with whether its columns are in the order of their
        variances, as after whitening.
        """
        learned, base = layers(self.base, ordered=self.recipe.whiten)
        return Flow(self.fixed, learned.double(), base.double())
