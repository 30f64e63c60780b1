"""Codes as regions: no draw leaves its region, probabilities add up, bounds rise to them."""

import math

import pytest
import torch

from skflow.distributions import Gumbel, StandardNormal
from skflow.flow import Flow
from skflow.transforms import BinaryArgmax, GumbelArgmax, LULinear, SoftplusArgmax
from skflow.transforms.noise import fresh_noise, no_noise, shared_noise
from tests.contract.table import generator, randomise

LEVELS = [3, 1, 2, 6]
KINDS = [SoftplusArgmax, GumbelArgmax, BinaryArgmax]
PHI = torch.tensor([0.3, -1.0, 0.7], dtype=torch.float64)


def codes(n, n_levels=LEVELS, seed=0):
    columns = [
        torch.randint(k, (n,), generator=generator(seed + j)) for j, k in enumerate(n_levels)
    ]
    return torch.stack(columns, 1).double()


def all_codes(n_levels):
    axes = [torch.arange(k, dtype=torch.float64) for k in n_levels]
    return torch.cartesian_prod(*axes).reshape(-1, len(n_levels))


def make(kind, n_levels=LEVELS, n_context=0, scale=0.3):
    layer = kind(n_levels, (8,), n_context=n_context, generator=generator()).double()
    context = torch.zeros(100, n_context, dtype=torch.float64) if n_context else None
    layer.initialize(codes(100, n_levels), context=context)
    return randomise(layer, 1, scale).eval()


@torch.no_grad()
def widen(layer):
    layer.network.last.bias[layer.n_numbers :].add_(0.8)


def example_flow(kind, n_levels, scale):
    """Noise somewhat wider than the correlated normals, or the Gumbels, that follow.

    Else a few draws of great weight would decide what the average is.
    """
    layer = make(kind, n_levels, scale=scale)
    n = layer.n_numbers
    if kind is GumbelArgmax:
        shift = torch.randn(n, generator=generator(4), dtype=torch.float64)
        return Flow([], [layer], Gumbel(layer.log_share + 0.6 + 0.3 * shift))
    widen(layer)
    mix = randomise(LULinear(n).double(), 3, 0.2)
    return Flow([], [layer, mix], StandardNormal(n).double())


@torch.no_grad()
def draws_of_log_prob(flow, x, n_draws, noise=None):
    noise = fresh_noise(generator(5)) if noise is None else noise
    return flow.log_prob(x.repeat(n_draws, 1), noise=noise).view(n_draws, -1)


def probabilities(flow, x, n_draws=2**16):
    """Averages over draws that are spread evenly, the same for all rows."""

    def noise(rows, k):
        uniform = torch.quasirandom.SobolEngine(k, scramble=True, seed=6).draw(
            n_draws, dtype=torch.float64
        )
        eps = torch.special.ndtri(uniform.clamp(1e-12, 1 - 1e-12))
        return eps.repeat_interleave(len(x), 0)

    return bound(draws_of_log_prob(flow, x, n_draws, noise), n_draws).exp()


def bound(draws, n_samples):
    """Importance-weighted bound, averaged over as many groups as there are."""
    groups = draws.unflatten(0, (-1, n_samples))
    return (groups.logsumexp(1) - math.log(n_samples)).mean(0)


def assert_bounds_rise_to(exact, flow, x):
    """Expected bounds under the ``exact`` probabilities of rows x, which are all there are."""
    draws = draws_of_log_prob(flow, x, 10_000)
    elbo, few, many = (float((exact * bound(draws, n)).sum()) for n in (1, 10, 1000))
    truth = float((exact * exact.log()).sum())
    assert elbo + 0.05 < few
    assert few + 0.005 < many
    assert truth - 0.01 < many < truth + 0.01  # the average over draws is known no better
    torch.testing.assert_close(probabilities(flow, x), exact, atol=1e-3, rtol=0)


# ------------------------------------------------------------------------------- every kind


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_inverse_undoes_every_draw(kind, dtype):
    layer, x = make(kind).to(dtype), codes(1000).to(dtype)
    z, contribution = layer(x, noise=fresh_noise(generator(1)))
    assert z.shape == (1000, layer.n_numbers)
    assert z.dtype == contribution.dtype == dtype
    assert contribution.isfinite().all()
    assert torch.equal(layer.inverse(z), x)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noise_from_the_far_tail_stays_in_its_region(kind, dtype):
    layer, x = make(kind).to(dtype), codes(1000).to(dtype).requires_grad_()
    tails = torch.tensor([-40.0, -8.0, 8.0, 40.0], dtype=dtype)

    def noise(x, k):
        return tails[torch.randint(4, (len(x), k), generator=generator())]

    z, contribution = layer(x, noise=noise)
    assert torch.equal(layer.inverse(z), x)
    assert contribution.isfinite().all()
    loss = (z / 1e2).sum() + contribution.sum()
    gradients = torch.autograd.grad(loss, list(layer.parameters()))
    assert all(g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_the_latent_is_the_inverse_gives_codes(kind):
    layer = make(kind)
    z = 3 * torch.randn(2000, layer.n_numbers, generator=generator(), dtype=torch.float64)
    x = layer.inverse(torch.cat([z, 1e30 * z, torch.zeros_like(z[:1])]))
    assert torch.equal(x.amin(0), torch.zeros(4, dtype=torch.float64))
    assert torch.equal(x.amax(0), torch.tensor(LEVELS, dtype=torch.float64) - 1)
    assert torch.equal(x, x.round())


@pytest.mark.parametrize("kind", KINDS)
def test_contribution_is_minus_the_density_of_the_draw(kind):
    layer, x = make(kind), codes(5)
    eps = torch.randn(5, layer.n_numbers, generator=generator(2), dtype=torch.float64)
    _, contribution = layer(x, noise=lambda x, k: eps)
    log_normal = StandardNormal(layer.n_numbers).log_prob(eps)
    for i in range(5):
        jacobian = torch.autograd.functional.jacobian(
            lambda e, i=i: layer(x[i : i + 1], noise=lambda x, k: e[None])[0][0], eps[i]
        )
        log_q = log_normal[i] - torch.linalg.slogdet(jacobian)[1]
        assert abs(contribution[i] + log_q) < 1e-8


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [0.0, 0.15])
@pytest.mark.parametrize("n_levels", [[3], [5], [2, 3]])
def test_probabilities_add_up_to_one(kind, scale, n_levels):
    flow = example_flow(kind, n_levels, scale)
    assert not flow.exact
    assert abs(probabilities(flow, all_codes(n_levels)).sum() - 1) < 1e-2


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_are_the_frequencies_of_samples(kind):
    flow = example_flow(kind, [2, 3], 0.15)
    x = all_codes([2, 3])
    with torch.no_grad():
        samples = flow.sample(40_000, generator=generator(2))
    frequency = (samples[:, None] == x).all(2).double().mean(0)
    torch.testing.assert_close(probabilities(flow, x), frequency, atol=1e-2, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_code_has_no_probability(kind):
    layer = make(kind)
    odd = torch.tensor([-1.0, 0.5, 6.0, 1e6, -1e6, torch.inf], dtype=torch.float64)
    x = codes(len(odd))
    x[:, 3] = odd
    x.requires_grad_()
    z, contribution = layer(x, noise=fresh_noise(generator()))
    assert z.isfinite().all()
    assert (contribution == -torch.inf).all()
    gradients = torch.autograd.grad(z.sum() + contribution.sum(), list(layer.parameters()))
    assert all(g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("kind", KINDS)
def test_the_noise_sees_the_whole_row_and_the_context(kind):
    layer, x = make(kind, n_context=2), codes(50)
    context = torch.randn(50, 2, generator=generator(), dtype=torch.float64)
    _, before = layer(x, context, no_noise)
    _, after = layer(x, context + 1, no_noise)
    assert ((before - after).abs() > 1e-6).all()
    z, _ = layer(x, context, no_noise)
    other = x.clone()
    other[:, 0] = (x[:, 0] + 1) % 3  # the last numbers are those of the last column
    assert ((layer(other, context, no_noise)[0] - z)[:, -1].abs() > 1e-9).all()
    assert layer(x, 1e30 * context, no_noise)[1].isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_learns(kind):
    layer = make(kind, n_context=2)
    x, context = codes(50), torch.ones(50, 2, dtype=torch.float64)
    _, contribution = layer(x, context, fresh_noise(generator()))
    gradients = torch.autograd.grad(contribution.sum(), list(layer.parameters()))
    assert all(g.abs().max() > 0 for g in gradients)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_one(kind):
    layer, x = make(kind), codes(5)
    z, contribution = layer(x, noise=shared_noise(generator()))
    z1, contribution1 = layer(x[2:3], noise=shared_noise(generator()))
    torch.testing.assert_close(z1, z[2:3])
    torch.testing.assert_close(contribution1, contribution[2:3])
    weight = torch.ones(1, dtype=torch.float64)
    assert layer.initialize(x[:1], weight).isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_on_another_device(kind):
    layer = make(kind).to("meta")
    x = torch.ones(3, 4, dtype=torch.float64, device="meta")
    z, contribution = layer(x)
    assert z.device.type == contribution.device.type == layer.inverse(z).device.type == "meta"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_levels", [[], [3, 0]])
def test_a_column_needs_a_level(kind, n_levels):
    with pytest.raises(ValueError, match="at least one level"):
        kind(n_levels)


# ----------------------------------------------------------------------------- Gumbel noise


def test_under_a_gumbel_base_every_draw_gives_the_log_probability():
    layer = GumbelArgmax([3]).double()
    layer.log_share.copy_(PHI)
    flow = Flow([], [layer], Gumbel(PHI))
    draws = draws_of_log_prob(flow, all_codes([3]), 1000)
    torch.testing.assert_close(draws, PHI.log_softmax(0).expand(1000, 3), atol=1e-9, rtol=0)
    assert (draws[:, 2] + 0.616808).abs().max() < 1e-6


def test_after_initialize_a_flow_starts_at_independent_columns():
    x = codes(300)
    x[:, 3] = x[:, 3].clamp_max(4)  # the last code never occurs
    weight = torch.rand(300, generator=generator(), dtype=torch.float64)
    weight *= 300 / weight.sum()  # a weight is a number of rows
    layer = GumbelArgmax(LEVELS, generator=generator()).double()
    layer.initialize(x, weight)
    flow = Flow([], [layer], Gumbel(layer.log_share))
    draws = draws_of_log_prob(flow, x, 20)
    assert draws.std(0).max() < 1e-9
    share = torch.stack([(weight * (x[:, 3] == k)).sum() / weight.sum() for k in range(6)])
    start = layer.log_share[-6:].exp()
    torch.testing.assert_close(start, (300 * share + 0.5) / 303, atol=1e-12, rtol=0)
    expected = draws_of_log_prob(flow, all_codes(LEVELS), 1)
    assert abs(expected.exp().sum() - 1) < 1e-9


def test_under_another_gumbel_base_bounds_rise_to_its_softmax():
    flow = example_flow(GumbelArgmax, [3], 0.15)
    assert_bounds_rise_to(flow.base.loc.detach().softmax(0), flow, all_codes([3]))


def test_before_initialize_levels_are_equally_likely():
    layer = GumbelArgmax([4]).double()
    flow = Flow([], [layer], Gumbel(layer.log_share))
    expected = torch.full((1, 4), -math.log(4), dtype=torch.float64)
    torch.testing.assert_close(
        draws_of_log_prob(flow, all_codes([4]), 1), expected, atol=1e-6, rtol=0
    )


# --------------------------------------------------------------------------- binary digits


def shifted(mean):
    """Independent normals of scale one around ``mean``, as a layer and its base."""
    layer = LULinear(len(mean)).double()
    with torch.no_grad():
        layer.bias.sub_(mean)
    return layer


MEAN = torch.tensor([0.4, -0.7, 0.1, 0.9], dtype=torch.float64)


def orthant_probabilities(n_digits):
    """Of each pattern of digits, the first digit the lowest, under normals around MEAN."""
    pattern = torch.arange(2**n_digits)[:, None] >> torch.arange(n_digits) & 1
    up = torch.special.ndtr(MEAN[:n_digits])
    return torch.where(pattern == 1, up, 1 - up).prod(1)


def exact_probabilities(n_levels):
    """Of all codes of one column; patterns that are no code count for that without the first."""
    n_digits = (n_levels - 1).bit_length()
    mass = orthant_probabilities(n_digits)
    exact = mass[:n_levels].clone()
    for pattern in range(n_levels, 2**n_digits):
        exact[pattern - 2 ** (n_digits - 1)] += mass[pattern]
    return exact


@pytest.mark.parametrize("n_levels", [16, 11, 9])
def test_bounds_rise_to_the_exact_probabilities(n_levels):
    exact = exact_probabilities(n_levels)
    assert abs(exact.sum() - 1) < 1e-12
    layer = make(BinaryArgmax, [n_levels], scale=0.15)
    widen(layer)
    flow = Flow([], [layer, shifted(MEAN)], StandardNormal(4).double())
    assert_bounds_rise_to(exact, flow, all_codes([n_levels]))


def test_four_binary_columns_have_the_probabilities_of_their_signs():
    layer = make(BinaryArgmax, [2] * 4, scale=0.15)
    widen(layer)
    x = all_codes([2] * 4)
    exact = torch.where(x == 1, torch.special.ndtr(MEAN), torch.special.ndtr(-MEAN)).prod(1)
    flow = Flow([], [layer, shifted(MEAN)], StandardNormal(4).double())
    assert_bounds_rise_to(exact, flow, x)


def test_patterns_beyond_the_last_code_are_read_without_their_leading_digit():
    layer = BinaryArgmax([5])
    pattern = torch.arange(8)[:, None] >> torch.arange(3) & 1
    x = layer.inverse(2.0 * pattern - 1)
    assert x[:, 0].tolist() == [0, 1, 2, 3, 4, 1, 2, 3]


@pytest.mark.parametrize(("code", "leading"), [(0, {False}), (1, {False, True}), (4, {True})])
def test_a_leading_digit_that_is_not_read_may_have_either_sign(code, leading):
    x = torch.full((1000, 1), float(code), dtype=torch.float64)
    z, _ = make(BinaryArgmax, [5])(x, noise=fresh_noise(generator()))
    assert set((z[:, 2] > 0).tolist()) == leading


def test_a_constant_column_takes_no_room():
    layer = BinaryArgmax([1, 1]).double()
    x = torch.zeros(3, 2, dtype=torch.float64)
    z, contribution = layer(x)
    assert z.shape == (3, 0)
    assert not contribution.any()
    assert torch.equal(layer.inverse(z), x)
