"""Wrappers: the total, the parts and the accounts are those of the layers inside."""

import pytest
import torch
from torch import nn

from skflow import flowify
from skflow.distributions import LocationScale, StandardNormal
from skflow.transforms import (
    Abs,
    Affine,
    Augment,
    Compose,
    Coupling,
    Funnel,
    Ledger,
    LULinear,
    MaxPool,
    OnFirst,
    Permutation,
)
from skflow.transforms.noise import shared_noise
from tests.contract.table import generator, randomise

D, N = 6, 7
SMALL = {"hidden_layer_sizes": (8, 8)}


def funnel(d, k):
    inner = Coupling(k, Affine(), n_kept=0, n_context=d - k, **SMALL)
    return Funnel(d, k, LocationScale(StandardNormal(d - k), k, (8,)), inner)


WRAPPERS = {
    "compose": lambda: Compose([Coupling(D, Affine(), **SMALL), Abs(D), funnel(D, 4)]),
    "on_first": lambda: OnFirst(4, Compose([Abs(4), Coupling(4, Affine(), **SMALL)])),
    "funnel": lambda: Funnel(
        D,
        4,
        LocationScale(StandardNormal(2), 4, (8,)),
        Compose([Coupling(4, Affine(), n_kept=0, n_context=2, **SMALL), Abs(4)]),
    ),
    "nested": lambda: Compose(
        [OnFirst(4, Compose([MaxPool(2, 2)])), Compose([Augment(4, 1), Compose([funnel(5, 2)])])]
    ),
    "flowified": lambda: flowify(
        nn.Sequential(nn.Linear(D, 4), nn.PReLU(), nn.Linear(4, 3)),
        example_input=torch.zeros(1, D),
        random_state=0,
    ),
}


def make(name):
    layer = randomise(WRAPPERS[name]().double(), scale=0.3).eval()
    return layer, torch.randn(N, D, generator=generator(1), dtype=torch.float64)


@pytest.mark.parametrize("name", WRAPPERS)
def test_total_parts_and_accounts_agree(name):
    layer, x = make(name)
    z, contribution = layer(x, None, shared_noise(generator()))
    again, volume, dropped = layer.forward_in_parts(x, None, shared_noise(generator()))
    torch.testing.assert_close(again, z)
    torch.testing.assert_close(volume + dropped, contribution)
    assert (dropped != 0).all()
    ledger = Ledger(x)
    z_booked = layer.forward_booked(x, None, shared_noise(generator()), ledger)
    torch.testing.assert_close(z_booked, z)
    torch.testing.assert_close(ledger.by_column.sum(1), contribution)
    assert ledger.by_column.std(1).min() > 1e-3, "spread evenly: not those of the layers"


def test_parts_of_wrapped_layers_are_those_of_the_layers():
    first, last = Abs(D), funnel(D, 4)
    layer = randomise(Compose([first, LULinear(D), last]).double()).eval()
    x = torch.randn(N, D, generator=generator(1), dtype=torch.float64)
    y, volume, dropped = first.forward_in_parts(x)
    y, log_det = layer.steps[1](y)
    _, more_volume, more_dropped = last.forward_in_parts(y)
    _, *parts = layer.forward_in_parts(x)
    torch.testing.assert_close(parts, [volume + log_det + more_volume, dropped + more_dropped])


@pytest.mark.parametrize("shape", [(D,), (1, 4, 4)])
def test_flowified_modules_book_like_the_layers_they_wrap(shape):
    net = [nn.Linear(D, 4), nn.LeakyReLU(0.2), nn.Linear(4, 3)]
    if len(shape) == 3:
        net = [nn.Conv2d(1, 3, 2, 2), nn.LeakyReLU(0.2), nn.AvgPool2d(2)]
    layer = flowify(nn.Sequential(*net), example_input=torch.zeros(1, *shape), random_state=0)
    layer = randomise(layer.double(), scale=0.2).eval()
    x = torch.randn(N, *shape, generator=generator(1), dtype=torch.float64)
    ledger, inner = Ledger(x), Ledger(x.flatten(1))
    z = layer.forward_booked(x, None, None, ledger)
    flat = layer.transform.forward_booked(x.flatten(1), None, None, inner)
    assert torch.equal(z.flatten(1), flat)
    assert torch.equal(ledger.by_column, inner.by_column)
    assert torch.equal(ledger.by_dimension, inner.by_dimension)
    assert ledger.by_column.std(1).min() > 1e-3


def test_an_empty_wrapper_contributes_nothing():
    x = torch.ones(N, D)
    z, contribution = Compose([])(x)
    assert torch.equal(z, x)
    assert torch.equal(contribution, torch.zeros(N))
    assert [p.tolist() for p in Compose([]).forward_in_parts(x)[1:]] == [[0.0] * N] * 2
    assert Permutation(D, reverse=True)(x)[1].tolist() == [0.0] * N
