"""Elementwise maps that the positions of a channel share."""

import pytest
import torch
import torch.nn.functional as F

from skflow.kernels.families import Affine, RationalQuadratic
from skflow.transforms.batch_norm import BatchNorm
from skflow.transforms.elementwise import ActNorm, Elementwise, PReLU
from tests.contract.table import generator, randomise


def rows(n, d, seed=0):
    return torch.randn(n, d, generator=generator(seed), dtype=torch.float64)


def make_batch_norm(n_features, n_positions):
    n = n_features // n_positions
    mean, weight, bias = (rows(1, n, seed)[0] for seed in range(3))
    return BatchNorm(n_features, n_positions, mean, weight**2 + 0.1, 1e-5, weight, bias)


SHARED = {
    "affine": lambda d, p: Elementwise(d, Affine(), p),
    "spline": lambda d, p: Elementwise(d, RationalQuadratic(5, 3.0), p),
    "prelu": lambda d, p: PReLU(d, p, slope=0.4),
    "actnorm": lambda d, p: ActNorm(d, p),
    "batch_norm": make_batch_norm,
}


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("n_positions", [1, 3, 6])
def test_positions_of_a_channel_share_a_map(name, n_positions):
    layer = randomise(SHARED[name](6, n_positions).double())
    x = rows(7, 6)
    z, contributions = layer.forward_per_dimension(x)
    slope = torch.autograd.functional.jacobian(lambda r: layer(r)[0].sum(0), x)
    slope = slope.diagonal(dim1=0, dim2=2).abs()  # (n, d)
    torch.testing.assert_close(contributions, slope.log(), atol=1e-10, rtol=0)
    torch.testing.assert_close(layer.inverse(z), x, atol=1e-9, rtol=0)
    # Exchanging two positions of a channel exchanges their images.
    order = torch.arange(6).view(-1, n_positions).flip(1).flatten()
    torch.testing.assert_close(layer(x[:, order])[0], z[:, order])
    # Channels differ.
    if n_positions < 6:
        same = layer(rows(7, 1).expand(7, 6))[0]
        assert not torch.allclose(same[:, 0], same[:, -1])


@pytest.mark.parametrize("name", SHARED)
def test_an_empty_batch_and_one_row(name):
    layer = randomise(SHARED[name](6, 3).double())
    assert layer(rows(0, 6))[0].shape == (0, 6)
    x = rows(5, 6)
    torch.testing.assert_close(layer(x[1:2])[0], layer(x)[0][1:2])


def test_batch_norm_is_torchs():
    layer = make_batch_norm(6, 2)
    x = rows(5, 6)
    expected = F.batch_norm(
        x.view(5, 3, 2), layer.mean, layer.scale**2 - 1e-5, layer.weight, layer.bias, eps=1e-5
    )
    torch.testing.assert_close(layer(x)[0], expected.flatten(1))
    with pytest.raises(ValueError, match="weight of zero"):
        BatchNorm(1, 1, *torch.ones(2, 1), 1e-5, *torch.zeros(2, 1))
    with pytest.raises(ValueError, match=r"3 channels, got shape \(2,\)"):
        BatchNorm(6, 2, *torch.ones(2, 2), 1e-5, *torch.ones(2, 2))


def test_prelu_is_torchs():
    slope = torch.tensor([0.1, 2.0, 1.0], dtype=torch.float64)
    layer = PReLU(6, 2, slope)
    x = rows(5, 6)
    torch.testing.assert_close(layer(x)[0], F.prelu(x.view(5, 3, 2), slope).flatten(1))
    with pytest.raises(ValueError, match="the smallest is -1"):
        PReLU(2, slope=torch.tensor([1.0, -1.0]))


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_rows_stay_finite(name, dtype):
    layer = randomise(SHARED[name](3, 3).to(dtype))
    x = torch.tensor([[1e6, -1e6, 0.0]], dtype=dtype, requires_grad=True)
    z, contribution = layer(x)
    gradients = torch.autograd.grad((z / 1e6).sum() + contribution.sum(), [x, *layer.parameters()])
    assert all(t.isfinite().all() for t in (z, contribution, *gradients))
