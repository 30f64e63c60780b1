"""Groups of columns whose order means nothing: sorted, then opened to the whole space."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skflow.distributions.plackett_luce import PlackettLuce
from skflow.transforms.base import Transform
from skflow.transforms.ordered_cone import OrderedCone


class ExchangeableColumns(Transform):
    r"""The smallest value of a group and the gaps to the next ones, in place of its columns.

    A sort surjection with the uniform right-inverse and the cone bijection behind it: every order
    of k values is as likely as any other, :math:`V = -\log k! + \log |dz / d\,\mathrm{sort}(x)|`.
    Other columns pass unchanged. Exact.

    Parameters
    ----------
    groups : sequence of sequence of int
        Disjoint groups of columns, each of two or more.

    References
    ----------
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.
    """

    def __init__(self, groups: Sequence[Sequence[int]]):
        super().__init__()
        self.groups = [list(group) for group in groups]
        self.cones = nn.ModuleList(OrderedCone(len(group)) for group in self.groups)

    def _initialize(self, x, weight, context, noise):
        for group, cone in zip(self.groups, self.cones, strict=True):
            cone.initialize(x[:, group].sort(1).values, weight)
        return self._forward(x, context, noise)[0]

    def forward_by_owner(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As `forward`, the contribution kept apart: shape (n, d); and whose each column of z is.

        Column i of z belongs to column ``owner[:, i]`` of x. A group of which a cell is missing
        (NaN) is missing as a whole, and contributes nothing.
        """
        z, contribution = x.clone(), torch.zeros_like(x)
        owner = torch.arange(x.shape[1], device=x.device).repeat(len(x), 1)
        for group, cone in zip(self.groups, self.cones, strict=True):
            ordered, place = x[:, group].sort(1)
            opened, volume = cone.forward_per_dimension(ordered)
            volume = volume - math.lgamma(len(group) + 1) / len(group)
            gone = ordered.isnan().any(1, keepdim=True)
            z[:, group] = torch.where(gone, torch.nan, opened)
            contribution[:, group] = torch.where(gone, 0.0, volume)
            owner[:, group] = torch.tensor(group, device=x.device)[place]
        return z, contribution, owner

    def _forward(self, x, context, noise):
        z, contribution, _ = self.forward_by_owner(x)
        return z, contribution.sum(1)

    def _inverse(self, z, context, draw):
        x = z.clone()
        for group, cone in zip(self.groups, self.cones, strict=True):
            ordered = cone.inverse(z[:, group])
            order = draw(PlackettLuce(len(group)), torch.zeros_like(ordered)).long()
            x[:, group] = ordered.gather(1, order)
        return x
