"""Transforms one after the other."""

from collections.abc import Iterable

from torch import nn

from skflow.transforms.base import Transform
from skflow.transforms.wrapper import Wrapper


class Compose(Wrapper):
    """Several transforms, the first one nearest to the data.

    The context goes to those that take one; these take the same.
    """

    def __init__(self, transforms: Iterable[Transform]):
        steps = nn.ModuleList(transforms)
        widths = {step.n_context for step in steps if step.n_context}
        if len(widths) > 1:
            raise ValueError(f"the steps take contexts of different widths: {sorted(widths)}.")
        super().__init__(max(widths, default=0))
        self.steps = steps

    @property
    def exact(self) -> bool:  # type: ignore[override]
        return all(step.exact for step in self.steps)

    def _run(self, x, context, noise, books):
        for step in self.steps:
            x = books.run(step, x, context, noise)
        return x

    def _inverse(self, z, context, draw):
        for step in reversed(self.steps):
            z = step._inverse(z, step.taken(context), draw)
        return z

    def _initialize(self, x, weight, context, noise):
        for step in self.steps:
            x = step._initialize(x, weight, step.taken(context), noise)
        return x
