"""A masked residual network over blocks: the outputs of a block see earlier blocks only."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skflow.networks.linear import SeededLinear


class BlockMaskedMLP(nn.Module):
    """`MaskedMLP` for variables of different widths, with a linear path beside the hidden layers.

    From the inputs of all blocks side by side to the outputs of all blocks side by side; a context
    reaches everything. The output is zero at first.

    Parameters
    ----------
    input_sizes, output_sizes : sequence of int
        Widths per block, in the order in which blocks see each other.
    hidden_layer_sizes : sequence of int
        All equal: the network is residual.
    n_context : int
    generator : torch.Generator, optional
        Source of the initial weights.

    References
    ----------
    Germain, Gregor, Murray, Larochelle (2015), "MADE", arXiv:1502.03509.
    """

    mask_in: Tensor
    mask_hidden: Tensor
    mask_out: Tensor
    mask_skip: Tensor

    def __init__(
        self,
        input_sizes: Sequence[int],
        output_sizes: Sequence[int],
        hidden_layer_sizes: Sequence[int] = (128, 128),
        *,
        n_context: int = 0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        width = hidden_layer_sizes[0] if hidden_layer_sizes else 0
        if not width or any(size != width for size in hidden_layer_sizes):
            raise ValueError(
                "an autoregressive network has residual blocks of one width; "
                f"got hidden_layer_sizes={tuple(hidden_layer_sizes)}"
            )
        n_blocks = len(input_sizes)
        inputs, outputs = (
            torch.arange(1, n_blocks + 1).repeat_interleave(torch.tensor(sizes, dtype=torch.long))
            for sizes in (list(input_sizes), list(output_sizes))
        )
        # Degree 0 sees the context only. With fewer units than blocks some degrees are left out.
        every = -(-n_blocks // width)
        hidden = (torch.arange(width) * every) % max(n_blocks, 1)
        masks = {
            "mask_in": hidden[:, None] >= inputs,
            "mask_hidden": hidden[:, None] >= hidden,
            "mask_out": outputs[:, None] > hidden,
            "mask_skip": outputs[:, None] > inputs,
        }
        for name, mask in masks.items():
            self.register_buffer(name, mask.float(), persistent=False)
        self.first = SeededLinear(len(inputs), width, generator)
        self.context = SeededLinear(n_context, width, generator) if n_context else None
        self.blocks = nn.ModuleList(
            SeededLinear(width, width, generator) for _ in hidden_layer_sizes[1:]
        )
        self.last = SeededLinear(width, len(outputs), zero=True)
        self.skip = SeededLinear(len(inputs), len(outputs), zero=True)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        h = F.linear(x, self.first.weight * self.mask_in, self.first.bias)
        if self.context is not None:
            h = h + self.context(context)
        for block in self.blocks:
            h = h + F.linear(torch.relu(h), block.weight * self.mask_hidden, block.bias)
        out = F.linear(torch.relu(h), self.last.weight * self.mask_out, self.last.bias)
        return out + F.linear(x, self.skip.weight * self.mask_skip)
