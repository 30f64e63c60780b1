"""Batch normalization by running statistics: an affine bijection."""

from torch import Tensor, nn

from skflow.transforms.base import DimensionwiseTransform


class BatchNorm(DimensionwiseTransform):
    r"""The batch normalization of a trained network, its statistics fixed.

    .. math::
        z = w \frac{x - m}{\sqrt{v + \epsilon}} + b, \qquad
        V = \sum \log \frac{|w|}{\sqrt{v + \epsilon}}

    By the statistics of each batch, the rows would depend on one another and have no density of
    their own.

    Parameters
    ----------
    n_features : int
    n_positions : int
        Columns of one channel, for rows laid out as (channels, positions).
    mean, variance : Tensor of shape (n_channels,)
        The running statistics m and v.
    eps : float
    weight, bias : Tensor of shape (n_channels,)
        w and b at first. The weights may have any sign, but none may be zero.

    References
    ----------
    Ioffe, Szegedy (2015), "Batch Normalization", arXiv:1502.03167.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        n_features: int,
        n_positions: int,
        mean: Tensor,
        variance: Tensor,
        eps: float,
        weight: Tensor,
        bias: Tensor,
    ):
        super().__init__()
        n = n_features // n_positions
        if mean.shape != (n,):
            raise ValueError(f"expected statistics of {n} channels, got shape {tuple(mean.shape)}")
        if (weight == 0).any():
            raise ValueError("a weight of zero is not invertible")
        self.n_positions = n_positions
        self.register_buffer("mean", mean.detach().clone())
        self.register_buffer("scale", (variance.detach() + eps).sqrt())
        self.weight = nn.Parameter(weight.detach().clone())
        self.bias = nn.Parameter(bias.detach().clone())

    def _per_column(self, values):
        return values.repeat_interleave(self.n_positions)

    def _forward_per_dimension(self, x, context):
        gain = self.weight / self.scale
        z = (x - self._per_column(self.mean)) * self._per_column(gain) + self._per_column(self.bias)
        return z, self._per_column(gain.abs().log()).expand_as(x)

    def _inverse(self, z, context, draw):
        x = (z - self._per_column(self.bias)) * self._per_column(self.scale / self.weight)
        return x + self._per_column(self.mean)
