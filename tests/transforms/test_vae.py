"""The variational autoencoder held against a linear Gaussian model, whose marginal is known."""

import math

import pytest
import torch
from torch.distributions import MultivariateNormal

from skflow.distributions import LinearDecoder, LocationScale, StandardNormal
from skflow.flow import Flow
from skflow.kernels.affine import MAX_LOG_SCALE
from skflow.transforms import VAE
from skflow.transforms.noise import fresh_noise, mean_draw, no_noise, shared_noise
from tests.contract.integration import (
    cell_probabilities,
    central_edges,
    chi_square_per_cell,
    histogram,
)
from tests.contract.table import generator, randomise

DTYPE = torch.float64
# Orthogonal columns: the posterior has independent columns too, and the encoder can be exact.
LOADING = torch.tensor([[0.8, 0.6], [-0.6, 0.8], [0.5, 0.0], [0.0, -1.0]], dtype=DTYPE)
LOADING[:, 1] -= LOADING[:, 0] * (LOADING[:, 0] @ LOADING[:, 1]) / (LOADING[:, 0] @ LOADING[:, 0])
CENTRE = torch.tensor([0.2, -0.5, 1.0, 0.0], dtype=DTYPE)
NOISE = 0.5
MARGINAL = MultivariateNormal(CENTRE, LOADING @ LOADING.T + NOISE**2 * torch.eye(4, dtype=DTYPE))


def raw(log_scale):
    """What `bounded_log_scale` takes to ``log_scale``."""
    return MAX_LOG_SCALE * torch.atanh(log_scale / MAX_LOG_SCALE)


def linear_gaussian_flow():
    """Probabilistic PCA, with its exact posterior as the encoder."""
    layer = VAE(4, 2, LocationScale(StandardNormal(4), 2, ()), ()).double()
    gram = LOADING.T @ LOADING + NOISE**2 * torch.eye(2, dtype=DTYPE)
    gain = torch.linalg.solve(gram, LOADING.T)
    log_scale = 0.5 * (NOISE**2 / gram.diagonal()).log()
    with torch.no_grad():
        for network, weight, mean, log_scales in (
            (layer.encoder, gain, -gain @ CENTRE, log_scale),
            (layer.decoder.network, LOADING, CENTRE, torch.full((4,), NOISE, dtype=DTYPE).log()),
        ):
            network.last.weight.zero_()
            network.last.weight[: len(weight)] = weight
            network.last.bias.copy_(torch.cat([mean, raw(log_scales)]))
    return Flow([], [layer], StandardNormal(2).double())


def rows(n, seed=0):
    z = torch.randn(n, 2, generator=generator(seed), dtype=DTYPE)
    noise = torch.randn(n, 4, generator=generator(seed + 1), dtype=DTYPE)
    return CENTRE + z @ LOADING.T + NOISE * noise


def make(n_context=0, linear=False):
    decoder = LocationScale(StandardNormal(4), 2 + n_context, (8,), generator=generator())
    if linear:
        decoder = LinearDecoder(decoder, 2 + n_context)
    layer = VAE(4, 2, decoder, (8,), n_context=n_context, generator=generator(1)).double()
    return randomise(layer, 2, 0.2).eval()


def test_with_the_exact_posterior_every_draw_gives_the_log_density():
    flow, x = linear_gaussian_flow(), rows(200)
    assert not flow.exact
    for noise in (no_noise, fresh_noise(generator())):
        with torch.no_grad():
            torch.testing.assert_close(
                flow.log_prob(x, noise=noise), MARGINAL.log_prob(x), atol=1e-9, rtol=0
            )


def test_bounds_rise_to_the_exact_log_density():
    flow, x = linear_gaussian_flow(), rows(50)
    with torch.no_grad():
        # An encoder that is off in mean and in scale, and wider than the posterior.
        flow.learned.steps[0].encoder.last.bias.add_(0.4)
        noise = fresh_noise(generator(5))
        draws = flow.log_prob(x.repeat(10_000, 1), noise=noise).view(10_000, -1)
    elbo, few, many = (
        float((draws.unflatten(0, (-1, n)).logsumexp(1) - math.log(n)).mean())
        for n in (1, 10, 1000)
    )
    truth = float(MARGINAL.log_prob(x).mean())
    assert elbo + 0.1 < few
    assert few + 0.01 < many
    assert truth - 0.01 < many < truth + 1e-3


def test_samples_follow_the_marginal():
    flow = linear_gaussian_flow()
    with torch.no_grad():
        samples = flow.sample(20_000, generator=generator(3))[:, :2]
    marginal = MultivariateNormal(CENTRE[:2], MARGINAL.covariance_matrix[:2, :2])
    edges = central_edges(samples)
    expected = cell_probabilities(marginal.log_prob, edges, 10)
    assert chi_square_per_cell(histogram(samples, edges), expected, len(samples)) < 1.5


def test_the_parts_are_the_decoder_and_the_density_of_the_draw():
    layer, x = make(), rows(5)
    eps = torch.randn(5, 2, generator=generator(2), dtype=DTYPE)
    z, minus_log_q, log_p = layer.forward_in_parts(x, noise=lambda x, k: eps)
    torch.testing.assert_close(log_p, layer.decoder.log_prob(x, z))
    total = layer(x, noise=lambda x, k: eps)[1]
    torch.testing.assert_close(total, minus_log_q + log_p)
    log_normal = StandardNormal(2).log_prob(eps)
    for i in range(5):
        jacobian = torch.autograd.functional.jacobian(
            lambda e, i=i: layer(x[i : i + 1], noise=lambda x, k: e[None])[0][0], eps[i]
        )
        log_q = log_normal[i] - torch.linalg.slogdet(jacobian)[1]
        assert abs(minus_log_q[i] + log_q) < 1e-8


def test_the_inverse_draws_as_it_is_told():
    layer = make()
    z = torch.randn(6, 2, generator=generator(), dtype=DTYPE)
    torch.testing.assert_close(layer.inverse(z, draw=mean_draw), layer.decoder.mean(z))
    assert not torch.equal(layer.inverse(z), layer.inverse(z))


def test_initialize_fits_the_decoder():
    layer, x = VAE(4, 2, make(linear=True).decoder, (8,), generator=generator()).double(), rows(500)
    with torch.no_grad():
        layer.decoder.inner.network.last.weight.zero_()
        layer.decoder.inner.network.last.bias.zero_()
        z = layer.initialize(x, noise=shared_noise(generator()))
        drawn, _ = layer(x, noise=shared_noise(generator()))
    torch.testing.assert_close(z, drawn)
    residual = x - layer.decoder.mean(z)
    assert residual.mean(0).abs().max() < 1e-9
    assert residual.var() < 0.95 * x.var(0).mean()


def test_at_first_rows_differ_in_their_latents_and_everything_learns():
    decoder = LinearDecoder(LocationScale(StandardNormal(4), 2, (8,), generator=generator()), 2)
    layer, x = VAE(4, 2, decoder, (8,), generator=generator()).double(), rows(500)
    z = layer.initialize(x, noise=no_noise)
    assert z.std(0).min() > 0.05
    _, contribution = layer(x, noise=fresh_noise(generator()))
    last = layer.encoder.last.weight, layer.encoder.last.bias
    gradients = torch.autograd.grad(contribution.mean(), last)
    assert all(g.abs().max() > 1e-3 for g in gradients)


def test_the_context_reaches_both_sides():
    layer, x = make(n_context=3), rows(20)
    context = torch.randn(20, 3, generator=generator(), dtype=DTYPE)
    z, contribution = layer(x, context, no_noise)
    other_z, other_contribution = layer(x, context + 1, no_noise)
    assert ((z - other_z).abs().amax(1) > 1e-6).all()
    assert ((contribution - other_contribution).abs() > 1e-6).all()
    back, other = (layer.inverse(z, c, mean_draw) for c in (context, context + 1))
    assert ((back - other).abs().amax(1) > 1e-6).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_far_rows_stay_finite(dtype):
    layer = make().to(dtype)
    extremes = torch.tensor([1e6, -1e6, 1e3, -30.0, 0.0], dtype=dtype)
    x = torch.cartesian_prod(*[extremes] * 4).requires_grad_()
    z, contribution = layer(x, noise=fresh_noise(generator()))
    assert z.dtype == contribution.dtype == layer.inverse(z).dtype == dtype
    assert z.isfinite().all()
    assert contribution.isfinite().all()
    leaves = [x, *layer.parameters()]
    gradients = torch.autograd.grad(z.sum() + contribution.sum(), leaves)
    assert all(g.isfinite().all() for g in gradients)


def test_a_batch_of_one():
    layer, x = make(), rows(5)
    z, contribution = layer(x, noise=shared_noise(generator()))
    z1, contribution1 = layer(x[2:3], noise=shared_noise(generator()))
    torch.testing.assert_close(z1, z[2:3])
    torch.testing.assert_close(contribution1, contribution[2:3])


def test_on_another_device():
    layer = make().to("meta")
    z, contribution = layer(torch.ones(3, 4, dtype=DTYPE, device="meta"))
    assert z.device.type == contribution.device.type == layer.inverse(z).device.type == "meta"


def test_the_decoder_is_for_the_columns_of_x():
    with pytest.raises(ValueError, match="for 4 columns, but x has 3"):
        VAE(3, 2, make().decoder)
