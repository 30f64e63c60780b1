"""Low-dimensional priors held against the Gaussian they are."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from skflow.distributions import StandardNormal
from skflow.flow import Flow
from skflow.transforms import Factors
from skflow.transforms.noise import fresh_noise, mean_draw, no_noise
from tests.contract.table import generator, randomise

D, K, FLOOR = 5, 2, 1e-2


def make(hidden=None, scale=0.5):
    layer = Factors(D, K, hidden, floor=FLOOR, generator=generator()).double()
    return randomise(layer, 3, scale).eval()


def density(layer):
    decoder = layer.decoder
    covariance = decoder.loading @ decoder.loading.T + decoder.scale().square().diag()
    return multivariate_normal(decoder.offset.detach().numpy(), covariance.detach().numpy())


def rows(n, seed=1):
    return 2 * torch.randn(n, D, generator=generator(seed), dtype=torch.float64)


def flow_of(layer):
    return Flow([], [layer], StandardNormal(K).double())


def test_the_likelihood_is_the_low_rank_gaussian():
    layer, x = make(), rows(50)
    flow = flow_of(layer)
    assert flow.exact
    expected = density(layer).logpdf(x.numpy())
    np.testing.assert_allclose(flow.log_prob(x).detach().numpy(), expected, rtol=0, atol=1e-8)


def test_latent_rows_are_posterior_means():
    layer, x = make(), rows(20)
    loading, variance = layer.decoder.loading, layer.decoder.scale().square()
    gain = loading.T @ torch.linalg.inv(loading @ loading.T + variance.diag())
    expected = (x - layer.decoder.offset) @ gain.T
    torch.testing.assert_close(flow_of(layer).encode(x), expected)


def test_samples_have_the_moments():
    layer = make()
    with torch.no_grad():
        samples = flow_of(layer).sample(200_000, generator=generator(5)).numpy()
    expected = density(layer).cov
    np.testing.assert_allclose(np.cov(samples.T), expected, atol=0.02 * np.abs(expected).max())
    np.testing.assert_allclose(samples.mean(0), layer.decoder.offset.detach(), atol=0.02)


def test_the_autoencoder_begins_at_factor_analysis_with_the_right_posterior():
    exact, bent = make(), Factors(D, K, (8,), floor=FLOOR).double()
    bent.load_state_dict(exact.state_dict(), strict=False)
    flow, x = flow_of(bent), rows(30)
    assert not flow.exact
    for noise in (no_noise, fresh_noise(generator())):
        torch.testing.assert_close(flow.log_prob(x, noise=noise), flow_of(exact).log_prob(x))


def test_the_bound_rises_to_the_density_from_below():
    layer = make((8,), scale=0.2)
    flow, x = flow_of(layer), rows(40)
    draw = fresh_noise(generator(2))
    with torch.no_grad():
        one = torch.stack([flow.log_prob(x, noise=draw) for _ in range(400)]).mean(0)
        many = flow.log_prob(x, n_importance_samples=400, noise=draw)
        # The density itself, by quadrature over the two factors.
        line = torch.linspace(-9, 9, 400, dtype=torch.float64)
        z = torch.cartesian_prod(line, line)
        prior = StandardNormal(K).log_prob(z) + 2 * (line[1] - line[0]).log()
        joint = [layer.decoder.log_prob(row.expand(len(z), -1), z) + prior for row in x]
        true = torch.stack([j.logsumexp(0) for j in joint])
    assert (one < true).all()
    assert one.mean() < many.mean()
    assert many.mean() < true.mean() + 0.01
    assert true.mean() - many.mean() < 0.2 * (true.mean() - one.mean())


def test_the_floor_bounds_the_density():
    layer = Factors(D, K, (8,), floor=FLOOR).double()
    with torch.no_grad():
        layer.decoder.log_scale.fill_(-40.0)
        z = torch.randn(10, K, generator=generator(), dtype=torch.float64)
        best = layer.decoder.log_prob(layer.decoder.mean(z), z)
    expected = -D * np.log(FLOOR * np.sqrt(2 * np.pi))
    np.testing.assert_allclose(best.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("hidden", [None, (8,)])
def test_extreme_rows_stay_finite_and_back_again(hidden):
    layer = make(hidden)
    x = torch.tensor([[1e6, -1e6, 0, 1, 1e3]], dtype=torch.float64, requires_grad=True)
    z, contribution = layer(x, None, no_noise)
    gradients = torch.autograd.grad(contribution.sum() / 1e12, list(layer.parameters()))
    assert z.isfinite().all()
    assert contribution.isfinite().all()
    assert all(g.isfinite().all() for g in gradients)
    assert layer.inverse(z, draw=mean_draw).shape == (1, D)


def test_loadings_that_diverged_are_not_an_exception():
    layer = make()
    with torch.no_grad():
        layer.decoder.loading.fill_(torch.inf)
    assert not layer(rows(2))[1].isfinite().any()


@pytest.mark.parametrize("hidden", [None, (8,)])
@pytest.mark.parametrize("device", ["meta", *(["cuda"] if torch.cuda.is_available() else [])])
def test_factors_stay_on_their_device(hidden, device):
    flow = flow_of(make(hidden)).to(device)
    x = torch.ones(3, D, dtype=torch.float64, device=device)
    for made in (flow.log_prob(x), flow.sample(3), flow.encode(x), flow.decode(flow.encode(x))):
        assert made.device.type == device
