"""Many parameters as one: a step of the optimizer is then a few operations, whatever the layers."""

from collections.abc import Sequence

import torch
from torch import nn


def flattened(parameters: Sequence[nn.Parameter]) -> nn.Parameter:
    """One parameter that holds all of these; they become views of it, their gradients as well.

    Gradients are added to in place: set them to zero by `zero_gradients`, not to None.
    """
    flat = nn.Parameter(torch.cat([p.detach().flatten() for p in parameters]))
    flat.grad = torch.zeros_like(flat)
    sizes = [p.numel() for p in parameters]
    for p, values, gradient in zip(
        parameters, flat.detach().split(sizes), flat.grad.split(sizes), strict=True
    ):
        p.data, p.grad = values.view_as(p), gradient.view_as(p)
    return flat


def zero_gradients(weights: Sequence[nn.Parameter]) -> None:
    """Of flat parameters and of all that are views of them."""
    for flat in weights:
        flat.grad.zero_()
