"""Sets of points in sorted order, in both directions of inference."""

import torch
from torch import Tensor, nn

from skflow.distributions.plackett_luce import PlackettLuce, order_of
from skflow.networks.input_clamp import clamp_inputs
from skflow.transforms.base import DroppingTransform, Transform
from skflow.transforms.ordered_cone import OrderedCone
from skflow.transforms.permute import take_points


def _sorted_order(points: Tensor) -> Tensor:
    """Order by the first coordinate; ties by the next ones, lest the order they came in matter."""
    order = torch.arange(points.shape[1], device=points.device).expand(points.shape[:2])
    for coordinate in reversed(points.unbind(2)):
        order = order.gather(1, coordinate.gather(1, order).argsort(dim=1, stable=True))
    return order


class _Sorting(Transform):
    """What both directions share: the layout of rows, and a distribution of orders."""

    def __init__(self, n_points: int, dim: int, network: nn.Module | None = None):
        super().__init__()
        if n_points < 1 or dim < 1:
            raise ValueError(f"n_points and dim must be positive, got {n_points} and {dim}")
        self.n_points, self.dim = n_points, dim
        self.network = network
        self.orders = PlackettLuce(n_points)

    def _points(self, x):
        return x.unflatten(1, (self.n_points, self.dim))

    def _log_weight(self, points):
        if self.network is None:
            return torch.zeros_like(points[..., 0])
        return self.network(clamp_inputs(points))[..., 0]


class Sort(_Sorting, DroppingTransform):
    r"""The points of a set sorted by their first coordinate, and opened to the whole space.

    Of sorted points :math:`s_1, s_2, \ldots` with first coordinates :math:`s_{i1}`,

    .. math::
        z_{11} = s_{11}, \quad z_{i1} = \mathrm{softplus}^{-1}((s_{i1} - s_{i-1,1}) / c_i), \qquad
        V = \log P(\mathrm{order} | s) + \log |\det \partial z / \partial s|,

    the other coordinates unchanged; :math:`c_i` is a typical gap, as `initialize` finds it. An
    inference surjection: exact. Sorted points lie in a cone, and a density of the whole space
    above it would lose what it has outside; so the map that opens the cone is part of the layer.
    Going back the order is drawn; the mean path takes the most likely one, which is the sorted
    one where all orders are equally likely.

    Points that agree in the first coordinate are ordered by the next ones, and count as a gap just
    above zero.

    Parameters
    ----------
    n_points, dim : int
        Rows are the points one after another: ``n_points * dim`` columns.
    network : Module, optional
        From sorted points (n, n_points, dim) to log-weights (n, n_points, 1), with which
        Plackett and Luce's distribution draws one point after another. Zero at first makes all n!
        orders equally likely at first. Without it they stay so: :math:`\log P = -\log n!`.

    References
    ----------
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.

    Examples
    --------
    >>> import torch
    >>> from skflow.transforms import Sort
    >>> layer = Sort(3, 1).float()
    >>> x = torch.tensor([[2.0, 0.5, 1.0]])
    >>> z, contribution = layer(x)
    >>> x_again = layer.inverse(z)
    >>> torch.allclose(x_again.sort(1).values, x.sort(1).values)
    True
    """

    def __init__(self, n_points: int, dim: int, network: nn.Module | None = None):
        super().__init__(n_points, dim, network)
        self.cone = OrderedCone(n_points)

    def _sort(self, x):
        points = self._points(x)
        order = _sorted_order(points)
        return take_points(points, order), order

    def sorted_points(self, z: Tensor) -> Tensor:
        """The sorted points (n, n_points, dim) of latent rows."""
        points = self._points(z)
        return torch.cat([self.cone.inverse(points[..., 0])[..., None], points[..., 1:]], 2)

    def _forward_in_parts(self, x, context, noise):
        points, order = self._sort(x)
        opened, volume = self.cone(points[..., 0])
        z = torch.cat([opened[..., None], points[..., 1:]], 2).flatten(1)
        # Where in the sorted set each point of x is: the inverse of the order that sorts.
        log_order = self.orders.log_prob(order.argsort(1), self._log_weight(points))
        return z, volume, log_order

    def _inverse(self, z, context, draw):
        points = self.sorted_points(z)
        return take_points(points, draw(self.orders, self._log_weight(points))).flatten(1)

    def _initialize(self, x, weight, context, noise):
        self.cone.initialize(self._sort(x)[0][..., 0], weight)
        return self._forward(x, context, noise)[0]


class GenerativeSort(_Sorting):
    r"""Sorted points in a random order; going back, they are sorted by their first coordinate.

    With an order drawn from q, :math:`V = -\log q(\mathrm{order} | x)`: :math:`\log n!` where all
    are equally likely. A generative surjection, so the flow gives a bound, of points that *are*
    sorted: of others the contribution is -inf.

    Parameters
    ----------
    n_points, dim, network
        See `Sort`.

    References
    ----------
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.
    """

    exact = False

    def _forward(self, x, context, noise):
        points = self._points(x)
        log_weight = self._log_weight(points)
        order = order_of(log_weight, torch.special.ndtr(noise(x, self.n_points)))
        is_sorted = (points[..., 0].diff(dim=1) >= 0).all(1)
        contribution = torch.where(is_sorted, -self.orders.log_prob(order, log_weight), -torch.inf)
        return take_points(points, order).flatten(1), contribution

    def _inverse(self, z, context, draw):
        points = self._points(z)
        return take_points(points, _sorted_order(points)).flatten(1)
