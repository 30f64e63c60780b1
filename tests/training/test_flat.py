"""Parameters as views of one."""

import torch
from torch import nn

from skflow.training.flat import flattened, zero_gradients


def test_layers_and_the_flat_weights_are_the_same_numbers():
    layer = nn.Linear(3, 2)
    before = [p.detach().clone() for p in layer.parameters()]
    flat = flattened(list(layer.parameters()))
    assert all(torch.equal(p, b) for p, b in zip(layer.parameters(), before, strict=True))
    with torch.no_grad():
        flat.add_(1.0)
    assert all(torch.equal(p, b + 1) for p, b in zip(layer.parameters(), before, strict=True))
    layer.load_state_dict({"weight": torch.ones(2, 3), "bias": torch.zeros(2)})
    assert flat.tolist() == [1.0] * 6 + [0.0] * 2


def test_gradients_of_layers_are_those_of_the_flat_weights():
    layer, x = nn.Linear(3, 2), torch.randn(5, 3)
    flat = flattened(list(layer.parameters()))
    for _ in range(2):  # added to, unless set to zero
        layer(x).sum().backward()
    torch.testing.assert_close(
        flat.grad, torch.cat([2 * x.sum(0), 2 * x.sum(0), torch.full((2,), 10.0)])
    )
    zero_gradients([flat])
    assert not flat.grad.any()
    layer(x).sum().backward()
    torch.testing.assert_close(flat.grad[:3], x.sum(0))
