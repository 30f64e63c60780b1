"""The transformer over sets: equivariance, causality, seeds."""

import pytest
import torch

from skflow.networks.set_transformer import SetTransformer
from tests.contract.table import generator, randomise


def make(seed=0, **options):
    made = SetTransformer(
        3, 5, d_model=8, n_heads=2, n_layers=2, n_hidden=12, generator=generator(seed), **options
    )
    return made.double()


def sets(n=4, k=7, seed=0):
    return torch.randn(n, k, 3, generator=generator(seed), dtype=torch.float64)


def test_zero_at_first_for_sets_of_any_size():
    for k in (1, 2, 7):
        out = make()(sets(k=k))
        assert out.shape == (4, k, 5)
        assert not out.any()


def test_reordered_points_have_reordered_outputs():
    network, x = randomise(make()), sets()
    order = torch.randperm(7, generator=generator(1))
    torch.testing.assert_close(network(x[:, order]), network(x)[:, order], atol=1e-12, rtol=0)
    assert network(x).std() > 0.1


def test_points_see_each_other_but_not_other_sets():
    network, x = randomise(make()), sets()
    changed = x.clone()
    changed[0, 3] += 1
    difference = (network(changed) - network(x)).abs().amax(2)
    assert (difference[0] > 1e-6).all()
    assert not difference[1:].any()


def test_positions_tell_points_apart():
    network = randomise(make(n_positions=7))
    out = network(torch.zeros(1, 7, 3, dtype=torch.float64))
    assert (out[0, 0] - out[0, 1]).abs().max() > 1e-6
    assert network(sets(k=5)).shape == (4, 5, 5)


def test_a_causal_network_sees_only_what_came_before():
    network, x = randomise(make(n_positions=7, causal=True)), sets()
    changed = x.clone()
    changed[:, 4] += 1
    difference = (network(changed) - network(x)).abs().amax(2)
    assert difference[:, :4].max() < 1e-12
    assert (difference[:, 4:] > 1e-6).all()


def test_a_causal_network_goes_on_from_where_it_was():
    network, x = randomise(make(n_positions=7, causal=True)), sets()
    pasts = network.no_past()
    outs = [network.following(x[:, i : i + 1], i, pasts) for i in range(7)]
    torch.testing.assert_close(torch.cat(outs, 1), network(x), atol=1e-12, rtol=0)


def test_weights_come_from_the_generator_alone():
    state = torch.random.get_rng_state()
    first, second, other = make(n_positions=7), make(n_positions=7), make(1, n_positions=7)
    assert torch.equal(torch.random.get_rng_state(), state)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first.embed.weight, other.embed.weight)


def test_heads_divide_the_width():
    with pytest.raises(ValueError, match="must divide"):
        SetTransformer(2, 2, d_model=10, n_heads=4)


def test_on_another_device_and_in_another_dtype():
    network = make()
    assert network.float()(sets().float()).dtype == torch.float32
    assert network.to("meta")(sets().float().to("meta")).device.type == "meta"
