"""Tiling: columns are copied, so that overlapping windows become separate ones."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skflow.distributions.normal import LOG_SQRT_2PI
from skflow.transforms.base import Transform

INITIAL_SCALE = 0.1  # the paper's


class Tile(Transform):
    r"""Every column p is copied :math:`N_p` times, with noise that keeps the mean of the copies.

    .. math::
        t_{p,j} = x_p + \sqrt{N_p} \, u_{p,j}, \qquad u_p \perp 1, \quad
        u_p \sim N(0, A^2) \text{ in these } N_p - 1 \text{ dimensions},

    .. math::
        V = \sum_p \Big[ \frac{N_p}{2} \log N_p
            + (N_p - 1) \Big( \frac{1}{2} \log 2 \pi + \log A \Big)
            + \frac{\|u_p\|^2}{2 A^2} \Big].

    The first term is the log-determinant of (x, u) to tiles, the others are -log q(u). A generative
    surjection: the inverse is the mean over the copies, so where there are any the likelihood is a
    bound. The scale A is learned, one for the layer.

    Parameters
    ----------
    n_features : int
    source : sequence of int
        The column that each tile is a copy of; every column occurs.

    References
    ----------
    Máté, Klein, Golling, Fleuret (2022), "Flowification: Everything is a normalizing flow",
    arXiv:2205.15209.
    """

    source: Tensor
    count: Tensor
    copies: Tensor
    present: Tensor

    def __init__(self, n_features: int, source: Sequence[int] | Tensor):
        super().__init__()
        tiles = torch.as_tensor(source)
        if tiles.min() < 0 or tiles.max() >= n_features:
            raise ValueError(f"source must name columns from 0 to {n_features - 1}")
        count = tiles.bincount(minlength=n_features)
        if (count == 0).any():
            missing = int((count == 0).nonzero()[0])
            raise ValueError(f"every column needs a copy, but column {missing} has none")
        self.n_noise = len(tiles) - n_features
        self.log_det = float((count / 2 * count.double().log()).sum())
        self.log_scale = nn.Parameter(torch.tensor(INITIAL_SCALE).log())
        # Row p: where the copies of column p are, filled up with the first of them. Gathering
        # them is, unlike adding up by index, the same sum in every run on a GPU.
        slot = torch.arange(int(count.max()))
        present = slot < count[:, None]
        first = (count.cumsum(0) - count)[:, None]
        copies = tiles.argsort(stable=True)[torch.where(present, first + slot, first)]
        self.register_buffer("source", tiles, persistent=False)
        self.register_buffer("count", count, persistent=False)
        self.register_buffer("copies", copies, persistent=False)
        self.register_buffer("present", present, persistent=False)

    @property
    def exact(self) -> bool:  # type: ignore[override]
        return self.n_noise == 0

    def _mean_of_copies(self, tiles: Tensor) -> Tensor:
        return torch.where(self.present, tiles[:, self.copies], 0.0).sum(2) / self.count

    def _forward(self, x, context, noise):
        eps = noise(x, len(self.source))
        eps = eps - self._mean_of_copies(eps)[:, self.source]  # u / A
        stretch = self.log_scale.exp() * self.count.to(x.dtype).sqrt()[self.source]
        log_q = -self.n_noise * (LOG_SQRT_2PI + self.log_scale) - 0.5 * (eps * eps).sum(1)
        return x[:, self.source] + stretch * eps, self.log_det - log_q

    def _inverse(self, z, context, draw):
        return self._mean_of_copies(z)
