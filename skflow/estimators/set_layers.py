"""A model of sets of points: in an order, then one after the other.

`set_plan` writes down what is to be built, `set_flow` builds it, `initialize_set_flow` starts it
from data.
"""

import warnings
from collections.abc import Sequence
from numbers import Integral

import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn

from skflow.distributions.point_sequence import PointSequence
from skflow.flow import Flow
from skflow.transforms.base import Compose
from skflow.transforms.noise import no_noise
from skflow.transforms.permute import StochasticPermutation
from skflow.transforms.shared_standardize import SharedStandardize
from skflow.transforms.sort import Sort

MIXTURE_POINTS = 20_000
WIDTH, N_HEADS, N_COMPONENTS = 64, 4, 32


def check_input_shape(input_shape, n_features: int) -> tuple[int, int]:
    """Number of points and of coordinates, positive numbers whose product is the row's length."""
    shape = tuple(input_shape)
    if len(shape) != 2 or not all(isinstance(size, Integral) and int(size) > 0 for size in shape):
        raise ValueError(f"input_shape={input_shape!r}; give (points, coordinates), as in (50, 2).")
    if shape[0] * shape[1] != n_features:
        raise ValueError(
            f"input_shape={shape} has {shape[0] * shape[1]} values, X has {n_features} columns. "
            "Rows are sets laid out flat, as by X.reshape(len(X), -1) from (n, points, "
            "coordinates)."
        )
    return int(shape[0]), int(shape[1])


def set_plan(
    input_shape: Sequence[int],
    *,
    n_rows: int,
    symmetry: str = "permute",
    n_layers: int = 3,
) -> dict:
    """What `set_flow` is to build, in plain values.

    Parameters
    ----------
    input_shape : (int, int)
        Points and coordinates.
    n_rows : int
        To fit: their points are at least as many as the mixture's components.
    symmetry : {"permute", "sort"}
    n_layers : int
        Of the transformer.
    """
    return {
        "input_shape": [int(size) for size in input_shape],
        "symmetry": symmetry,
        "n_layers": n_layers,
        "n_components": min(N_COMPONENTS, n_rows * int(input_shape[0])),
    }


class _SortedPoints(nn.Module):
    """What the transformer sees of opened rows: the sorted points themselves."""

    def __init__(self, n_points: int, n_dims: int):
        super().__init__()
        self.sort = Sort(n_points, n_dims)

    def forward(self, rows: Tensor) -> Tensor:
        return self.sort.sorted_points(rows)


def set_flow(plan: dict, generator: torch.Generator | None) -> Flow:
    """A flow of two transforms: standardised coordinates; the order of the points.

    Behind them every point is from a mixture that depends on the points before it. After
    `initialize_set_flow` the points are independent at first.
    """
    n_points, n_dims = plan["input_shape"]
    sorts = plan["symmetry"] == "sort"
    order = Sort(n_points, n_dims) if sorts else StochasticPermutation(n_points, n_dims)
    base = PointSequence(
        n_points,
        n_dims,
        plan["n_components"],
        see=_SortedPoints(n_points, n_dims) if sorts else None,
        width=WIDTH,
        n_heads=N_HEADS,
        n_layers=plan["n_layers"],
        generator=generator,
    )
    fixed = SharedStandardize(n_points, n_dims)
    return Flow([Compose([fixed]), Compose([order])], base).double()


@torch.no_grad()
def initialize_set_flow(
    flow: Flow, x: Tensor, weight: Tensor | None, generator: torch.Generator
) -> None:
    """Set scales, and the mixture of all points, from sets ``x`` and their weights."""
    base = flow.base
    z = flow.transform.initialize(x, weight, noise=no_noise)
    if base.see is not None:
        base.see.sort.load_state_dict(flow.transform.steps[1].steps[0].state_dict())
    points = z.view(-1, base.shape[1])
    n_points = base.shape[0]
    share = torch.ones(len(z), dtype=z.dtype) if weight is None else weight
    share = share.repeat_interleave(n_points)
    n_drawn = min(MIXTURE_POINTS, len(points))  # no fewer than the mixture's components
    drawn = torch.multinomial(share, n_drawn, replacement=weight is not None, generator=generator)
    seed = int(torch.randint(2**31 - 1, (), generator=generator))
    mixture = GaussianMixture(len(base.means), reg_covar=1e-4, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(points[drawn].numpy())
    base.copy_fitted(mixture)
