"""Couplings as one layer are the couplings one after the other."""

import pytest
import torch

from skflow.kernels import native
from skflow.networks.mlp import MLP
from skflow.transforms import (
    Additive,
    Affine,
    Compose,
    Coupling,
    CouplingStack,
    Ledger,
    Permutation,
    RationalQuadratic,
)
from skflow.transforms.noise import mean_draw
from tests.contract.table import generator, randomise

N, D = 40, 5


class OwnNetwork(torch.nn.Module):
    """Not a plain perceptron."""

    def __init__(self, n_inputs, n_parameters, n_outputs):
        super().__init__()
        self.inner = MLP(n_inputs, n_parameters, n_outputs, (8,))

    def forward(self, x):
        return self.inner(x.sin())


def both(family, n_context=0, own_network=False):
    """A stack, and its layers in a `Compose`."""
    g = generator()
    options = {"n_context": n_context, "hidden_layer_sizes": (8, 8), "generator": g}
    orders = [Permutation(D, generator=g) for _ in range(4)]
    layers = [Coupling(D, family, **options) for _ in range(3)]
    if own_network:
        network = OwnNetwork(D // 2 + n_context, family.n_parameters, D - D // 2)
        layers[1] = Coupling(D, family, n_context=n_context, network=network)
    stack = randomise(CouplingStack(orders, layers), scale=0.3).double().eval()
    steps = [step for pair in zip(orders, layers, strict=False) for step in pair]
    return stack, Compose([*steps, orders[-1]])


@pytest.mark.parametrize("family", [Affine(), RationalQuadratic(4), Additive()], ids=str)
@pytest.mark.parametrize("n_context", [0, 2])
@pytest.mark.parametrize("own_network", [False, True])
def test_it_is_its_layers_one_after_the_other(family, n_context, own_network):
    stack, layers = both(family, n_context, own_network)
    x = torch.randn(N, D, generator=generator(1), dtype=torch.float64)
    context = torch.randn(N, 2, generator=generator(2)).double() if n_context else None
    z, contribution = stack(x, context)
    expected, expected_contribution = layers(x, context)
    torch.testing.assert_close(z, expected)
    torch.testing.assert_close(contribution, expected_contribution)
    torch.testing.assert_close(stack.inverse(z, context, mean_draw), x)
    torch.testing.assert_close(stack.initialize(x, None, context), z)
    ledger, expected_ledger = Ledger(x), Ledger(x)
    stack.forward_booked(x, context, None, ledger)
    layers.forward_booked(x, context, None, expected_ledger)
    torch.testing.assert_close(ledger.by_column, expected_ledger.by_column)


@pytest.mark.skipif(native.compiled is None, reason="skflow was built without a compiler")
def test_one_kernel_computes_it(monkeypatch):
    def not_alone(*inputs):
        raise AssertionError("a layer was run on its own")

    stack, _ = both(Affine())
    monkeypatch.setattr(Coupling, "_forward", not_alone)
    stack(torch.zeros(N, D).double())


def test_orders_and_couplings_go_together():
    orders = [Permutation(D) for _ in range(2)]
    for wrong in ([], [Coupling(D, Affine())] * 2):
        with pytest.raises(ValueError, match="an order of the columns before each"):
            CouplingStack(orders, wrong)
    couplings = [Coupling(D, Affine(), n_context=c) for c in (0, 2)]
    with pytest.raises(ValueError, match=r"contexts of different widths: \[0, 2\]"):
        CouplingStack([*orders, Permutation(D)], couplings)
