"""Standardising sets: all points share the mean and the scale of each coordinate."""

from skflow.transforms.base import DimensionwiseTransform
from skflow.transforms.standardize import Standardize


class SharedStandardize(DimensionwiseTransform):
    """`Standardize` of the coordinates of all points together, so that their order stays free.

    Parameters
    ----------
    n_points, n_dims : int
        Rows are laid out as (points, dims).
    """

    def __init__(self, n_points: int, n_dims: int):
        super().__init__()
        self.n_points = n_points
        self.coordinates = Standardize(n_dims)

    def _initialize(self, x, weight, context, noise):
        weight = None if weight is None else weight.repeat_interleave(self.n_points)
        self.coordinates.initialize(self._points(x), weight)
        return self._forward(x, context, noise)[0]

    def _points(self, x):
        return x.reshape(len(x) * self.n_points, x.shape[1] // self.n_points)

    def _forward_per_dimension(self, x, context):
        z, volume = self.coordinates.forward_per_dimension(self._points(x))
        return z.view(x.shape), volume.reshape(x.shape)

    def _inverse(self, z, context, draw):
        return self.coordinates.inverse(self._points(z)).view(z.shape)
