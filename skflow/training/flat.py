"""Many parameters as a few: a step of the optimizer is a few operations, whatever the layers."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class FlatWeights:
    """Parameters of a few kinds, those of a kind in one; the former become views of it.

    Gradients, too, are views, of one tensor of all. They are added to in place: set them to zero by
    `zero_gradient`, not to None.

    Parameters
    ----------
    kinds : dict of sequence of Parameter
        Kinds without any are left out.

    Attributes
    ----------
    of_kind : dict of Parameter
    gradient : Tensor
    """

    def __init__(self, kinds: Mapping[str, Sequence[nn.Parameter]]):
        kinds = {kind: parameters for kind, parameters in kinds.items() if parameters}
        everything = [p for parameters in kinds.values() for p in parameters]
        self._values = _joined(everything) if everything else torch.zeros(0)
        self.gradient = torch.zeros_like(self._values)
        _point_into(everything, self._values, self.gradient)
        self.of_kind = {kind: nn.Parameter(_joined(of_kind)) for kind, of_kind in kinds.items()}
        _point_into(list(self.of_kind.values()), self._values, self.gradient)

    def zero_gradient(self) -> None:
        """Set all gradients to zero."""
        self.gradient.zero_()

    def gradient_norm(self) -> Tensor:
        """Length of the gradient of all weights."""
        return torch.linalg.vector_norm(self.gradient)

    def scale_gradient(self, factor: Tensor) -> None:
        """Multiply all gradients."""
        self.gradient.mul_(factor)

    def copy_from(self, other: "FlatWeights") -> None:
        """Take the values of another's weights."""
        self._values.copy_(other._values)

    def move_towards(self, other: "FlatWeights", share: float) -> None:
        """Go this share of the way."""
        self._values.lerp_(other._values, share)


def _joined(parameters: Sequence[nn.Parameter]) -> Tensor:
    return torch.cat([p.detach().flatten() for p in parameters])


def _point_into(parameters: Sequence[nn.Parameter], values: Tensor, gradient: Tensor) -> None:
    sizes = [p.numel() for p in parameters]
    for p, own_values, own_gradient in zip(
        parameters, values.split(sizes), gradient.split(sizes), strict=True
    ):
        p.data, p.grad = own_values.view_as(p), own_gradient.view_as(p)
