"""Autoregressive maps: every column moves, given the ones before it."""

from collections.abc import Sequence

import torch

from skflow.kernels.families import Family
from skflow.networks.input_clamp import clamp_inputs
from skflow.networks.masked_mlp import MaskedMLP
from skflow.transforms.base import DimensionwiseTransform


class Autoregressive(DimensionwiseTransform):
    """Column i goes through a family whose parameters depend on columns before i.

    One parallel pass from x to z; d passes, one after the other, from z to x.

    Parameters
    ----------
    n_features : int
    family : Family
    hidden_layer_sizes : sequence of int
        All equal: the masked network is residual.
    n_context : int
        Width of the context, 0 for none.
    generator : torch.Generator, optional
        Source of the initial weights.

    References
    ----------
    Papamakarios, Pavlakou, Murray (2017), "Masked Autoregressive Flow", arXiv:1705.07057.
    """

    def __init__(
        self,
        n_features: int,
        family: Family,
        *,
        hidden_layer_sizes: Sequence[int] = (128, 128),
        n_context: int = 0,
        generator: torch.Generator | None = None,
    ):
        super().__init__(n_context)
        self.family = family
        self.n_features = n_features
        self.network = MaskedMLP(
            n_features,
            family.n_parameters,
            hidden_layer_sizes,
            n_context=n_context,
            generator=generator,
        )

    def _parameters_given(self, x, context, only=None):
        context = None if context is None else clamp_inputs(context)
        return self.network(clamp_inputs(x), context, only)

    def _forward_per_dimension(self, x, context):
        parameters = self._parameters_given(x, context)
        z, log_derivative = self.family.forward(x.T.contiguous(), parameters)
        return z.T, log_derivative.T

    def _inverse(self, z, context, draw):
        target = z.T.contiguous()
        x = torch.zeros_like(z)
        for i in range(self.n_features):
            parameters = self._parameters_given(x, context, only=i)
            column = self.family.inverse(target[i : i + 1], parameters).T
            x = torch.cat([x[:, :i], column, x[:, i + 1 :]], 1)
        return x
