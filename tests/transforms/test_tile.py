"""Tiles: the volume of the copies, and the mean over them."""

import math

import pytest
import torch
import torch.nn.functional as F

from skflow.distributions import StandardNormal
from skflow.transforms.noise import fresh_noise, no_noise, shared_noise
from skflow.transforms.tile import Tile
from skflow.transforms.windows import window_pixels
from tests.contract.table import generator, randomise

# Kernel size, stride, image size covered by such windows.
WINDOWS = [(3, 2, 7), (2, 1, 6), (3, 1, 6), (3, 3, 6)]


def rows(n, d, seed=0):
    return torch.randn(n, d, generator=generator(seed), dtype=torch.float64)


def make_tile(kernel_size, stride, size, n_channels=1):
    pixels = window_pixels((n_channels, size, size), (kernel_size,) * 2, (stride,) * 2)
    return randomise(Tile(n_channels * size**2, pixels.flatten()).double())


@pytest.mark.parametrize(("kernel_size", "stride", "size"), WINDOWS)
def test_the_volume_is_that_of_column_and_noise_to_tiles(kernel_size, stride, size):
    tile = make_tile(kernel_size, stride, size)
    blocks = []
    for p in range(size**2):
        copies = (tile.source == p).nonzero()[:, 0]
        n = len(copies)
        # The first column along 1, the others orthonormal and orthogonal to it.
        spanning = torch.cat([torch.ones(n, 1, dtype=torch.float64), rows(n, n - 1)], 1)
        block = torch.zeros(len(tile.source), n, dtype=torch.float64)
        block[copies] = math.sqrt(n) * torch.linalg.qr(spanning).Q
        block[copies, 0] = 1
        blocks.append(block)
    joint = torch.cat(blocks, 1)
    assert abs(torch.linalg.slogdet(joint)[1] - tile.log_det) < 1e-10


@pytest.mark.parametrize(("kernel_size", "stride", "size"), WINDOWS)
def test_folding_the_tiles_gives_the_image(kernel_size, stride, size):
    tile = make_tile(kernel_size, stride, size, n_channels=2)
    x = rows(5, 2 * size**2)
    z, contribution = tile(x, noise=fresh_noise(generator(1)))
    assert contribution.shape == (5,)
    assert tile.exact == (kernel_size == stride)
    torch.testing.assert_close(tile.inverse(z), x, atol=1e-12, rtol=0)
    windows = z.view(5, 2 * kernel_size**2, -1)
    folded = F.fold(windows, (size, size), kernel_size, stride=stride).flatten(1)
    torch.testing.assert_close(folded / tile.count, x, atol=1e-12, rtol=0)
    unfolded = F.unfold(x.view(5, 2, size, size), kernel_size, stride=stride)
    torch.testing.assert_close(tile(x, noise=no_noise)[0], unfolded.flatten(1))


@pytest.mark.parametrize("n_copies", [1, 2, 3, 5])
def test_the_bound_is_tight_where_the_noise_is_that_of_the_model(n_copies):
    """Means of n standard normals have variance 1/n, and their residuals are independent."""
    tile = Tile(3, torch.arange(3).repeat(n_copies)).double()
    with torch.no_grad():
        tile.log_scale.fill_(-0.5 * math.log(n_copies))
    x = rows(7, 3)
    z, contribution = tile(x, noise=fresh_noise(generator(2)))
    bound = StandardNormal(len(tile.source)).log_prob(z) + contribution
    expected = torch.distributions.Normal(0, x.new_tensor(n_copies**-0.5)).log_prob(x).sum(1)
    torch.testing.assert_close(bound, expected, atol=1e-12, rtol=0)


def test_rows_share_noise_and_positions_do_not():
    tile = make_tile(2, 1, 4)
    x = rows(3, 16)
    z, contribution = tile(x, noise=shared_noise(generator(3)))
    residual = z - x[:, tile.source]
    torch.testing.assert_close(residual, residual[:1].expand_as(residual))
    assert len(residual[0].unique()) > 25
    torch.testing.assert_close(contribution, contribution[:1].expand(3))


def test_columns_without_a_copy_are_refused():
    with pytest.raises(ValueError, match="column 1 has none"):
        Tile(3, [0, 0, 2])
    with pytest.raises(ValueError, match="from 0 to 2"):
        Tile(3, [0, 1, 2, 3])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_rows_stay_finite(dtype):
    tile = make_tile(2, 1, 3).to(dtype)
    x = 1e6 * rows(4, 9).to(dtype).requires_grad_()
    z, contribution = tile(x, noise=fresh_noise(generator()))
    gradients = torch.autograd.grad((z / 1e6).sum() + contribution.sum(), [x, tile.log_scale])
    assert all(t.isfinite().all() for t in (z, contribution, *gradients))
