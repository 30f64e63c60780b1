"""A transformer over the points of a set."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skflow.networks.linear import SeededLinear

Past = dict[str, Tensor]  # keys and values of the points before: (n, heads, points, width)


class _Block(nn.Module):
    """Attention and a perceptron, each on normalised inputs and added to what came in."""

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        n_hidden: int,
        *,
        causal: bool,
        generator: torch.Generator | None,
    ):
        super().__init__()
        self.n_heads, self.causal = n_heads, causal
        self.norms = nn.ModuleList(nn.LayerNorm(d_model) for _ in range(2))
        self.query_key_value = SeededLinear(d_model, 3 * d_model, generator)
        self.mix = SeededLinear(d_model, d_model, generator)
        self.widen = SeededLinear(d_model, n_hidden, generator)
        self.narrow = SeededLinear(n_hidden, d_model, generator)

    def forward(self, x: Tensor, past: Past | None = None) -> Tensor:
        heads = self.query_key_value(self.norms[0](x)).unflatten(2, (3, self.n_heads, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4)
        if past:
            key, value = torch.cat([past["key"], key], 2), torch.cat([past["value"], value], 2)
        if past is not None:
            past.update(key=key, value=value)
        # The one point that comes after a past may see all there is.
        is_causal = self.causal and past is None
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=is_causal)
        x = x + self.mix(seen.transpose(1, 2).flatten(2))
        return x + self.narrow(F.gelu(self.widen(self.norms[1](x))))


class SetTransformer(nn.Module):
    """Outputs for every point of a set, given all points (or those before it): (n, k, n_outputs).

    Layers normalise what they read and add to what came in (pre-norm). Without positional
    encodings and mask the network is equivariant: reordered points have reordered outputs. The
    last layer is zero at first, so that whatever it parametrises starts as the identity.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Numbers per point.
    d_model, n_heads, n_layers, n_hidden : int
        Width, heads of the attention (they divide the width), pairs of attention and perceptron,
        and the perceptrons' hidden width.
    n_positions : int, default=0
        With learned positional encodings, for so many points; 0 for none.
    causal : bool, default=False
        Whether a point sees only itself and those before it.
    generator : torch.Generator, optional
        Source of the initial weights.

    References
    ----------
    Vaswani et al. (2017), "Attention Is All You Need", arXiv:1706.03762.
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.
    """

    def __init__(
        self,
        n_inputs: int,
        n_outputs: int,
        *,
        d_model: int = 64,
        n_heads: int = 4,
        n_layers: int = 3,
        n_hidden: int = 128,
        n_positions: int = 0,
        causal: bool = False,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads must divide d_model, got {n_heads} and {d_model}")
        self.embed = SeededLinear(n_inputs, d_model, generator)
        self.position = None
        if n_positions:
            values = torch.randn(n_positions, d_model, generator=generator)
            self.position = nn.Parameter(0.1 * values)
        self.blocks = nn.ModuleList(
            _Block(d_model, n_heads, n_hidden, causal=causal, generator=generator)
            for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(d_model)
        self.last = SeededLinear(d_model, n_outputs, zero=True)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs for all points (n, k, n_inputs)."""
        return self._run(x, 0, [None] * len(self.blocks))

    def no_past(self) -> list[Past]:
        """What `following` starts from."""
        return [{} for _ in self.blocks]

    def following(self, x: Tensor, place: int, pasts: list[Past]) -> Tensor:
        """Of a causal network, as `forward` at one place, at the cost of one point.

        From the point (n, 1, n_inputs) at ``place``, and from what the calls for all places before
        it have left in ``pasts``; this call adds to it.
        """
        return self._run(x, place, pasts)

    def _run(self, x: Tensor, first: int, pasts: Sequence[Past | None]) -> Tensor:
        hidden = self.embed(x)
        if self.position is not None:
            hidden = hidden + self.position[first : first + x.shape[1]]
        for block, past in zip(self.blocks, pasts, strict=True):
            hidden = block(hidden, past)
        return self.last(self.norm(hidden))
