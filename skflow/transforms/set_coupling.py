"""Couplings of sets: one coordinate of all points, or half of the points."""

import torch
from torch import nn

from skflow.kernels.families import Family
from skflow.networks.input_clamp import clamp_inputs
from skflow.transforms.base import Transform


class _SetCoupling(Transform):
    """What both couplings share: the family's layout, in which rows come last."""

    def __init__(self, n_points: int, dim: int, family: Family, network: nn.Module):
        super().__init__()
        self.n_points, self.dim = n_points, dim
        self.family, self.network = family, network

    def _parameters_given(self, kept, n_coordinates):
        """Of moving values (n_points, n_coordinates) laid out flat: (n_parameters, values, n)."""
        out = self.network(clamp_inputs(kept)).unflatten(2, (-1, n_coordinates))
        return out.permute(2, 1, 3, 0).flatten(1, 2).contiguous()

    def _points(self, x):
        return x.unflatten(1, (self.n_points, self.dim))


def _values_first(points):
    return points.flatten(1).T.contiguous()


class CoordinateCoupling(_SetCoupling):
    """One coordinate of all points moves, given the other coordinates of all of them.

    With an equivariant network the layer is equivariant: reordered points have the same
    contribution and their z is reordered alike.

    Parameters
    ----------
    n_points, dim : int
        Rows are the points one after another: ``n_points * dim`` columns; ``dim`` is at least 2.
    family : Family
        Identity at zero parameters.
    network : Module
        From the kept coordinates (n, n_points, dim - 1) to (n, n_points, n_parameters), such as a
        `skflow.networks.set_transformer.SetTransformer`.
    moving : int, default=0
        Which coordinate moves.

    References
    ----------
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.
    """

    def __init__(
        self, n_points: int, dim: int, family: Family, network: nn.Module, moving: int = 0
    ):
        super().__init__(n_points, dim, family, network)
        if not 0 <= moving < dim or dim < 2:
            raise ValueError(f"one of two or more coordinates moves, got {moving} of {dim}")
        self.moving = moving

    def _split(self, x):
        points = self._points(x)
        before, moving, after = points.split([self.moving, 1, self.dim - self.moving - 1], 2)
        return before, moving, after, self._parameters_given(torch.cat([before, after], 2), 1)

    def _forward(self, x, context, noise):
        before, moving, after, parameters = self._split(x)
        moved, log_derivative = self.family.forward(_values_first(moving), parameters)
        z = torch.cat([before, moved.T[..., None], after], 2)
        return z.flatten(1), log_derivative.sum(0)

    def _inverse(self, z, context, draw):
        before, moved, after, parameters = self._split(z)
        moving = self.family.inverse(_values_first(moved), parameters)
        return torch.cat([before, moving.T[..., None], after], 2).flatten(1)


class PointCoupling(_SetCoupling):
    """Half of the points move, given the other half; of an odd number the larger part is kept.

    The moving points take their parameters from the kept points one by one: with an equivariant
    network, halves reordered alike have the same contribution. Between two such layers the points
    want another order.

    Parameters
    ----------
    n_points, dim : int
        Rows are the points one after another: ``n_points * dim`` columns; two points at least.
    family : Family
        Identity at zero parameters.
    network : Module
        From the kept points (n, k, dim) to (n, k, n_parameters * dim).
    reverse : bool, default=False
        Whether the first points move instead of the last.

    References
    ----------
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.
    """

    def __init__(
        self,
        n_points: int,
        dim: int,
        family: Family,
        network: nn.Module,
        *,
        reverse: bool = False,
    ):
        super().__init__(n_points, dim, family, network)
        if n_points < 2:
            raise ValueError(f"half of the points is kept: two are needed, got {n_points}")
        self.n_moving, self.reverse = n_points // 2, reverse

    def _split(self, x):
        points = self._points(x)
        if self.reverse:
            points = points.flip(1)
        kept, moving = points.split([self.n_points - self.n_moving, self.n_moving], 1)
        parameters = self._parameters_given(kept, self.dim)
        return kept, moving, parameters[:, : self.n_moving * self.dim]

    def _join(self, kept, moved):
        points = torch.cat([kept, moved.T.unflatten(1, (self.n_moving, self.dim))], 1)
        if self.reverse:
            points = points.flip(1)
        return points.flatten(1)

    def _forward(self, x, context, noise):
        kept, moving, parameters = self._split(x)
        moved, log_derivative = self.family.forward(_values_first(moving), parameters)
        return self._join(kept, moved), log_derivative.sum(0)

    def _inverse(self, z, context, draw):
        kept, moved, parameters = self._split(z)
        return self._join(kept, self.family.inverse(_values_first(moved), parameters))
