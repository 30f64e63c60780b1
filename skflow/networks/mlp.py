"""A multilayer perceptron that gives the parameters of d one-dimensional maps."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from skflow.kernels.perceptron import perceptron
from skflow.networks.linear import SeededLinear


class MLP(nn.Module):
    """Perceptron from (n, n_inputs) to parameters of shape (n_parameters, n_outputs, n).

    The output is laid out for the kernels: bins lead, rows come last. The last layer is zero at
    first, so that whatever it parametrises starts as the identity. ``n_inputs`` may be 0: then the
    output is a constant.
    """

    def __init__(
        self,
        n_inputs: int,
        n_parameters: int,
        n_outputs: int,
        hidden_layer_sizes: Sequence[int] = (128, 128),
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        sizes = [n_inputs, *hidden_layer_sizes]
        self.hidden = nn.ModuleList(SeededLinear(a, b, generator) for a, b in pairwise(sizes))
        self.last = SeededLinear(sizes[-1], n_parameters * n_outputs, zero=True)
        self.shape = (n_parameters, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        return perceptron(x, *self.weights()).view(*self.shape, x.shape[0])

    def weights(self) -> list[Tensor]:
        """Matrices and biases, alternating, the first layer's first."""
        return [
            values for layer in (*self.hidden, self.last) for values in (layer.weight, layer.bias)
        ]
