"""All learned inverses of a flow: their options, their last polish, their matrices."""

import torch

from skflow.flow import Flow
from skflow.transforms import (
    FactorisedTransform,
    LULinear,
    Reconstruction,
    SelfNormalizingConvolution,
    SelfNormalizingLinear,
)


def set_inverse_options(flow: Flow, options: dict) -> None:
    """Train on by other options of the reconstruction, the polish and the inverse."""
    for layer in flow.modules():
        if hasattr(layer, "n_refreshes"):
            layer.n_refreshes = 0
        if isinstance(layer, SelfNormalizingLinear | SelfNormalizingConvolution):
            layer.reconstruction = Reconstruction(**options["reconstruction"])
            layer.learned_inverse = options["learned_inverse"]
        if isinstance(layer, SelfNormalizingLinear):
            layer.polish_every = options["polish_every"]


def polish_inverses(flow: Flow) -> None:
    """Make every learned inverse as good as a polish makes it."""
    for layer in flow.modules():
        if isinstance(layer, SelfNormalizingLinear) and layer.polish_every:
            layer.polish()


def condition_number(flow: Flow) -> float:
    """The largest of a layer's matrix."""
    numbers = [1.0]
    for layer in flow.modules():
        if isinstance(layer, FactorisedTransform):
            numbers.append(float(torch.linalg.cond(layer.matrix())))
        elif isinstance(layer, LULinear):
            numbers.append(float(torch.linalg.cond(layer.weight)))
    return max(numbers)
