"""Contributions by dimension and by column: they add up, and they are whose they are said to be."""

import pytest
import torch

from skflow.distributions import (
    GaussianMixture,
    LocationScale,
    StandardNormal,
    StudentT,
)
from skflow.transforms import (
    VAE,
    Affine,
    Compose,
    Coupling,
    DenseLinear,
    Funnel,
    Ledger,
    LULinear,
    OnFirst,
    Permutation,
    Standardize,
    Whiten,
    make_rotation,
    random_rotation,
)
from skflow.transforms.noise import shared_noise
from tests.contract.table import generator
from tests.contract.transforms import (
    BIJECTION,
    TRANSFORMS,
    example_rows,
    make_transform,
    size_of,
)

D = 6


def rows(n=5, d=D, seed=0):
    return torch.randn(n, d, generator=generator(seed), dtype=torch.float64)


def coupling(d=D, seed=0):
    layer = Coupling(d, Affine(), hidden_layer_sizes=(8,), generator=generator(seed)).double()
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=generator(seed + 1), dtype=p.dtype))
    return layer


def booked(transform, x):
    ledger = Ledger(x)
    z = transform.forward_booked(x, None, shared_noise(generator()), ledger)
    return z, ledger


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_both_views_add_up_to_the_contribution_of_every_layer(name):
    d = size_of(name, 4)
    transform = make_transform(name, d)
    x = example_rows(name, 7, d)
    with torch.no_grad():
        z, contribution = transform(x, None, shared_noise(generator()))
        again, ledger = booked(transform, x)
    torch.testing.assert_close(again, z, rtol=0, atol=1e-12)
    torch.testing.assert_close(ledger.by_column.sum(1), contribution, rtol=1e-12, atol=1e-10)
    assert ledger.by_dimension.shape == z.shape
    if TRANSFORMS[name].kind == BIJECTION:  # else accounts were closed, or new ones opened
        torch.testing.assert_close(ledger.by_dimension.sum(1), contribution, rtol=0, atol=1e-10)


def test_accounts_follow_permutations():
    mix = Permutation(D, generator=generator(3))
    first, second = coupling(seed=1), coupling(seed=2)
    x = rows()
    y, of_first = first.forward_per_dimension(x)
    _, of_second = second.forward_per_dimension(y[:, mix.order])
    by_column = of_first + of_second[:, mix.order.argsort()]
    _, ledger = booked(Compose([first, mix, second]), x)
    torch.testing.assert_close(ledger.by_column, by_column)
    torch.testing.assert_close(ledger.by_dimension, by_column[:, mix.order])


def test_whitening_books_the_variance_of_every_axis():
    x = rows(200) @ random_rotation(D, generator()) * torch.arange(1, D + 1)
    layer = Whiten(D, 1e-6).double()
    layer.initialize(x)
    _, ledger = booked(layer, x)
    torch.testing.assert_close(ledger.by_dimension[0], -layer.scale.log())
    # The columns' shares are minus half the diagonal of the covariance's logarithm.
    covariance = layer.axes * layer.scale.square() @ layer.axes.T
    values, vectors = torch.linalg.eigh(covariance)
    torch.testing.assert_close(ledger.by_column[0], -0.5 * vectors.square() @ values.log())


@pytest.mark.parametrize("make", [DenseLinear, LULinear])
def test_a_dense_map_is_a_rotation_and_a_stretching(make):
    scales = torch.tensor([0.5, 1.0, 2.0, 4.0], dtype=torch.float64)
    rotation = random_rotation(4, generator(1))
    x = rows(3, 4)
    stretched_last = make(4, 1, scales[:, None] * rotation).double().eval()
    turned = torch.einsum("ij,j->ij", random_rotation(4, generator(2)), torch.ones(4)).double()
    _, ledger = booked(stretched_last, x)
    torch.testing.assert_close(ledger.by_dimension[0], scales.log(), atol=1e-6, rtol=0)
    _, ledger = booked(make(4, 1, turned).double().eval(), x)
    torch.testing.assert_close(ledger.by_column, torch.zeros_like(x), atol=1e-6, rtol=0)


def test_a_one_by_one_convolution_keeps_positions_apart():
    layer = LULinear(6, 3, random_rotation(2, generator(1))).double()
    x = rows()
    ledger = Ledger(x)
    ledger.stretch(
        torch.tensor([1.0, 0, 0, 5.0, 0, 0], dtype=x.dtype)
    )  # both channels of position 0
    layer.forward_booked(x, None, None, ledger)
    kept = ledger.by_dimension[0].view(2, 3).sum(0)
    torch.testing.assert_close(kept, torch.tensor([6.0, 0, 0], dtype=x.dtype))


def test_layers_on_a_part_leave_the_other_accounts_alone():
    first = Standardize(D).double()
    first.initialize(3 * rows(50))
    flow = Compose([first, OnFirst(4, coupling(4))])
    x = rows()
    _, ledger = booked(flow, x)
    expected = -first.scale.log()[4:].expand(len(x), -1)
    torch.testing.assert_close(ledger.by_column[:, 4:], expected)
    torch.testing.assert_close(ledger.by_column.sum(1), flow(x)[1])


def test_a_funnel_closes_the_accounts_it_drops():
    decoder = LocationScale(StandardNormal(4), 2).double()
    inner = Coupling(2, Affine(), n_kept=0, n_context=4, hidden_layer_sizes=(8,)).double()
    flow = Compose([coupling(), Funnel(D, 2, decoder, inner), coupling(2)])
    x = rows()
    z, ledger = booked(flow, x)
    assert ledger.by_dimension.shape == z.shape
    torch.testing.assert_close(ledger.by_column.sum(1), flow(x)[1], rtol=0, atol=1e-10)


def test_a_map_to_new_dimensions_shares_alike_and_takes_its_noise():
    layer = VAE(D, 2, LocationScale(StandardNormal(D), 2), (8,)).double()
    x = rows()
    ledger = Ledger(x)
    z = layer.forward_booked(x, None, shared_noise(generator()), ledger)
    again, contribution = layer(x, None, shared_noise(generator()))
    torch.testing.assert_close(z, again)
    torch.testing.assert_close(ledger.by_column.sum(1), contribution)
    assert ledger.by_dimension.shape == (5, 2)


def test_rotations_conserve_what_they_carry():
    x = rows()
    ledger = Ledger(x)
    ledger.book(x)
    make_rotation(D, fixed=random_rotation(D, generator(4))).double().forward_booked(
        x, None, None, ledger
    )
    torch.testing.assert_close(ledger.by_dimension.sum(1), x.sum(1))
    torch.testing.assert_close(ledger.by_column, x)


def test_one_account_for_all_rows_is_their_mean():
    decoder = LocationScale(StandardNormal(2), 4).double()
    steps = [coupling(), LULinear(D, 1, random_rotation(D, generator(1))).double()]
    flow = Compose([*steps, OnFirst(4, coupling(4)), Funnel(D, 4, decoder), coupling(4)])
    x, weight = rows(), torch.full((5,), 0.2, dtype=torch.float64)
    _, every = booked(flow, x)
    mean = Ledger(x, weight)
    flow.forward_booked(x, None, None, mean)
    torch.testing.assert_close(mean.by_column[0], every.by_column.mean(0))
    torch.testing.assert_close(mean.by_dimension[0], every.by_dimension.mean(0))


def random_mixture():
    mixture = GaussianMixture(3, D).double()
    with torch.no_grad():
        for p in mixture.parameters():
            p.copy_(0.5 * torch.randn(p.shape, generator=generator(8), dtype=p.dtype))
    return mixture


@pytest.mark.parametrize(
    "base", [StandardNormal(D), StudentT(D).double(), random_mixture()], ids=lambda b: type(b)
)
def test_bases_keep_to_the_chain_rule(base):
    x = rows()
    terms = base.log_prob_per_dimension(x)
    torch.testing.assert_close(terms.sum(1), base.log_prob(x))
    # The terms of the first columns are the density of those columns alone.
    other = torch.cat([x[:, :3], 7 + x[:, 3:]], 1)
    torch.testing.assert_close(base.log_prob_per_dimension(other)[:, :3], terms[:, :3])
