"""Couplings one after the other, as one layer."""

from collections.abc import Sequence

from torch import nn

from skflow.kernels.coupling import Stack
from skflow.kernels.registry import couplings_forward
from skflow.networks.input_clamp import REACH
from skflow.transforms.coupling import Coupling
from skflow.transforms.linear import Permutation
from skflow.transforms.wrapper import Wrapper


class CouplingStack(Wrapper):
    """Couplings with an order of the columns before each, and one after the last.

    The same map as these layers in a `Compose`. Where it is run for its total contribution, and all
    networks are perceptrons, one kernel computes all of it.

    Parameters
    ----------
    orders : sequence of Permutation
        One more than there are couplings.
    couplings : sequence of Coupling
        All of them take a context, of the same width, or none does.
    """

    def __init__(self, orders: Sequence[Permutation], couplings: Sequence[Coupling]):
        if len(orders) != len(couplings) + 1 or not couplings:
            raise ValueError(
                "couplings need an order of the columns before each and one after the last, got "
                f"{len(couplings)} couplings and {len(orders)} orders."
            )
        widths = {coupling.n_context for coupling in couplings}
        if len(widths) > 1:
            raise ValueError(f"the couplings take contexts of different widths: {sorted(widths)}.")
        super().__init__(widths.pop())
        self.orders, self.couplings = nn.ModuleList(orders), nn.ModuleList(couplings)

    def _steps(self):
        for order, coupling in zip(self.orders, self.couplings, strict=False):
            yield from (order, coupling)
        yield self.orders[-1]

    def _forward(self, x, context, noise):
        if not all(coupling.is_plain for coupling in self.couplings):
            return super()._forward(x, context, noise)
        layers = [c.coupled(o.order) for c, o in zip(self.couplings, self.orders, strict=False)]
        stack = Stack(layers, REACH, self.orders[-1].order)
        weights = [w for coupling in self.couplings for w in coupling.network.weights()]
        return couplings_forward(x, context, stack, *weights)

    def _run(self, x, context, noise, books):
        for step in self._steps():
            x = books.run(step, x, context, noise)
        return x

    def _inverse(self, z, context, draw):
        for step in reversed([*self._steps()]):
            z = step._inverse(z, step.taken(context), draw)
        return z
