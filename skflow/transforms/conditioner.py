"""What a right inverse looks at: columns in units of their spread, and the context."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skflow.networks.input_clamp import clamp_inputs
from skflow.networks.mlp import MLP
from skflow.transforms.standardize import Standardize


class Conditioner(nn.Module):
    """Perceptron from columns and context to parameters (n_parameters, n_outputs, n).

    The columns are seen in units of their spread, as `initialize` finds it, and no further than
    `clamp_inputs`. Zero at first.

    Parameters
    ----------
    n_features : int
        Columns that it sees; may be 0.
    n_parameters, n_outputs : int
    hidden_layer_sizes : sequence of int
    n_context : int
        Width of the context, 0 for none.
    generator : torch.Generator, optional
        Source of the initial weights.
    """

    def __init__(
        self,
        n_features: int,
        n_parameters: int,
        n_outputs: int,
        hidden_layer_sizes: Sequence[int],
        *,
        n_context: int = 0,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.units = Standardize(n_features)
        self.network = MLP(
            n_features + n_context, n_parameters, n_outputs, hidden_layer_sizes, generator=generator
        )

    @torch.no_grad()
    def initialize(self, x: Tensor, weight: Tensor | None = None) -> None:
        """Find the spread of the columns."""
        self.units.initialize(x, weight)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        seen = self.units(x)[0]
        if context is not None:
            seen = torch.cat([seen, context], 1)
        return self.network(clamp_inputs(seen))


def chosen_columns(n_features: int, columns: Sequence[int] | None, at_least: int = 1) -> list[int]:
    """The columns that a layer acts on, checked; all of them without a choice."""
    chosen = list(range(n_features)) if columns is None else [int(c) for c in columns]
    if (
        len(chosen) < at_least
        or len(set(chosen)) != len(chosen)
        or not all(0 <= c < n_features for c in chosen)
    ):
        raise ValueError(
            f"columns={columns!r} must name {at_least} or more different columns of {n_features}."
        )
    return chosen
