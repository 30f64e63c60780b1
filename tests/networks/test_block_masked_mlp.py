"""The block-autoregressive network: what every output may see, by autograd."""

import pytest
import torch

from skflow.networks.block_masked_mlp import BlockMaskedMLP
from tests.contract.table import generator, randomise

SHAPES = [
    ([1], [3], (4,), 0),
    ([1, 3, 2, 4], [2, 1, 5, 3], (16, 16), 0),
    ([2, 1, 1, 5, 2], [1, 4, 2, 1, 3], (20, 20, 20), 3),
    ([2] * 12, [1] * 12, (5, 5), 2),  # fewer units than blocks
    ([0, 2, 1], [2, 0, 3], (9,), 1),
]


def make(inputs, outputs, hidden, n_context):
    network = BlockMaskedMLP(inputs, outputs, hidden, n_context=n_context, generator=generator())
    return randomise(network.double(), scale=0.7)


def sees(network, inputs, outputs, n_context):
    """Which output block depends on which input block, and on the context."""
    x = torch.randn(30, sum(inputs), generator=generator(1), dtype=torch.float64)
    c = torch.randn(30, n_context, generator=generator(2), dtype=torch.float64)
    x.requires_grad_()
    c.requires_grad_()
    reach = torch.zeros(len(outputs), len(inputs), dtype=torch.bool)
    context = torch.zeros(len(outputs), n_context, dtype=torch.bool)
    out = network(x, c if n_context else None).split(outputs, 1)
    for i, part in enumerate(out):
        if not outputs[i]:
            continue
        gradients = torch.autograd.grad(part.sum(), [x, c], retain_graph=True, allow_unused=True)
        for j, block in enumerate(gradients[0].split(inputs, 1)):
            reach[i, j] = bool((block != 0).any())
        if n_context:
            context[i] = (gradients[1] != 0).any(0)
    return reach, context


@pytest.mark.parametrize(("inputs", "outputs", "hidden", "n_context"), SHAPES)
def test_outputs_see_all_earlier_blocks_and_no_others(inputs, outputs, hidden, n_context):
    reach, context = sees(make(inputs, outputs, hidden, n_context), inputs, outputs, n_context)
    there = torch.tensor(outputs)[:, None] * torch.tensor(inputs) > 0
    expected = torch.ones_like(reach).tril(-1) & there
    assert torch.equal(reach, expected)
    assert context[torch.tensor(outputs) > 0].all()


def test_what_earlier_blocks_say_goes_through_the_hidden_layers():
    inputs = outputs = [1] * 40
    network = make(inputs, outputs, (8, 8), 0)
    with torch.no_grad():
        network.skip.weight.zero_()
    reach = sees(network, inputs, outputs, 0)[0]
    # Eight units for forty blocks: all but the last few blocks are seen by some unit.
    assert reach[-1].sum() >= 30
    assert not (reach & ~torch.ones_like(reach).tril(-1)).any()


def test_it_starts_at_zero_and_takes_no_blocks_at_all():
    network = BlockMaskedMLP([2, 3], [1, 2], (6, 6), n_context=2, generator=generator())
    assert (network(torch.randn(4, 5), torch.randn(4, 2)) == 0).all()
    empty = BlockMaskedMLP([], [], (6,), generator=generator())
    assert empty(torch.zeros(4, 0)).shape == (4, 0)


@pytest.mark.parametrize("sizes", [(), (4, 5), (0,)])
def test_hidden_layers_are_of_one_width(sizes):
    with pytest.raises(ValueError, match="one width"):
        BlockMaskedMLP([1], [1], sizes)


def test_the_seed_decides_the_weights():
    one, two, other = (
        BlockMaskedMLP([1, 2], [1, 1], (8,), n_context=1, generator=generator(s)) for s in (0, 0, 1)
    )
    assert torch.equal(one.first.weight, two.first.weight)
    assert not torch.equal(one.first.weight, other.first.weight)
