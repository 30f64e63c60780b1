"""The laws of funnels and slices, for every kind of funnel with every decoder."""

import pytest
import torch
from sklearn.mixture import GaussianMixture as SklearnMixture

from skflow.distributions import GaussianMixture, StandardNormal
from skflow.flow import Flow
from skflow.transforms import Compose, Funnel, Permutation
from skflow.transforms.noise import fresh_draw, mean_draw
from tests.contract.integration import (
    cell_probabilities,
    central_edges,
    chi_square_per_cell,
    grid,
    histogram,
)
from tests.contract.table import DECODERS, FUNNELS, generator, make_funnel
from tests.contract.transform_domains import LINE

PAIRS = [(funnel, decoder) for funnel in FUNNELS for decoder in DECODERS]
every_pair = pytest.mark.parametrize(("funnel", "decoder"), PAIRS)


def rows(n, d, seed=0):
    return LINE.example(n, d, seed)


@every_pair
def test_density_integrates_to_one_and_samples_follow_it(funnel, decoder):
    # Steeper maps than these have features between the points of the grid.
    layer = make_funnel(funnel, decoder, 2, 1, scale=0.2)
    flow = Flow([], [layer], StandardNormal(1).double())
    assert flow.exact
    reach = 60.0 if decoder == "student_t" else 15.0
    points, volume = grid([-reach] * 2, [reach] * 2, 1_500)
    with torch.no_grad():
        total = sum(flow.log_prob(part).exp().sum() for part in points.split(250_000)) * volume
        samples = flow.sample(20_000, generator=generator(1))
    assert abs(total - 1) < 2e-3
    edges = central_edges(samples)
    probabilities = cell_probabilities(flow.log_prob, edges, 60)
    assert chi_square_per_cell(histogram(samples, edges), probabilities, 20_000) < 2.5


@every_pair
def test_contribution_is_the_joint_log_determinant_and_the_decoder(funnel, decoder):
    layer = make_funnel(funnel, decoder, 5, 2)
    x = rows(4, 5)
    z, contribution = layer(x)
    assert z.shape == (4, 2)

    def joint(row):
        return torch.cat([layer(row[None])[0][0], row[2:]])

    jacobian = torch.stack([torch.autograd.functional.jacobian(joint, row) for row in x])
    expected = torch.linalg.slogdet(jacobian)[1] + layer.decoder.log_prob(x[:, 2:], z)
    torch.testing.assert_close(contribution, expected, atol=1e-8, rtol=0)
    parts = layer.forward_in_parts(x)
    torch.testing.assert_close(parts[1] + parts[2], contribution, atol=1e-12, rtol=0)


@every_pair
@pytest.mark.parametrize("draw", [fresh_draw(generator(2)), mean_draw])
def test_a_right_inverse_whatever_was_dropped(funnel, decoder, draw):
    layer = make_funnel(funnel, decoder, 6, 3)
    z = rows(50, 3)
    torch.testing.assert_close(layer(layer.inverse(z, draw=draw))[0], z, atol=1e-8, rtol=1e-8)


@every_pair
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_rows_stay_finite(funnel, decoder, dtype):
    layer = make_funnel(funnel, decoder, 3, 1).to(dtype)
    extremes = torch.tensor([1e6, -1e6, 1e3, -30.0, 0.0], dtype=dtype)
    x = torch.cartesian_prod(extremes, extremes, extremes).requires_grad_()
    z, contribution = layer(x)
    assert z.isfinite().all()
    assert contribution.isfinite().all()
    total = (z / 1e6).sum() + (contribution / 1e12).sum()
    gradients = torch.autograd.grad(total, [x, *layer.parameters()], allow_unused=True)
    assert all(g is None or g.isfinite().all() for g in gradients)


@every_pair
def test_one_row_is_as_many(funnel, decoder):
    layer = make_funnel(funnel, decoder, 4, 3)  # one dropped column
    x = rows(7, 4)
    z, contribution = layer(x)
    alone = [layer(row[None]) for row in x]
    torch.testing.assert_close(torch.cat([a[0] for a in alone]), z, atol=1e-12, rtol=0)
    torch.testing.assert_close(
        torch.cat([a[1] for a in alone]), contribution, rtol=1e-12, atol=1e-12
    )
    assert z.dtype == contribution.dtype == layer.inverse(z).dtype == torch.float64


@every_pair
def test_a_context_reaches_both_parts(funnel, decoder):
    layer = make_funnel(funnel, decoder, 4, 2, n_context=2)
    x, context = rows(5, 4), rows(5, 2, seed=3)
    z, _, log_dropped = layer.forward_in_parts(x, context)
    other = layer.forward_in_parts(x, context + 1)
    assert not torch.allclose(other[2], log_dropped)
    assert funnel == "slice" or not torch.allclose(other[0], z)
    drawn = layer.inverse(z, context, fresh_draw(generator()))
    torch.testing.assert_close(layer(drawn, context)[0], z, atol=1e-8, rtol=1e-8)


@pytest.mark.parametrize("device", ["meta", *(["cuda"] if torch.cuda.is_available() else [])])
@every_pair
def test_funnels_stay_on_their_device(funnel, decoder, device):
    layer = make_funnel(funnel, decoder, 4, 2).to(device)
    flow = Flow([], [layer], StandardNormal(2).double().to(device))
    x = torch.ones(5, 4, dtype=torch.float64, device=device)
    for made in (flow.log_prob(x), flow.sample(5), flow.encode(x), flow.decode(flow.encode(x))):
        assert made.device.type == device


@pytest.mark.parametrize("decoder", [name for name in DECODERS if name != "student_t"])
def test_decoders_start_near_the_standard_normal(decoder):
    made = DECODERS[decoder](3, 2).double()
    x, z = rows(500, 3), rows(500, 2, seed=1)
    difference = made.log_prob(x, z) - StandardNormal(3).double().log_prob(x)
    assert difference.abs().mean() < 0.2
    assert abs(difference.mean()) < 0.05


def test_a_linear_decoder_starts_as_the_regression_of_the_data():
    joint = rows(4_000, 5) @ torch.randn(5, 5, generator=generator(4), dtype=torch.float64) + 3
    z, x = joint[:, :2], joint[:, 2:]
    decoder = DECODERS["linear"](3, 2).double()
    decoder.initialize(x, z)
    whole = SklearnMixture(1).fit(joint).score_samples(joint)
    first = SklearnMixture(1).fit(z).score_samples(z)
    assert abs(decoder.log_prob(x, z).mean() - (whole - first).mean()) < 0.01


def test_an_initialised_slice_of_the_principal_axes_is_the_gaussian():
    """T8: before any training the flow is the full-covariance Gaussian of the data."""
    from skflow.transforms import ActNorm, CayleyRotation

    x = rows(2_000, 6) @ torch.randn(6, 6, generator=generator(5), dtype=torch.float64)
    slice_ = Funnel(6, 2, DECODERS["linear"](4, 2))
    flow = Flow([], [CayleyRotation(6), slice_, ActNorm(2)], StandardNormal(2)).double()
    flow.learned.initialize(x)
    gaussian = SklearnMixture(1).fit(x.numpy()).score(x.numpy())
    assert abs(flow.log_prob(x).mean() - gaussian) < 0.05


def fitted_mixture(d):
    mixture = GaussianMixture(3, d).double()
    x = torch.cat([rows(200, d), 3 + rows(150, d, seed=1) * torch.linspace(0.2, 2, d)])
    mixture.copy_fitted(SklearnMixture(3, random_state=0).fit(x.numpy()))
    return mixture, x


@pytest.mark.parametrize("n_kept", [1, 3])
def test_a_split_mixture_is_the_mixture(n_kept):
    mixture, x = fitted_mixture(4)
    marginal, rest = mixture.split(n_kept, (64, 64), generator())
    flow = Flow([], [Funnel(4, n_kept, rest)], marginal)
    torch.testing.assert_close(flow.log_prob(x), mixture.log_prob(x), atol=1e-9, rtol=0)
    a, b = (s.sample(100_000, generator=generator(3)) for s in (flow, mixture))
    torch.testing.assert_close(a.mean(0), b.mean(0), atol=0.05, rtol=0)
    torch.testing.assert_close(a.T.cov(), b.T.cov(), atol=0.15, rtol=0)


def test_a_rotated_mixture_is_the_mixture_of_rotated_rows():
    from skflow.transforms import random_rotation

    mixture, x = fitted_mixture(4)
    rotation = random_rotation(4, generator())
    turned = mixture.rotated(rotation)
    torch.testing.assert_close(turned.log_prob(x @ rotation), mixture.log_prob(x))
    samples = mixture.sample(200_000, generator=generator(2))
    torch.testing.assert_close(samples.T.cov(), mixture.covariance(), atol=0.1, rtol=0)


def test_columns_are_kept_by_name():
    layer = Funnel(4, [3, 1], DECODERS["diagonal"](2, 2).double())
    x = rows(5, 4)
    z, _ = layer(x)
    assert torch.equal(z, x[:, [3, 1]])
    drawn = layer.inverse(z, draw=mean_draw)
    assert torch.equal(drawn[:, [3, 1]], z)
    with pytest.raises(ValueError, match="different columns"):
        Funnel(4, [1, 1], DECODERS["diagonal"](3, 1))
    with pytest.raises(ValueError, match="2 are dropped"):
        Funnel(4, 2, DECODERS["diagonal"](3, 2))


def test_wrappers_pass_draws_on():
    layer = Compose([Permutation(4, reverse=True), make_funnel("dense", "full", 4, 2)])
    z = rows(3, 2)
    first = layer.inverse(z, draw=fresh_draw(generator(1)))
    torch.testing.assert_close(first, layer.inverse(z, draw=fresh_draw(generator(1))))
    assert not torch.allclose(first, layer.inverse(z, draw=fresh_draw(generator(2))))
    torch.testing.assert_close(layer.inverse(z, draw=mean_draw), layer.inverse(z, draw=mean_draw))
