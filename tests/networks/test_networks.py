"""The networks: what each output may see, and where the numbers come from."""

import pytest
import torch

from skflow.networks.masked_mlp import MaskedMLP
from skflow.networks.mlp import MLP
from tests.contract.table import generator, randomise


@pytest.mark.parametrize("d", [1, 2, 5, 40])
def test_masked_outputs_see_earlier_inputs_only(d):
    network = randomise(MaskedMLP(d, 3, (32, 32, 32), generator=generator()).double())
    x = torch.randn(d, generator=generator(1), dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda row: network(row[None])[:, :, 0], x)
    sees = jacobian.abs().sum(0) > 0
    assert not sees.triu().any()
    if d <= 5:  # with 32 units every earlier input reaches its outputs
        assert sees[torch.ones(d, d, dtype=torch.bool).tril(-1)].all()


def test_masked_network_wants_one_width():
    with pytest.raises(ValueError, match="residual blocks of one width"):
        MaskedMLP(3, 2, (16, 8))


@pytest.mark.parametrize("n_inputs", [0, 3])
def test_layout_and_zero_start(n_inputs):
    network = MLP(n_inputs, 5, 2, (8,), generator=generator())
    out = network(torch.ones(7, n_inputs))
    assert out.shape == (5, 2, 7)
    assert not out.any()


def test_the_generator_decides_the_weights():
    first, again, other = (MLP(3, 2, 2, (8,), generator=generator(s)) for s in (0, 0, 1))
    assert torch.equal(first.hidden[0].weight, again.hidden[0].weight)
    assert not torch.equal(first.hidden[0].weight, other.hidden[0].weight)
