"""A transformer over a sequence of points: what it says of a point depends on earlier ones."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skflow.networks.linear import SeededLinear


class _Block(nn.Module):
    """Attention to earlier points, then a perceptron, both residual and normalised first."""

    def __init__(self, width: int, n_heads: int, generator: torch.Generator | None):
        super().__init__()
        self.n_heads = n_heads
        self.before_attention, self.before_hidden = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = SeededLinear(width, 3 * width, generator)
        self.attended = SeededLinear(width, width, generator)
        self.hidden = SeededLinear(width, 4 * width, generator)
        self.out = SeededLinear(4 * width, width, generator)

    def forward(self, h: Tensor) -> Tensor:
        n, length, width = h.shape
        parts = self.query_key_value(self.before_attention(h)).view(n, length, 3, self.n_heads, -1)
        query, key, value = parts.movedim(2, 0).transpose(2, 3)
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        h = h + self.attended(seen.transpose(1, 2).reshape(n, length, width))
        return h + self.out(F.gelu(self.hidden(self.before_hidden(h))))


class CausalTransformer(nn.Module):
    """From points (n, length, dims) to numbers (n, length, outputs) of the points before each.

    Zero at first.

    Parameters
    ----------
    length, n_dims, n_outputs : int
    width, n_heads, n_layers : int
    generator : torch.Generator, optional
        Source of the initial weights.

    References
    ----------
    Vaswani et al. (2017), "Attention Is All You Need", arXiv:1706.03762.
    """

    def __init__(
        self,
        length: int,
        n_dims: int,
        n_outputs: int,
        *,
        width: int = 64,
        n_heads: int = 4,
        n_layers: int = 3,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.embed = SeededLinear(n_dims, width, generator)
        self.position = nn.Parameter(0.1 * torch.randn(length, width, generator=generator))
        self.blocks = nn.ModuleList(_Block(width, n_heads, generator) for _ in range(n_layers))
        self.normalise = nn.LayerNorm(width)
        self.last = SeededLinear(width, n_outputs, zero=True)

    def forward(self, points: Tensor) -> Tensor:
        shifted = F.pad(self.embed(points[:, :-1]), (0, 0, 1, 0))
        h = shifted + self.position[: points.shape[1]]
        for block in self.blocks:
            h = block(h)
        return self.last(self.normalise(h))
