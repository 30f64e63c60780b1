"""Linear maps: LU-parametrised and permutations."""

import torch
from torch import Tensor, nn

from skflow.transforms.base import DimensionwiseTransform, Transform


class LULinear(Transform):
    """``z = (L U) x + b`` with unit-lower L and upper U of positive diagonal; identity at first.

    References
    ----------
    Kingma, Dhariwal (2018), "Glow", arXiv:1807.03039, section 3.2.
    """

    def __init__(self, n_features: int):
        super().__init__()
        self.lower = nn.Parameter(torch.zeros(n_features, n_features))
        self.upper = nn.Parameter(torch.zeros(n_features, n_features))
        self.log_diagonal = nn.Parameter(torch.zeros(n_features))
        self.bias = nn.Parameter(torch.zeros(n_features))

    def _factors(self) -> tuple[Tensor, Tensor]:
        lower = self.lower.tril(-1) + torch.eye(
            len(self.bias), dtype=self.bias.dtype, device=self.bias.device
        )
        return lower, self.upper.triu(1) + torch.diag(self.log_diagonal.exp())

    def forward(self, x, context=None):
        lower, upper = self._factors()
        z = torch.addmm(self.bias, x, (lower @ upper).T)
        return z, self.log_diagonal.sum().expand(x.shape[0])

    def inverse(self, z, context=None):
        lower, upper = self._factors()
        y = torch.linalg.solve_triangular(lower, (z - self.bias).T, upper=False)
        return torch.linalg.solve_triangular(upper, y, upper=True).T


class Permutation(DimensionwiseTransform):
    """A fixed reordering of the columns: random from ``generator``, or the reversal.

    The order is part of the model's state.
    """

    order: Tensor

    def __init__(
        self,
        n_features: int,
        *,
        reverse: bool = False,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        order = (
            torch.arange(n_features - 1, -1, -1)
            if reverse
            else torch.randperm(n_features, generator=generator)
        )
        self.register_buffer("order", order)

    def forward_per_dimension(self, x, context=None):
        return x[:, self.order], torch.zeros_like(x)

    def inverse(self, z, context=None):
        return z[:, self.order.argsort()]
