"""Parameters as views of one."""

import torch
from torch import nn

from skflow.training.flat import FlatWeights


def flat_layer():
    layer = nn.Linear(3, 2)
    return layer, FlatWeights({"matrices": [layer.weight], "none": [], "rest": [layer.bias]})


def test_layers_and_the_flat_weights_are_the_same_numbers():
    layer, weights = flat_layer()
    assert list(weights.of_kind) == ["matrices", "rest"]
    before = layer.weight.detach().clone()
    with torch.no_grad():
        weights.of_kind["matrices"].add_(1.0)
    torch.testing.assert_close(layer.weight, before + 1)
    layer.load_state_dict({"weight": torch.ones(2, 3), "bias": torch.zeros(2)})
    assert [flat.tolist() for flat in weights.of_kind.values()] == [[1.0] * 6, [0.0] * 2]


def test_gradients_of_layers_are_those_of_the_flat_weights():
    (layer, weights), x = flat_layer(), torch.randn(5, 3)
    for _ in range(2):  # added to, unless set to zero
        layer(x).sum().backward()
    whole = torch.cat([2 * x.sum(0), 2 * x.sum(0), torch.full((2,), 10.0)])
    torch.testing.assert_close(weights.gradient, whole)
    torch.testing.assert_close(weights.of_kind["rest"].grad, whole[6:])
    weights.zero_gradient()
    assert not layer.weight.grad.any()


def test_the_gradient_of_all_weights_has_a_length_and_is_scaled():
    (layer, weights), x = flat_layer(), torch.randn(5, 3)
    layer(x).sum().backward()
    before = [p.grad.clone() for p in layer.parameters()]
    length = nn.utils.get_total_norm(before)
    torch.testing.assert_close(weights.gradient_norm(), length)
    weights.scale_gradient(torch.tensor(0.25))
    for p, gradient in zip(layer.parameters(), before, strict=True):
        torch.testing.assert_close(p.grad, 0.25 * gradient)


def test_an_average_moves_by_its_share():
    (layer, weights), (_, other) = flat_layer(), flat_layer()
    before, goal = layer.weight.detach().clone(), other.of_kind["matrices"].detach().view(2, 3)
    weights.move_towards(other, 0.25)
    torch.testing.assert_close(layer.weight.detach(), 0.75 * before + 0.25 * goal)
    weights.copy_from(other)
    assert torch.equal(layer.weight, goal)
