"""The cone of ordered numbers, opened to the whole space."""

import math

import torch

from skflow.transforms.base import DimensionwiseTransform
from skflow.transforms.bounds import Bound


class OrderedCone(DimensionwiseTransform):
    r"""Ascending numbers to the first of them and the inverse softplus of the gaps.

    .. math:: u_1 = z_1, \quad u_i = s^{-1}\left(\frac{z_i - z_{i-1}}{c_i}\right)

    with the softplus s and typical gaps c from the data. A bijection from the ordered cone onto
    the whole space: without it a density on the space would leave most of its mass to rows that no
    sorting can give. Equal numbers count as a billionth of a typical gap apart.

    Parameters
    ----------
    n_numbers : int
    """

    def __init__(self, n_numbers: int):
        super().__init__()
        n_gaps = n_numbers - 1
        self.gaps = Bound(torch.zeros(n_gaps), torch.full((n_gaps,), math.inf))

    def _initialize(self, x, weight, context, noise):
        self.gaps.initialize(x.diff(dim=1), weight)
        return self._forward(x, context, noise)[0]

    def _forward_per_dimension(self, x, context):
        opened, volume = self.gaps.forward_per_dimension(x.diff(dim=1))
        first = x[:, :1]
        return torch.cat([first, opened], 1), torch.cat([torch.zeros_like(first), volume], 1)

    def _inverse(self, z, context, draw):
        return torch.cat([z[:, :1], self.gaps.inverse(z[:, 1:])], 1).cumsum(1)
