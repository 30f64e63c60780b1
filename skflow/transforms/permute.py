"""A random order of the points of a set: what follows need not treat all points alike."""

from torch import Tensor

from skflow.distributions.plackett_luce import PlackettLuce
from skflow.transforms.base import Transform


def take_points(points: Tensor, order: Tensor) -> Tensor:
    """Points (n, n_points, dim) in an order (n, n_points) of each row's own."""
    return points.gather(1, order.long()[..., None].expand_as(points))


class StochasticPermutation(Transform):
    r"""The points of a set in a random order, in both directions: V = 0.

    Forward and backward all n! orders are equally likely, so
    :math:`\log p(x|z) - \log q(z|x) = \log n! - \log n! = 0`. A bound, unless what follows gives
    all orders the same density: then it is exact, though the layer cannot know. Drawn rows are
    exchangeable in their points whatever follows. The mean path leaves the order as it is.

    Parameters
    ----------
    n_points, dim : int
        Rows are the points one after another: ``n_points * dim`` columns.

    References
    ----------
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.
    """

    exact = False

    def __init__(self, n_points: int, dim: int):
        super().__init__()
        self.n_points, self.dim = n_points, dim

    def _reorder(self, x, order):
        return take_points(x.unflatten(1, (self.n_points, self.dim)), order).flatten(1)

    def _forward(self, x, context, noise):
        order = noise(x, self.n_points).argsort(dim=1, stable=True)
        return self._reorder(x, order), x.new_zeros(x.shape[0])

    def _inverse(self, z, context, draw):
        equal = z.new_zeros(z.shape[0], self.n_points)
        return self._reorder(z, draw(PlackettLuce(self.n_points), equal))
