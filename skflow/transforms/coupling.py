"""Coupling: the second part of the columns moves, given the first."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skflow.kernels.coupling import Coupled, Stack
from skflow.kernels.families import Family
from skflow.kernels.registry import couplings_forward
from skflow.networks.input_clamp import REACH, clamp_inputs
from skflow.networks.mlp import MLP
from skflow.transforms.base import DimensionwiseTransform


class Coupling(DimensionwiseTransform):
    """Columns ``n_kept:`` go through a family whose parameters a network reads off the others.

    A true coupling: the network has the kept columns as inputs and nothing else, so both
    directions cost one pass. The network sees its inputs and the context clamped to +-10, so that
    a far outlier meets a map like that of the border and not a wild extrapolation. With one column
    nothing is kept, and the layer is an unconditional elementwise map.

    Parameters
    ----------
    n_features : int
    family : Family
        Identity at zero parameters.
    n_kept : int, default=n_features // 2
    hidden_layer_sizes : sequence of int
    network : Module, optional
        In place of the perceptron: from the kept columns (n, n_kept) to parameters
        (n_parameters, n_features - n_kept, n).
    n_context : int
        Width of the context, 0 for none.
    generator : torch.Generator, optional
        Source of the initial weights.

    References
    ----------
    Dinh, Sohl-Dickstein, Bengio (2017), "Density estimation using Real NVP", arXiv:1605.08803.
    """

    def __init__(
        self,
        n_features: int,
        family: Family,
        *,
        n_kept: int | None = None,
        hidden_layer_sizes: Sequence[int] = (128, 128),
        network: nn.Module | None = None,
        n_context: int = 0,
        generator: torch.Generator | None = None,
    ):
        super().__init__(n_context)
        self.family = family
        self.n_kept = n_features // 2 if n_kept is None else n_kept
        if network is None:
            network = MLP(
                self.n_kept + n_context,
                family.n_parameters,
                n_features - self.n_kept,
                hidden_layer_sizes,
                generator=generator,
            )
        self.network = network

    @property
    def is_plain(self) -> bool:
        """Whether it is as the kernel of couplings wants it."""
        return type(self.network) is MLP

    def coupled(self, order: Tensor | None = None) -> Coupled:
        """What the kernel of couplings is told; ``order`` is that of the columns before it."""
        return Coupled(self.n_kept, self.family, len(self.network.weights()), order)

    def _parameters_given(self, kept, context):
        seen = kept if context is None else torch.cat([kept, context], 1)
        return self.network(clamp_inputs(seen))

    def _move(self, x, context):
        kept, moving = x[:, : self.n_kept], x[:, self.n_kept :].T
        moved, log_derivative = self.family.forward(moving, self._parameters_given(kept, context))
        return torch.cat([kept, moved.T], 1), log_derivative

    def _forward(self, x, context, noise):
        if self.is_plain:
            stack = Stack([self.coupled()], REACH)
            return couplings_forward(x, context, stack, *self.network.weights())
        z, log_derivative = self._move(x, context)
        return z, log_derivative.sum(0)

    def _forward_per_dimension(self, x, context):
        z, log_derivative = self._move(x, context)
        return z, torch.cat([torch.zeros_like(x[:, : self.n_kept]), log_derivative.T], 1)

    def _inverse(self, z, context, draw):
        kept = z[:, : self.n_kept]
        moved = z[:, self.n_kept :].T
        moving = self.family.inverse(moved, self._parameters_given(kept, context))
        return torch.cat([kept, moving.T], 1)
