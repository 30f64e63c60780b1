"""What image models add: pixels into channels, and layers that act on some of the channels."""

import torch
from torch import Tensor

from skflow.transforms.base import Transform
from skflow.transforms.wrapper import Wrapper


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


class OnFirst(Wrapper):
    """Another transform on the first columns; the others pass unchanged.

    With a coupling in front that gives the others their distribution given the first ones, this
    is a split prior: half of the columns are done, half go on.
    """

    def __init__(self, n_columns: int, transform: Transform):
        super().__init__(transform.n_context)
        self.n_columns = n_columns
        self.transform = transform

    @property
    def exact(self) -> bool:  # type: ignore[override]
        return self.transform.exact

    def _run(self, x, context, noise, books):
        first, rest = slice(None, self.n_columns), slice(self.n_columns, None)
        of_first, of_rest = books.part(first), books.part(rest)
        z = of_first.run(self.transform, x[:, first], context, noise)
        books.join(of_first, of_rest)
        return torch.cat([z, x[:, rest]], 1)

    def _inverse(self, z, context, draw):
        x = self.transform._inverse(z[:, : self.n_columns], context, draw)
        return torch.cat([x, z[:, self.n_columns :]], 1)

    def _initialize(self, x, weight, context, noise):
        z = self.transform._initialize(x[:, : self.n_columns], weight, context, noise)
        return torch.cat([z, x[:, self.n_columns :]], 1)
