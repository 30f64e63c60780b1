"""Max-pooling: the largest of every group is kept, the distances to it are dropped."""

import math

import torch
from torch import Tensor, nn

from skflow.distributions.base import Decoder
from skflow.distributions.normal import LOG_SQRT_2PI
from skflow.kernels.moments import weighted_mean
from skflow.transforms.base import DroppingTransform


class OffsetDecoder(Decoder):
    r"""How far below the maximum of their group the values are: 0 for the maximum itself.

    .. math::
        p(d) = \prod_{groups} \frac{1}{K} \prod_{i \ne k} \frac{2}{\sigma} N(d_i / \sigma; 0, 1),
        \qquad d_k = 0

    The place k of the maximum is uniform, the others are half-normal: on the whole half-line, else
    the density would not integrate to one. The latent plays no part.

    Parameters
    ----------
    n_groups, group_size : int
        Columns are laid out as (groups, group_size).
    n_positions : int, default=1
        Groups that share a scale: the positions of a channel, for groups laid out as
        (channels, positions).
    """

    def __init__(self, n_groups: int, group_size: int, n_positions: int = 1):
        super().__init__()
        self.n_features = n_groups * group_size
        self.n_groups = n_groups
        self.group_size = group_size
        self.n_positions = n_positions
        self.log_scale = nn.Parameter(torch.zeros(n_groups // n_positions))

    def _per_group(self) -> Tensor:
        return self.log_scale.repeat_interleave(self.n_positions)

    def _grouped(self, x: Tensor) -> Tensor:
        return x.reshape(-1, self.n_groups, self.group_size)

    @torch.no_grad()
    def initialize(self, x, context, weight=None):
        square = weighted_mean(self._grouped(x).square().sum(2), weight) / (self.group_size - 1)
        square = square.view(-1, self.n_positions).mean(1)
        self.log_scale.copy_(0.5 * torch.where(square > 0, square, 1.0).log())

    def log_prob(self, x, context=None):
        n_others = self.group_size - 1
        log_scale = self._per_group()
        square = (self._grouped(x) * torch.exp(-log_scale)[:, None]).square().sum(2)
        constant = n_others * (math.log(2) - LOG_SQRT_2PI) - math.log(self.group_size)
        return (constant - n_others * log_scale - 0.5 * square).sum(1)

    def sample(self, n, context=None, generator=None):
        like = {"generator": generator, "dtype": self.log_scale.dtype}
        like["device"] = self.log_scale.device
        size = (n, self.n_groups, self.group_size)
        offsets = torch.randn(size, **like).abs() * self._per_group().exp()[:, None]
        place = torch.rand(size, **like).argmax(2, keepdim=True)
        return offsets.scatter(2, place, 0.0).flatten(1)

    def mean(self, context):
        """Every offset at its mean, the maximum at the first place."""
        offset = math.sqrt(2 / math.pi) * self._per_group().exp()
        offsets = offset[:, None].repeat(1, self.group_size)
        offsets[:, 0] = 0
        return offsets.flatten().expand(len(context), -1)


class MaxPool(DroppingTransform):
    """``z = max(x)`` in every group of columns.

    With the offsets ``d = z - x``, the contribution is ``log p(d)`` of `OffsetDecoder`: the map to
    maximum, its place and the other offsets keeps volumes. An inference surjection onto the whole
    space, so the likelihood is exact.

    Parameters
    ----------
    n_groups, group_size, n_positions
        See `OffsetDecoder`.

    References
    ----------
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.
    """

    def __init__(self, n_groups: int, group_size: int, n_positions: int = 1):
        super().__init__()
        if group_size < 2:
            raise ValueError(f"a group must have at least two columns, got {group_size}")
        self.decoder = OffsetDecoder(n_groups, group_size, n_positions)

    def _maximum_and_offsets(self, x: Tensor) -> tuple[Tensor, Tensor]:
        groups = x.reshape(-1, self.decoder.n_groups, self.decoder.group_size)
        maximum = groups.amax(2)
        return maximum, (maximum[..., None] - groups).flatten(1)

    def _initialize(self, x, weight, context, noise):
        z, offsets = self._maximum_and_offsets(x)
        self.decoder.initialize(offsets, z, weight)
        return z

    def _forward_in_parts(self, x, context, noise):
        z, offsets = self._maximum_and_offsets(x)
        log_dropped = self.decoder.log_prob(offsets, z)
        return z, torch.zeros_like(log_dropped), log_dropped

    def _inverse(self, z, context, draw):
        offsets = draw(self.decoder, z)
        return z.repeat_interleave(self.decoder.group_size, 1) - offsets
