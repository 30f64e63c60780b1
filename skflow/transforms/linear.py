"""Linear maps: LU-parametrised and permutations."""

import torch
from torch import Tensor, nn

from skflow.transforms.base import DimensionwiseTransform, Transform
from skflow.transforms.dense import to_channels, to_rows


class LULinear(Transform):
    """``z = P L U x + b`` with unit-lower L and upper U; the identity at first.

    The permutation P and the signs of U's diagonal stay as they begin, so the determinant is read
    off the diagonal.

    Parameters
    ----------
    n_features : int
    n_positions : int, default=1
        See `SquareLinear`.
    weight : Tensor of shape (n_channels, n_channels), optional
        The matrix at first.

    References
    ----------
    Kingma, Dhariwal (2018), "Glow", arXiv:1807.03039, section 3.2.
    """

    order: Tensor
    sign: Tensor

    def __init__(self, n_features: int, n_positions: int = 1, weight: Tensor | None = None):
        super().__init__()
        n = n_features // n_positions
        self.n_positions = n_positions
        matrix = torch.eye(n, dtype=torch.float64) if weight is None else weight.double()
        permutation, lower, upper = (
            f.to(torch.get_default_dtype()) for f in torch.linalg.lu(matrix)
        )
        self.lower = nn.Parameter(lower.tril(-1))
        self.upper = nn.Parameter(upper.triu(1))
        self.log_diagonal = nn.Parameter(upper.diagonal().abs().log())
        self.bias = nn.Parameter(torch.zeros(n))
        self.register_buffer("order", permutation.argmax(1))
        self.register_buffer("sign", upper.diagonal().sign())

    def _factors(self) -> tuple[Tensor, Tensor]:
        lower = self.lower.tril(-1) + torch.eye(
            len(self.bias), dtype=self.bias.dtype, device=self.bias.device
        )
        return lower, self.upper.triu(1) + torch.diag(self.sign * self.log_diagonal.exp())

    @property
    def weight(self) -> Tensor:
        """The matrix, multiplied out."""
        lower, upper = self._factors()
        return (lower @ upper)[self.order]

    def _forward(self, x, context, noise):
        lower, upper = self._factors()
        rows = to_channels(x, self.n_positions)
        z = (rows @ upper.T @ lower.T)[:, self.order] + self.bias
        log_det = self.n_positions * self.log_diagonal.sum()
        return to_rows(z, self.n_positions), log_det.expand(x.shape[0])

    def _forward_booked(self, x, context, noise, ledger):
        ledger.map_linearly(self.weight, self.n_positions)
        return self._forward(x, context, noise)[0]

    def _inverse(self, z, context, draw):
        lower, upper = self._factors()
        rows = (to_channels(z, self.n_positions) - self.bias)[:, self.order.argsort()]
        y = torch.linalg.solve_triangular(lower, rows.T, upper=False)
        x = torch.linalg.solve_triangular(upper, y, upper=True).T
        return to_rows(x, self.n_positions)


class Permutation(DimensionwiseTransform):
    """A fixed reordering of the columns: random from ``generator``, the reversal, or as given.

    The order is part of the model's state.
    """

    order: Tensor

    def __init__(
        self,
        n_features: int,
        *,
        reverse: bool = False,
        order: Tensor | None = None,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if reverse:
            order = torch.arange(n_features - 1, -1, -1)
        elif order is None:
            order = torch.randperm(n_features, generator=generator)
        if not torch.equal(order.long().sort().values.cpu(), torch.arange(n_features)):
            raise ValueError(f"order must hold every number from 0 to {n_features - 1} once.")
        self.register_buffer("order", order.long().clone())

    def _forward(self, x, context, noise):
        return x.index_select(1, self.order), x.new_zeros(len(x))

    def _forward_per_dimension(self, x, context):
        return x.index_select(1, self.order), torch.zeros_like(x)

    def _forward_booked(self, x, context, noise, ledger):
        ledger.reorder(self.order)
        return x.index_select(1, self.order)

    def _inverse(self, z, context, draw):
        return z.index_select(1, self.order.argsort())
