"""A convolutional network that gives the parameters of one map per pixel."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skflow.networks.linear import SeededConv2d


class ConvNet(nn.Module):
    """From images laid out flat, (n, channels * h * w), to parameters (P, channels_out * h * w, n).

    Convolutions 3x3, 1x1, 3x3 as in Glow; the last one is zero at first, so that whatever it
    parametrises starts as the identity.

    References
    ----------
    Kingma, Dhariwal (2018), "Glow", arXiv:1807.03039.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        n_parameters: int,
        n_channels_out: int,
        n_hidden: int = 64,
        *,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        self.image_shape = image_shape
        self.shape = (n_parameters, n_channels_out * math.prod(image_shape[1:]))
        self.first = SeededConv2d(image_shape[0], n_hidden, 3, generator)
        self.second = SeededConv2d(n_hidden, n_hidden, 1, generator)
        self.last = SeededConv2d(n_hidden, n_parameters * n_channels_out, 3, zero=True)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.first(x.reshape(-1, *self.image_shape)))
        out = self.last(F.relu(self.second(h)))
        return out.view(x.shape[0], *self.shape).permute(1, 2, 0)
