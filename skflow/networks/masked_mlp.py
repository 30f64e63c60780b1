"""A masked residual network: output i sees inputs before i only."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skflow.networks.linear import SeededLinear


class MaskedMLP(nn.Module):
    """Autoregressive network from (n, d) to parameters of shape (n_parameters, d, n).

    Hidden units carry a degree; a unit of degree m sees the inputs 1..m, and output i the units
    of degree below i. The hidden layers are residual blocks, so all have the first one's width.
    Context, where given, reaches every unit of the first layer. The last layer is zero at first.

    References
    ----------
    Germain, Gregor, Murray, Larochelle (2015), "MADE", arXiv:1502.03509.
    Nash, Durkan (2019), "Autoregressive Energy Machines" (the residual form), arXiv:1904.05626.
    """

    mask_in: Tensor
    mask_hidden: Tensor
    mask_out: Tensor

    def __init__(
        self,
        n_features: int,
        n_parameters: int,
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
        inputs = torch.arange(1, n_features + 1)
        # Degrees 1 .. d-1 in turn; with one feature no unit may see it (degree 0).
        hidden = torch.arange(width) % max(n_features - 1, 1) + min(n_features - 1, 1)
        self.register_buffer("mask_in", (hidden[:, None] >= inputs).float(), persistent=False)
        self.register_buffer("mask_hidden", (hidden[:, None] >= hidden).float(), persistent=False)
        mask_out = (inputs[:, None] > hidden).float().repeat(n_parameters, 1)
        self.register_buffer("mask_out", mask_out, persistent=False)
        self.first = SeededLinear(n_features, width, generator)
        self.context = SeededLinear(n_context, width, generator) if n_context else None
        self.blocks = nn.ModuleList(
            SeededLinear(width, width, generator) for _ in hidden_layer_sizes[1:]
        )
        self.last = SeededLinear(width, n_parameters * n_features, zero=True)
        self.shape = (n_parameters, n_features)

    def forward(self, x: Tensor, context: Tensor | None = None, only: int | None = None) -> Tensor:
        """Parameters of all outputs, or of one alone: shape (n_parameters, d or 1, n)."""
        h = F.linear(x, self.first.weight * self.mask_in, self.first.bias)
        if self.context is not None:
            h = h + self.context(context)
        for block in self.blocks:
            h = h + F.linear(torch.relu(h), block.weight * self.mask_hidden, block.bias)
        weight, bias = self.last.weight * self.mask_out, self.last.bias
        if only is not None:
            weight, bias = weight[only :: self.shape[1]], bias[only :: self.shape[1]]
        out = torch.addmm(bias[:, None], weight, torch.relu(h).T)
        return out.view(self.shape[0], len(out) // self.shape[0], x.shape[0])
