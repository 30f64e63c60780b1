"""A model of sets of points: sorted, or in a random order."""

from dataclasses import KW_ONLY, dataclass, replace
from numbers import Integral
from typing import final

import torch
from torch import Tensor, nn

from skflow.architectures.plan import Plan
from skflow.distributions.point_sequence import PointSequence
from skflow.flow import Flow
from skflow.kernels.families import Affine, Family, RationalQuadratic
from skflow.networks.set_transformer import SetTransformer
from skflow.transforms import (
    Compose,
    CoordinateCoupling,
    PointCoupling,
    Sort,
    StochasticPermutation,
    Transform,
)
from skflow.transforms.ordered_cone import OrderedCone
from skflow.transforms.shared_standardize import SharedStandardize

KINDS = {
    "symmetry": ("permute", "sort"),
    "coupling": ("affine", "spline"),
    "order": ("uniform", "learned"),
}


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


class SortedPlaces(nn.Module):
    """First coordinates of the points of opened rows, before the opening: (n, n_points, 1).

    Gaps alone say little of where a point is. Of rows that couplings have moved these are no
    longer the places, but still depend on a point and those before it only.
    """

    def __init__(self, n_points: int, dim: int):
        super().__init__()
        self.dim = dim
        self.cone = OrderedCone(n_points)

    def forward(self, z: Tensor) -> Tensor:
        """One pass over rows (n, n_points * dim)."""
        return self.cone.inverse(z[:, :: self.dim])[..., None]


@final
@dataclass(frozen=True)
class PointSetPlan(Plan):
    """A flow of sets before it is built.

    Attributes
    ----------
    input_shape : (int, int)
        Points and coordinates; rows are the points one after another, laid out flat.
    symmetry : {"permute", "sort"}
        How the order of points is kept from mattering: at random, a bound; or sorted by the first
        coordinate, exact.
    n_layers : int
        Of every transformer.
    n_couplings : int
        Pairs of couplings between the data and the mixtures, each by a coordinate and by half of
        the points.
    coupling : {"affine", "spline"}
    autoregressive : bool
        Whether a point's mixture depends on the points before it. If not, only couplings can tell
        how points depend on each other.
    order : {"uniform", "learned"}
        With "sort", of the order of points given the sorted ones. Learn it only where the order
        says something.
    n_components : int
        Of the mixture that every point has.
    d_model, n_heads, n_hidden : int
        Of every transformer: width, heads, and hidden width of its perceptrons.
    """

    input_shape: tuple[int, int]
    _: KW_ONLY
    symmetry: str = "permute"
    n_layers: int = 3
    n_couplings: int = 0
    coupling: str = "affine"
    autoregressive: bool = True
    order: str = "uniform"
    n_components: int = 24
    d_model: int = 64
    n_heads: int = 4
    n_hidden: int = 128

    def __post_init__(self):
        super().__post_init__()
        for name, known in KINDS.items():
            value = getattr(self, name)
            if value not in known:
                raise ValueError(f"{name} must be one of {known}, got {value!r}")

    def for_rows(self, n_rows: int) -> "PointSetPlan":
        """With at most as many components as so many sets have points."""
        return replace(self, n_components=min(self.n_components, n_rows * self.input_shape[0]))

    def flow(self, generator: torch.Generator | None) -> Flow:
        """A flow of two transforms: fixed, all points in the same units; and learned.

        It starts, after `initialize_set_flow`, at independent points: with "permute" from one
        mixture, with "sort" from one mixture of gap and other coordinates in units of each place's
        own spread.
        """
        n_points, dim = self.input_shape
        is_sorted = self.symmetry == "sort"
        view = SortedPlaces(n_points, dim) if is_sorted else None
        network = None
        if self.autoregressive:
            n_inputs = PointSequence.n_inputs(dim, 1 if is_sorted else 0)
            n_outputs = PointSequence.n_outputs(dim, self.n_components)
            network = _transformer(self, n_inputs, n_outputs, generator, ordered=True, causal=True)
        base = PointSequence(n_points, dim, self.n_components, network, view)
        first: Transform = StochasticPermutation(n_points, dim)
        if is_sorted:
            weights = (
                _transformer(self, dim, 1, generator, ordered=True)
                if self.order == "learned"
                else None
            )
            first = Sort(n_points, dim, weights)
        learned = Compose([first, *_couplings(self, generator, ordered=is_sorted)])
        return Flow([SharedStandardize(n_points, dim)], learned, base).double()


def _transformer(
    plan: PointSetPlan,
    n_inputs: int,
    n_outputs: int,
    generator: torch.Generator | None,
    *,
    ordered: bool,
    causal: bool = False,
) -> SetTransformer:
    return SetTransformer(
        n_inputs,
        n_outputs,
        d_model=plan.d_model,
        n_heads=plan.n_heads,
        n_layers=plan.n_layers,
        n_hidden=plan.n_hidden,
        n_positions=plan.input_shape[0] if ordered else 0,
        causal=causal,
        generator=generator,
    )


def _couplings(
    plan: PointSetPlan, generator: torch.Generator | None, *, ordered: bool
) -> list[Transform]:
    """Every coordinate in turn given the others, and each half of the points given the other."""
    n_points, dim = plan.input_shape
    family: Family = Affine() if plan.coupling == "affine" else RationalQuadratic()
    steps: list[Transform] = []
    for layer in range(plan.n_couplings):
        if dim > 1:
            n_outputs = family.n_parameters
            network = _transformer(plan, dim - 1, n_outputs, generator, ordered=ordered)
            moving = (layer + 1) % dim
            steps.append(CoordinateCoupling(n_points, dim, family, network, moving))
        if n_points > 1:
            n_outputs = family.n_parameters * dim
            network = _transformer(plan, dim, n_outputs, generator, ordered=ordered)
            reverse = layer % 2 == 1
            steps.append(PointCoupling(n_points, dim, family, network, reverse=reverse))
    return steps
