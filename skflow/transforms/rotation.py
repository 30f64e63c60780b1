"""Learned rotations: orthogonal to rounding, whatever training does to their parameters."""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from skflow.kernels.moments import oriented, weighted_mean
from skflow.transforms.base import Transform
from skflow.transforms.dense import to_channels, to_rows

MAX_CAYLEY = 256  # channels; beyond, the solve costs more than the rows' own product
N_REFLECTIONS = 32
NO_SPREAD = 1e-9  # of the largest variance


def _settle_again(module: nn.Module, incompatible) -> None:
    module.train(module.training)


class OrthogonalTransform(Transform):
    """``z = x Q`` with Q orthogonal: a fixed matrix times a learned increment, at first none.

    In evaluation mode Q is computed once, in float64, and used wherever no gradient is asked for.
    After changing parameters in place by hand, call `eval` again.

    Parameters
    ----------
    n_features : int
    n_positions : int, default=1
        The same matrix acts on the n_features // n_positions channels at every position, for rows
        laid out as (channels, positions).
    fixed : Tensor of shape (n_channels, n_channels), optional
        Where Q starts. Without it `initialize` takes the principal axes of the data, those of the
        largest variance first, if the rows span all directions.
    """

    fixed: Tensor
    settled: Tensor | None

    def __init__(self, n_features: int, n_positions: int = 1, fixed: Tensor | None = None):
        super().__init__()
        n = n_features // n_positions
        self.n_positions = n_positions
        self.by_data = fixed is None
        start = torch.eye(n) if fixed is None else fixed
        self.register_buffer("fixed", start.to(torch.get_default_dtype(), copy=True))
        self.register_buffer("settled", None, persistent=False)
        self.register_load_state_dict_post_hook(_settle_again)

    @abstractmethod
    def increment(self, dtype: torch.dtype) -> Tensor:
        """The learned factor of Q."""

    def matrix(self) -> Tensor:
        """Q, in the precision of the parameters; in evaluation mode exact to rounding."""
        learning = torch.is_grad_enabled() and any(p.requires_grad for p in self.parameters())
        if self.settled is not None and not learning:
            return self.settled
        return self.fixed @ self.increment(self.fixed.dtype)

    def train(self, mode: bool = True):
        """Switch to training; with ``mode=False``, to the present matrix, computed once."""
        super().train(mode)
        self.settled = None
        if not mode:
            with torch.no_grad():
                start = self.fixed.double()
                # A start stored in float32 is orthogonal to 1e-7 only: a Newton step squares that.
                start = 1.5 * start - 0.5 * start @ (start.T @ start)
                self.settled = (start @ self.increment(torch.float64)).to(self.fixed.dtype)
        return self

    def _apply(self, fn, recurse=True):
        super()._apply(fn, recurse)
        if self.settled is not None:  # cast or moved: once more from the parameters as they are
            self.train(False)
        return self

    def _initialize(self, x, weight, context, noise):
        if self.by_data:
            rows = to_channels(x, self.n_positions)
            if weight is not None:
                weight = weight.repeat_interleave(self.n_positions)
            centred = rows - weighted_mean(rows, weight)
            covariance = centred.T @ (centred if weight is None else weight[:, None] * centred)
            variance, axes = torch.linalg.eigh(covariance)
            # Directions without spread, as too few rows leave, would be rounding's choice.
            if variance[0] > NO_SPREAD * variance[-1]:
                self.fixed.copy_(oriented(axes.flip(1)))
            self.train(self.training)
        return self._forward(x, context, noise)[0]

    def _forward(self, x, context, noise):
        z = to_channels(x, self.n_positions) @ self.matrix()
        return to_rows(z, self.n_positions), x.new_zeros(x.shape[0])

    def _forward_booked(self, x, context, noise, ledger):
        ledger.turn(self.matrix(), self.n_positions)
        return self._forward(x, context, noise)[0]

    def _inverse(self, z, context, draw):
        x = to_channels(z, self.n_positions) @ self.matrix().T
        return to_rows(x, self.n_positions)


class CayleyRotation(OrthogonalTransform):
    """The increment is ``(I + A/2)^-1 (I - A/2)`` with a skew-symmetric A.

    These are all rotations but those that turn some plane by half a circle.
    """

    def __init__(self, n_features: int, n_positions: int = 1, fixed: Tensor | None = None):
        super().__init__(n_features, n_positions, fixed)
        n = len(self.fixed)
        self.angles = nn.Parameter(torch.zeros(n * (n - 1) // 2))

    def increment(self, dtype):
        n = len(self.fixed)
        row, column = torch.tril_indices(n, n, -1, device=self.angles.device)
        half = torch.zeros(n, n, dtype=dtype, device=self.angles.device)
        half = half.index_put((row, column), self.angles.to(dtype) / 2)
        half = half - half.T
        eye = torch.eye(n, dtype=dtype, device=half.device)
        return torch.linalg.solve(eye + half, eye - half)


class HouseholderRotation(OrthogonalTransform):
    """The increment is a product of reflections, in pairs of equal ones at first.

    Parameters
    ----------
    n_features, n_positions, fixed
        See `OrthogonalTransform`.
    n_reflections : int, default=32
        Even. Fewer than the columns reach a part of the rotations, at a fraction of the cost.
    generator : torch.Generator, optional
        Source of the reflections' first directions.

    References
    ----------
    Joffrain, Low, Quintana-Ortí, van de Geijn, Van Zee (2006), "Accumulating Householder
    transformations, revisited" (the product in one triangular solve).
    """

    def __init__(
        self,
        n_features: int,
        n_positions: int = 1,
        fixed: Tensor | None = None,
        *,
        n_reflections: int = N_REFLECTIONS,
        generator: torch.Generator | None = None,
    ):
        super().__init__(n_features, n_positions, fixed)
        if n_reflections % 2:
            raise ValueError(f"n_reflections must be even, got {n_reflections}")
        directions = torch.randn(len(self.fixed), n_reflections // 2, generator=generator)
        self.directions = nn.Parameter(directions.repeat_interleave(2, 1))

    def increment(self, dtype):
        v = self.directions.to(dtype)
        v = v / v.norm(dim=0)
        gram = v.T @ v
        # I - V S^-1 V^T, S the upper triangle of the Gram matrix with half its diagonal.
        triangle = gram.triu(1) + 0.5 * torch.diag(gram.diagonal())
        eye = torch.eye(len(v), dtype=dtype, device=v.device)
        return eye - v @ torch.linalg.solve_triangular(triangle, v.T, upper=True)


class FixedRotation(Transform):
    """``z = x Q`` with an orthogonal Q that is part of the state and not trained; I at first."""

    matrix: Tensor

    def __init__(self, n_features: int):
        super().__init__()
        self.register_buffer("matrix", torch.eye(n_features))

    def _forward(self, x, context, noise):
        return x @ self.matrix, x.new_zeros(x.shape[0])

    def _forward_booked(self, x, context, noise, ledger):
        ledger.turn(self.matrix)
        return x @ self.matrix

    def _inverse(self, z, context, draw):
        return z @ self.matrix.T


def make_rotation(
    n_features: int,
    n_positions: int = 1,
    fixed: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> OrthogonalTransform:
    """The rotation that is affordable at this width."""
    if n_features // n_positions <= MAX_CAYLEY:
        return CayleyRotation(n_features, n_positions, fixed)
    return HouseholderRotation(n_features, n_positions, fixed, generator=generator)
