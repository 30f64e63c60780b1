"""Couplings of sets: volumes, inverses, and points that may come in any order."""

import pytest
import torch

from skflow.networks.set_transformer import SetTransformer
from skflow.transforms import Affine, CoordinateCoupling, PointCoupling
from tests.contract.table import SPLINE, generator, randomise

FAMILIES = [Affine(), SPLINE]
KINDS = ["first", "second", "points", "points reversed"]


def network(n_inputs, n_outputs):
    return SetTransformer(
        n_inputs, n_outputs, d_model=8, n_heads=2, n_layers=1, n_hidden=8, generator=generator()
    )


def make(kind, family=FAMILIES[0], n_points=3, dim=2, *, zero=False):
    if kind.startswith("points"):
        net = network(dim, family.n_parameters * dim)
        layer = PointCoupling(n_points, dim, family, net, reverse=kind != "points")
    else:
        net = network(dim - 1, family.n_parameters)
        layer = CoordinateCoupling(n_points, dim, family, net, moving=int(kind == "second"))
    layer = layer.double()
    return layer if zero else randomise(layer, scale=0.3)


def rows(n=8, n_points=3, dim=2, seed=1):
    return torch.randn(n, n_points * dim, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_contribution_is_the_log_determinant(kind, family):
    layer, x = make(kind, family), rows()
    z, contribution = layer(x)
    torch.testing.assert_close(layer.inverse(z), x, atol=1e-9, rtol=0)
    for i in range(len(x)):
        jacobian = torch.autograd.functional.jacobian(lambda v: layer(v[None])[0][0], x[i])
        assert abs(contribution[i] - torch.linalg.slogdet(jacobian)[1]) < 1e-8
    assert contribution.abs().max() > 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_the_identity_at_first(kind):
    layer, x = make(kind, zero=True), rows()
    z, contribution = layer(x)
    torch.testing.assert_close(z, x)
    assert not contribution.any()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_kept_stays(kind):
    x = rows(n_points=5)
    z, _ = make(kind, n_points=5)(x)
    unchanged = (z == x).all(0).view(5, 2)
    expected = torch.zeros(5, 2, dtype=torch.bool)
    expected[{"first": (slice(None), 1), "second": (slice(None), 0), "points": slice(0, 3)}.get(
        kind, slice(2, 5)
    )] = True  # fmt: skip
    assert torch.equal(unchanged, expected)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["first", "second"])
def test_coordinate_couplings_are_equivariant(kind, family):
    layer, x = make(kind, family, n_points=6), rows(n_points=6)
    order = torch.randperm(6, generator=generator(3))
    z, contribution = layer(x)
    turned, same = layer(x.unflatten(1, (6, 2))[:, order].flatten(1))
    torch.testing.assert_close(turned, z.unflatten(1, (6, 2))[:, order].flatten(1))
    torch.testing.assert_close(same, contribution)


def test_point_couplings_are_equivariant_in_both_halves_alike():
    layer, x = make("points", n_points=6), rows(n_points=6)
    order = torch.tensor([2, 0, 1, 5, 3, 4])
    z, contribution = layer(x)
    turned, same = layer(x.unflatten(1, (6, 2))[:, order].flatten(1))
    torch.testing.assert_close(turned, z.unflatten(1, (6, 2))[:, order].flatten(1))
    torch.testing.assert_close(same, contribution)


def test_any_of_three_coordinates_moves():
    for moving in range(3):
        net = network(2, 2)
        layer = randomise(CoordinateCoupling(4, 3, Affine(), net, moving).double(), scale=0.3)
        x = rows(n_points=4, dim=3)
        z, _ = layer(x)
        assert (z == x).all(0).view(4, 3).all(0).tolist() == [j != moving for j in range(3)]
        torch.testing.assert_close(layer.inverse(z), x)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_points_stay_finite(kind, family, dtype):
    layer = make(kind, family, n_points=2).to(dtype)
    values = torch.tensor([1e6, -1e6, -30.0, 0.0], dtype=dtype)
    x = torch.cartesian_prod(*[values] * 4).requires_grad_()
    z, contribution = layer(x)
    assert z.dtype == contribution.dtype == layer.inverse(z).dtype == dtype
    assert z.isfinite().all()
    assert contribution.isfinite().all()
    leaves = [x, *layer.parameters()]
    gradients = torch.autograd.grad((z / 1e6).sum() + contribution.sum(), leaves, allow_unused=True)
    assert all(g is None or g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_one_and_another_device(kind):
    layer, x = make(kind), rows()
    z, contribution = layer(x)
    z1, contribution1 = layer(x[2:3])
    torch.testing.assert_close(z1, z[2:3])
    torch.testing.assert_close(contribution1, contribution[2:3])
    on_meta = layer.to("meta")
    z, contribution = on_meta(x.to("meta"))
    assert z.device.type == contribution.device.type == on_meta.inverse(z).device.type == "meta"


def test_there_must_be_something_to_keep():
    with pytest.raises(ValueError, match="two are needed"):
        PointCoupling(1, 2, Affine(), network(2, 4))
    with pytest.raises(ValueError, match="two or more coordinates"):
        CoordinateCoupling(3, 1, Affine(), network(1, 2))
    with pytest.raises(ValueError, match="got 2 of 2"):
        CoordinateCoupling(3, 2, Affine(), network(1, 2), 2)
