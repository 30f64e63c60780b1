"""Dense linear maps by an unconstrained square matrix, and four gradients of its log-determinant.

The map is `z = W x + b`. What the classes differ in is how W learns about `log|det W|`, whose
gradient is the transposed inverse: autograd's own (`DenseLinear`), a tracked inverse
(`NewtonLinear`), a preconditioned gradient that needs no inverse (`RelativeLinear`), or a learned
inverse (`SelfNormalizingLinear`, in a file of its own).
"""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from skflow.transforms.base import Transform

NEWTON_REACH = 0.5  # ‖W R - I‖ beyond which a Newton-Schulz step is not trusted


def random_rotation(n: int, generator: torch.Generator | None = None) -> Tensor:
    """A random orthogonal matrix, uniformly distributed."""
    q, r = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))
    return q * r.diagonal().sign()


def to_channels(x: Tensor, n_positions: int) -> Tensor:
    """Rows (n, channels * positions) as one row of channels per position."""
    if n_positions == 1:
        return x
    n = x.shape[0]
    n_channels = x.shape[1] // n_positions
    rows = x.reshape(n, n_channels, n_positions).transpose(1, 2)
    return rows.reshape(n * n_positions, n_channels)


def to_rows(x: Tensor, n_positions: int) -> Tensor:
    """Undo `to_channels`."""
    if n_positions == 1:
        return x
    n, n_channels = x.shape[0] // n_positions, x.shape[1]
    rows = x.reshape(n, n_positions, n_channels).transpose(1, 2)
    return rows.reshape(n, n_channels * n_positions)


class FactorisedTransform(Transform):
    """A linear map ``z = M x + b`` by a parameter that makes up a square matrix M.

    In training mode `forward` asks the subclass for a log-determinant with a gradient; its value
    is that of the last evaluation. `eval` factorises the matrix once in float64; from then on
    contributions and inverses are exact and cost no more than a matrix product. After changing
    the parameters by hand, or loading them, call `eval` again.
    """

    log_det: Tensor
    factors: Tensor
    pivots: Tensor

    def __init__(self, weight: Tensor):
        super().__init__()
        weight = weight.detach().to(torch.get_default_dtype(), copy=True)
        self.weight = nn.Parameter(weight.contiguous())
        for name in ("log_det", "factors", "pivots"):
            self.register_buffer(name, None, persistent=False)

    @abstractmethod
    def matrix(self) -> Tensor:
        """M, in float64."""

    def train(self, mode: bool = True):
        """Switch to training; with ``mode=False``, to the exact numbers of the present matrix."""
        super().train(mode)
        if mode:
            self.factors = self.pivots = None  # as large as the matrix, and about to be outdated
        else:
            self.settle()
        return self

    @torch.no_grad()
    def settle(self) -> None:
        """Factorise the present matrix."""
        factors, self.pivots, _ = torch.linalg.lu_factor_ex(self.matrix())
        self.log_det = factors.diagonal().abs().log().sum().to(self.weight.dtype)
        self.factors = factors.to(self.weight.dtype)

    def _log_det_with_gradient_of(self, surrogate: Tensor) -> Tensor:
        return self.log_det + (surrogate - surrogate.detach())

    def _solve(self, rows: Tensor) -> Tensor:
        """``M^{-1}`` applied to every row."""
        if self.training:
            return torch.linalg.solve(self.matrix().to(rows.dtype), rows.T).T
        return torch.linalg.lu_solve(self.factors, self.pivots, rows.T).T


class SquareLinear(FactorisedTransform):
    """The dense maps: `z = W x + b` in every row, or at every position of an image.

    Parameters
    ----------
    n_features : int
    n_positions : int, default=1
        The same matrix acts on the n_features // n_positions channels at every position: a 1x1
        convolution on rows laid out as (channels, positions).
    weight : Tensor of shape (n_channels, n_channels), optional
        The matrix at first; the identity by default.
    """

    def __init__(self, n_features: int, n_positions: int = 1, weight: Tensor | None = None):
        n = n_features // n_positions
        super().__init__(torch.eye(n) if weight is None else weight)
        self.n_positions = n_positions
        self.bias = nn.Parameter(torch.zeros(n))
        self.settle()

    def matrix(self):
        return self.weight.double()

    @abstractmethod
    def _learn(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map rows (m, n_channels); also log|det W|, of which only the gradient counts."""

    def _forward(self, x, context, noise):
        rows = to_channels(x, self.n_positions)
        if self.training:
            z, surrogate = self._learn(rows)
            log_det = self._log_det_with_gradient_of(surrogate)
        else:
            z, log_det = torch.addmm(self.bias, rows, self.weight.T), self.log_det
        return to_rows(z, self.n_positions), (self.n_positions * log_det).expand(x.shape[0])

    def _forward_booked(self, x, context, noise, ledger):
        ledger.map_linearly(self.weight, self.n_positions)
        return self._forward(x, context, noise)[0]

    def _inverse(self, z, context, draw):
        rows = to_channels(z, self.n_positions) - self.bias
        return to_rows(self._solve(rows), self.n_positions)


class DenseLinear(SquareLinear):
    """Autograd's gradient of the log-determinant: exact, O(n^3) in every step."""

    def _learn(self, x):
        z = torch.addmm(self.bias, x, self.weight.T)
        return z, torch.linalg.slogdet(self.weight)[1]


@torch.no_grad()
def polished(weight: Tensor, inverse: Tensor) -> tuple[Tensor, bool]:
    """An inverse of ``weight`` better than the given one; whether it was computed anew.

    One Newton-Schulz step squares the error, but only where that is small: elsewhere, as after
    Adam's first steps, the inverse is computed from the matrix. Asking which costs one number
    read back from the device.
    """
    product = inverse @ weight
    error = torch.linalg.matrix_norm(product) ** 2 - 2 * product.trace() + len(product)
    refresh = not bool(error < NEWTON_REACH**2)  # not finite: refresh as well
    if refresh:
        return torch.linalg.inv_ex(weight)[0], True
    return torch.addmm(inverse, product, inverse, beta=2, alpha=-1), False


class NewtonLinear(SquareLinear):
    """The inverse in the gradient is tracked by one guarded Newton-Schulz step per pass.

    Matrix products in place of `DenseLinear`'s factorisation. The tracked inverse is off by less
    than a quarter after any step, and in steps of usual size by 1e-5.

    Attributes
    ----------
    n_refreshes : int
        How often the guard had the inverse computed anew.
    """

    tracked: Tensor

    def __init__(self, n_features: int, n_positions: int = 1, weight: Tensor | None = None):
        super().__init__(n_features, n_positions, weight)
        self.n_refreshes = 0

    @torch.no_grad()
    def settle(self):
        """Factorise the present matrix; the tracked inverse starts from it."""
        super().settle()
        identity = torch.eye(len(self.weight), dtype=self.weight.dtype, device=self.weight.device)
        tracked = torch.linalg.lu_solve(self.factors, self.pivots, identity)
        self.register_buffer("tracked", tracked, persistent=False)

    def _learn(self, x):
        self.tracked, refreshed = polished(self.weight, self.tracked)
        self.n_refreshes += refreshed
        z = torch.addmm(self.bias, x, self.weight.T)
        return z, (self.weight * self.tracked.T).sum()


class _GradientAt(torch.autograd.Function):
    """``x @ weight.T``, its gradient to ``weight`` taken as if the rows had been ``proxy``."""

    @staticmethod
    def forward(ctx, x, proxy, weight):
        ctx.save_for_backward(proxy, weight)
        return x @ weight.T

    @staticmethod
    def backward(ctx, grad):
        proxy, weight = ctx.saved_tensors
        return grad @ weight, None, grad.T @ proxy


class RelativeLinear(SquareLinear):
    """The relative gradient ``G W^T W``: exact up to a preconditioner, no inverse anywhere.

    References
    ----------
    Gresele, Fissore, Javaloy, Schölkopf, Hyvärinen (2020), "Relative gradient optimization of the
    Jacobian term in unsupervised deep learning", arXiv:2006.15090.
    """

    def _learn(self, x):
        weight = self.weight
        with torch.no_grad():
            # x W^T W: the data's part of G W^T W is dz^T x W^T W.
            proxy = x @ weight.T @ weight
        z = self.bias + _GradientAt.apply(x, proxy, weight)
        return z, 0.5 * (weight * weight).sum()  # W^{-T} W^T W = W, the gradient of this
