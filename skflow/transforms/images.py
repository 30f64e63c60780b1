"""What image models add: pixels into channels, and layers that act on some of the channels."""

import torch
from torch import Tensor

from skflow.transforms.base import (
    StochasticTransform,
    Transform,
    forward_with,
    initialize_with,
    inverse_with,
)


def squeeze_order(n_channels: int, height: int, width: int) -> Tensor:
    """Order of the columns that makes every 2x2 block of pixels four channels of one pixel.

    Rows are images laid out as (channels, height, width) before and
    (4 * channels, height / 2, width / 2) after.
    """
    if height % 2 or width % 2:
        raise ValueError(f"an image of {height} x {width} pixels has no 2 x 2 blocks")
    position = torch.arange(n_channels * height * width)
    blocks = position.view(n_channels, height // 2, 2, width // 2, 2)
    return blocks.permute(0, 2, 4, 1, 3).reshape(-1)


class OnFirst(StochasticTransform):
    """Another transform on the first columns; the others pass unchanged.

    With a coupling in front that gives the others their distribution given the first ones, this
    is a split prior: half of the columns are done, half go on.
    """

    def __init__(self, n_columns: int, transform: Transform):
        super().__init__()
        self.n_columns = n_columns
        self.transform = transform

    @property
    def exact(self) -> bool:  # type: ignore[override]
        return self.transform.exact

    def forward(self, x, context=None, noise=None):
        first = x[:, : self.n_columns]
        z, contribution = forward_with(self.transform, first, context, noise)
        return torch.cat([z, x[:, self.n_columns :]], 1), contribution

    def forward_in_parts(self, x, context=None, noise=None):
        z, *parts = self.transform.forward_in_parts(x[:, : self.n_columns], context, noise)
        return torch.cat([z, x[:, self.n_columns :]], 1), *parts

    def forward_booked(self, x, context, noise, ledger):
        position = torch.arange(x.shape[1], device=x.device)
        first, rest = (
            ledger.part(p) for p in (position[: self.n_columns], position[self.n_columns :])
        )
        z = self.transform.forward_booked(x[:, : self.n_columns], context, noise, first)
        ledger.join(first, rest)
        return torch.cat([z, x[:, self.n_columns :]], 1)

    def inverse(self, z, context=None, draw=None):
        x = inverse_with(self.transform, z[:, : self.n_columns], context, draw)
        return torch.cat([x, z[:, self.n_columns :]], 1)

    @torch.no_grad()
    def initialize(self, x, weight=None, context=None, noise=None):
        z = initialize_with(self.transform, x[:, : self.n_columns], weight, context, noise)
        return torch.cat([z, x[:, self.n_columns :]], 1)
