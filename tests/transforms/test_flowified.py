"""Linear maps, convolutions and poolings as flows: the layer they came from, and the laws."""

import math

import pytest
import torch
import torch.nn.functional as F
from sklearn.mixture import GaussianMixture as SklearnMixture

from skflow.distributions import LocationScale, StandardNormal, StudentT
from skflow.flow import Flow
from skflow.kernels.families import RationalQuadratic
from skflow.transforms.augment import Augment
from skflow.transforms.compose import Compose
from skflow.transforms.elementwise import ActNorm, Elementwise
from skflow.transforms.flowified import (
    MAX_REGRESSION,
    flowified_average_pool,
    flowified_convolution,
    flowified_linear,
    flowified_max_pool,
    gaussian_decoder,
)
from skflow.transforms.funnel import Funnel
from skflow.transforms.noise import fresh_draw, fresh_noise, mean_draw, no_noise, shared_noise
from skflow.transforms.rotation import HouseholderRotation
from skflow.transforms.standardized_decoder import StandardizedDecoder
from skflow.transforms.tile import Tile
from tests.contract.integration import grid
from tests.contract.table import generator, randomise

SMALL = {"hidden_layer_sizes": (8,)}

# Input (channels, height, width), output channels, kernel, stride, padding.
CONVOLUTIONS = {
    "plain": ((2, 4, 4), 5, 2, 2, 0),
    "square": ((1, 4, 4), 4, 2, 2, 0),
    "widening": ((1, 4, 4), 6, 2, 2, 0),
    "uncovered": ((2, 5, 6), 3, (2, 3), (2, 3), 0),
    "gaps": ((2, 5, 5), 2, 1, 2, 0),
    "overlapping": ((2, 5, 5), 3, 3, 1, 0),
    "padded": ((1, 3, 3), 2, 2, 2, 1),
    "same": ((2, 4, 5), 3, 3, 1, 1),
    "rectangular": ((2, 6, 5), 20, (3, 2), (2, 1), (1, 0)),
    "pointwise": ((3, 2, 2), 2, 1, 1, 0),
}
EXACT = {"plain", "square", "uncovered", "gaps", "pointwise"}
every_convolution = pytest.mark.parametrize("name", CONVOLUTIONS)


def rows(n, *shape, seed=0):
    return torch.randn(n, *shape, generator=generator(seed), dtype=torch.float64)


def made_linear(n_in, n_out, **options):
    layer = flowified_linear(n_in, n_out, generator=generator(), **SMALL, **options).double()
    return randomise(layer).eval()


def made_convolution(name, **options):
    layer = flowified_convolution(*CONVOLUTIONS[name], generator=generator(), **SMALL, **options)
    return randomise(layer.double()).eval()


def kernel_of(name, seed=0):
    (n_channels, _, _), n_out, size, _, _ = CONVOLUTIONS[name]
    size = (size, size) if isinstance(size, int) else size
    return rows(n_out, n_channels, *size, seed=seed)


def joint_log_det(layer, x):
    """log|det d(dropped, z)/dx| of steps that drop but do not draw, and log p(dropped | z)."""

    def joint(row):
        dropped, z = [], row[None]
        for step in layer.steps:
            if isinstance(step, Funnel):
                dropped.append(z[:, step.dropped])
            z = step(z)[0]
        return torch.cat([z, *dropped], 1)[0]

    jacobians = torch.stack([torch.autograd.functional.jacobian(joint, row) for row in x])
    log_dropped = torch.zeros(len(x), dtype=x.dtype)
    for step in layer.steps:
        if isinstance(step, Funnel):
            log_dropped = log_dropped + step.forward_in_parts(x)[2]
        x = step(x)[0]
    return torch.linalg.slogdet(jacobians)[1], log_dropped


# What the layer was before.


@pytest.mark.parametrize(("n_in", "n_out"), [(4, 4), (5, 2), (2, 5), (3, 1), (1, 3), (1, 1)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_the_mean_path_of_a_linear_map(n_in, n_out, dtype, tolerance):
    weight, bias = rows(n_out, n_in).to(dtype), rows(n_out, seed=1).to(dtype)
    x = rows(7, n_in, seed=2).to(dtype)
    for b in (bias, None):
        layer = flowified_linear(n_in, n_out, weight=weight, bias=b).eval()
        z, contribution = layer(x, noise=no_noise)
        assert z.dtype == contribution.dtype == dtype
        assert layer.exact == (n_out <= n_in)
        torch.testing.assert_close(z, F.linear(x, weight, b), atol=tolerance, rtol=tolerance)


def test_a_wide_linear_map_is_as_exact():
    weight = rows(40, 300) / 300**0.5
    layer = flowified_linear(300, 40, weight=weight, generator=generator())
    assert isinstance(layer.steps[0], HouseholderRotation)
    x = rows(5, 300, seed=1)
    torch.testing.assert_close(layer.eval()(x)[0], x @ weight.T, atol=1e-12, rtol=0)


@every_convolution
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_the_mean_path_of_a_convolution(name, dtype, tolerance):
    shape, n_out, _, stride, padding = CONVOLUTIONS[name]
    weight, bias = kernel_of(name).to(dtype), rows(n_out, seed=1).to(dtype)
    layer = flowified_convolution(*CONVOLUTIONS[name], weight=weight, bias=bias).eval()
    images = rows(3, *shape, seed=2).to(dtype)
    z, contribution = layer(images.flatten(1), noise=no_noise)
    expected = F.conv2d(images, weight, bias, stride, padding)
    assert z.dtype == contribution.dtype == dtype
    assert layer.exact == (name in EXACT)
    torch.testing.assert_close(z, expected.flatten(1), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize(
    ("size", "stride"), [(2, 2), ((2, 3), (2, 3)), (3, 2), (1, 2), ((2, 1), 1)]
)
def test_average_pooling_is_average_pooling_for_good(size, stride):
    shape = (2, 5, 6)
    layer = flowified_average_pool(shape, size, stride, dtype=torch.float64, **SMALL).eval()
    images = rows(3, *shape)
    expected = F.avg_pool2d(images, size, stride).flatten(1)
    torch.testing.assert_close(
        layer(images.flatten(1), noise=no_noise)[0], expected, atol=1e-12, rtol=0
    )
    learned = [p for p in layer.parameters() if p.requires_grad]
    with torch.no_grad():
        for parameter in learned:
            parameter.add_(0.3)
    layer.eval()
    torch.testing.assert_close(
        layer(images.flatten(1), noise=no_noise)[0], expected, atol=1e-12, rtol=0
    )


@pytest.mark.parametrize("size", [2, (2, 3), (1, 2)])
def test_max_pooling_is_max_pooling(size):
    shape = (2, 5, 7)
    layer = flowified_max_pool(shape, size, **SMALL).double().eval()
    assert layer.exact
    images = rows(3, *shape)
    assert torch.equal(layer(images.flatten(1))[0], F.max_pool2d(images, size).flatten(1))


def test_weights_that_lose_directions_are_refused():
    low_rank = rows(3, 1) @ rows(1, 4)
    with pytest.raises(ValueError, match=r"shape \(3, 4\).*rank-deficient"):
        flowified_linear(4, 3, weight=low_rank)
    with pytest.raises(ValueError, match="condition number above 1e\\+06"):
        flowified_linear(2, 2, weight=torch.diag(torch.tensor([1.0, 1e-7])))
    with pytest.raises(ValueError, match="rank-deficient"):
        flowified_convolution((1, 4, 4), 2, 2, weight=torch.zeros(2, 1, 2, 2))
    with pytest.raises(ValueError, match=r"expected a weight \(2, 3\), got \(3, 2\)"):
        flowified_linear(3, 2, weight=rows(3, 2))
    with pytest.raises(ValueError, match="expected a weight"):
        flowified_convolution((1, 4, 4), 2, 3, weight=rows(2, 1, 2, 2))


# The laws.


@pytest.mark.parametrize(("n_in", "n_out"), [(4, 4), (5, 2), (3, 2), (1, 1)])
def test_contribution_of_a_linear_map_is_the_joint_log_determinant(n_in, n_out):
    layer = made_linear(n_in, n_out, weight=rows(n_out, n_in))
    x = rows(4, n_in, seed=1)
    log_det, log_dropped = joint_log_det(layer, x)
    torch.testing.assert_close(layer(x)[1], log_det + log_dropped, atol=1e-8, rtol=0)


@pytest.mark.parametrize("name", sorted(EXACT))
def test_contribution_of_a_convolution_is_the_joint_log_determinant(name):
    layer = made_convolution(name)
    x = rows(2, math.prod(CONVOLUTIONS[name][0]), seed=1)
    log_det, log_dropped = joint_log_det(layer, x)
    torch.testing.assert_close(layer(x)[1], log_det + log_dropped, atol=1e-8, rtol=0)


def test_contribution_of_average_pooling_is_the_joint_log_determinant():
    layer = flowified_average_pool((2, 5, 4), 2, 2, dtype=torch.float64, **SMALL)
    x = rows(2, 40)
    log_det, log_dropped = joint_log_det(layer, x)
    torch.testing.assert_close(layer(x)[1], log_det + log_dropped, atol=1e-8, rtol=0)


def check_inverses(layer, x):
    """Reductions: forward(inverse(z)) = z; widenings: inverse(forward(x)) = x. Returns z."""
    noise, draw = fresh_noise(generator(8)), fresh_draw(generator(9))
    for step in layer.steps:
        if isinstance(step, Compose):
            x = check_inverses(step, x)
            continue
        z = step(x, None, noise)[0] if isinstance(step, Augment | Tile) else step(x)[0]
        if z.shape[1] >= x.shape[1]:
            torch.testing.assert_close(step.inverse(z), x, atol=1e-8, rtol=0)
        if z.shape[1] < x.shape[1]:
            for d in (draw, mean_draw):
                torch.testing.assert_close(step(step.inverse(z, draw=d))[0], z, atol=1e-8, rtol=0)
        x = z
    return x


@pytest.mark.parametrize(("n_in", "n_out"), [(4, 4), (5, 2), (2, 5), (3, 1), (1, 3)])
def test_inverses_of_a_linear_map(n_in, n_out):
    layer = made_linear(n_in, n_out, weight=rows(n_out, n_in))
    x, z = rows(20, n_in, seed=1), rows(20, n_out, seed=2)
    if n_out >= n_in:
        noise = fresh_noise(generator(3))
        torch.testing.assert_close(layer.inverse(layer(x, noise=noise)[0]), x, atol=1e-9, rtol=0)
    if n_out <= n_in:
        drawn = layer.inverse(z, draw=fresh_draw(generator(4)))
        torch.testing.assert_close(layer(drawn)[0], z, atol=1e-9, rtol=0)


@every_convolution
def test_inverses_of_a_convolution(name):
    layer = made_convolution(name)
    check_inverses(layer, rows(5, math.prod(CONVOLUTIONS[name][0])))


def test_inverses_of_poolings():
    for layer in (
        flowified_average_pool((2, 5, 5), 3, 2, dtype=torch.float64, **SMALL),
        flowified_max_pool((2, 5, 5), 2, **SMALL).double(),
    ):
        check_inverses(randomise(layer).eval(), rows(5, 50))


@pytest.mark.parametrize("decoder", [None, lambda d, c: LocationScale(StudentT(d), c, (8,))])
def test_a_reducing_flow_integrates_to_one_and_has_the_moments_of_its_samples(decoder):
    layers = [
        made_linear(2, 2),
        Elementwise(2, RationalQuadratic(5, 3.0), n_positions=2),
        made_linear(2, 1, decoder=decoder),
    ]
    randomise(layers[1], seed=1)
    flow = Flow([], layers, StandardNormal(1)).double().eval()
    assert flow.exact
    reach = 150.0 if decoder else 30.0
    points, volume = grid([-reach] * 2, [reach] * 2, 3_000 if decoder else 1_500)
    with torch.no_grad():
        density = torch.cat([flow.log_prob(part).exp() for part in points.split(500_000)])
        samples = flow.sample(100_000, generator=generator(1))
    assert abs(density.sum() * volume - 1) < 2e-3
    # Bounded moments: the Student-t's own are too noisy.
    for moment in (torch.tanh, torch.cos):
        expected = (density[:, None] * moment(points)).sum(0) * volume
        torch.testing.assert_close(moment(samples).mean(0), expected, atol=0.015, rtol=0)


@pytest.mark.parametrize("seed", [0, 4])
def test_a_widening_flow_integrates_to_one_and_its_samples_follow_it(seed):
    """T2: by construction impossible with the paper's uniform noise."""
    spline = RationalQuadratic(5, 3.0)
    layers = [
        flowified_linear(1, 3, generator=generator(), **SMALL),
        Elementwise(3, spline),
        flowified_linear(3, 3, generator=generator(), **SMALL),
        Elementwise(3, spline, n_positions=3),
    ]
    flow = randomise(Flow([], layers, StandardNormal(3)).double(), seed, scale=0.2).eval()
    assert not flow.exact
    n_samples, n_points = 20_000, 160
    with torch.no_grad():
        # Noise at random is mostly narrower than its posterior, and then importance sampling
        # converges too slowly to tell anything.
        layers[0].steps[1].network.last.bias[2:].add_(0.6)
        samples = flow.sample(400_000, generator=generator(1))[:, 0]
        centre, spread = float(samples.mean()), float(samples.std())
        low, high = centre - 8 * spread, centre + 8 * spread
        points, volume = grid([low], [high], n_points)
        noise = fresh_noise(generator(2))
        draws = torch.stack([flow(x.expand(n_samples, 1), noise=noise) for x in points])
    elbo, iwae = draws.mean(1), draws.logsumexp(1) - math.log(n_samples)
    density = iwae.exp()
    assert abs(density.sum() * volume - 1) < 0.01
    counts = torch.histogram(samples, n_points, range=(low, high)).hist
    difference = (counts / len(samples) / volume - density).abs()
    assert difference.max() < 0.03
    assert (density * (iwae - elbo)).sum() * volume > 0


@pytest.mark.parametrize("shape", [(2, 5), (1, 3), "widening"])
def test_contribution_of_a_widening_is_that_of_data_and_noise(shape):
    """V = log|det dz/d(x, e)| - log N(e; 0, I) for the noise e."""
    layer = made_convolution(shape) if isinstance(shape, str) else made_linear(*shape)
    n_in, n_out = (16, 24) if isinstance(shape, str) else shape
    both = rows(3, n_out)
    jacobians = torch.stack(
        [
            torch.autograd.functional.jacobian(
                lambda r: layer(r[None, :n_in], noise=lambda x, n: r[None, n_in:])[0][0], row
            )
            for row in both
        ]
    )
    expected = torch.linalg.slogdet(jacobians)[1]
    expected = expected - StandardNormal(n_out - n_in).log_prob(both[:, n_in:])
    _, contribution = layer(both[:, :n_in], noise=lambda x, n: both[:, n_in:])
    torch.testing.assert_close(contribution, expected, atol=1e-8, rtol=0)


@every_convolution
def test_one_row_of_a_convolution_is_as_many(name):
    layer = made_convolution(name)
    x = rows(4, math.prod(CONVOLUTIONS[name][0]))
    z, contribution = layer(x, noise=shared_noise(generator(1)))
    alone = [layer(row[None], noise=shared_noise(generator(1))) for row in x]
    torch.testing.assert_close(torch.cat([a[0] for a in alone]), z, atol=1e-10, rtol=0)
    torch.testing.assert_close(torch.cat([a[1] for a in alone]), contribution, atol=1e-9, rtol=0)


def test_shared_noise_differs_between_positions():
    layer = made_convolution("widening")
    x = torch.zeros(1, 16, dtype=torch.float64)
    difference = layer(x, noise=shared_noise(generator()))[0] - layer(x, noise=no_noise)[0]
    by_position = difference.view(6, 4)
    assert not torch.allclose(by_position, by_position[:, :1].expand(-1, 4), atol=0.1)


@every_convolution
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_images_stay_finite(name, dtype):
    layer = made_convolution(name).to(dtype).eval()
    shape = CONVOLUTIONS[name][0]
    x = (1e6 * rows(3, math.prod(shape))).to(dtype).requires_grad_()
    z, contribution = layer(x, noise=fresh_noise(generator()))
    total = (z / 1e6).sum() + (contribution / 1e12).sum()
    leaves = [x, *layer.parameters()]
    gradients = torch.autograd.grad(total, leaves, allow_unused=True)
    assert z.isfinite().all()
    assert contribution.isfinite().all()
    assert all(g is None or g.isfinite().all() for g in gradients)


# Starting from data.


def test_an_initialised_reduction_is_the_gaussian_of_the_data():
    x = rows(2_000, 6) @ rows(6, 6, seed=5) + 3
    flow = Flow([], [flowified_linear(6, 2, generator=generator())], StandardNormal(2)).double()
    flow.learned.initialize(x)
    gaussian = SklearnMixture(1).fit(x.numpy()).score(x.numpy())
    assert abs(flow.eval().log_prob(x).mean() - gaussian) < 0.05


@pytest.mark.parametrize("name", sorted(EXACT))
def test_initialising_a_convolution_raises_the_likelihood_of_the_data(name):
    shape = CONVOLUTIONS[name][0]
    x = 0.1 * rows(300, math.prod(shape)) + 5
    layer = flowified_convolution(*CONVOLUTIONS[name], generator=generator(), **SMALL).double()
    z = layer(x)[0]
    flow = Flow([], [layer], StandardNormal(z.shape[1])).double()
    before = flow.log_prob(x).mean()
    z = layer.initialize(x)
    torch.testing.assert_close(z, layer(x)[0])
    truth = torch.distributions.Normal(5, x.new_tensor(0.1)).log_prob(x).sum(1).mean()
    assert before < truth - 100
    assert abs(flow.log_prob(x).mean() - truth) < 0.05 * x.shape[1]


def test_imported_weights_survive_initialising():
    weight = kernel_of("plain")
    layers = {
        8: flowified_linear(8, 3, weight=rows(3, 8), bias=rows(3)).eval(),
        32: flowified_convolution(*CONVOLUTIONS["plain"], weight=weight).eval(),
    }
    for n_features, layer in layers.items():
        x = 3 * rows(100, n_features) + 1
        before, density = layer(x)
        z = layer.initialize(x)
        torch.testing.assert_close(z, before)
        torch.testing.assert_close(layer(x)[0], before)
        assert layer(x)[1].mean() > density.mean()


def test_large_decoders_have_no_regression():
    assert isinstance(gaussian_decoder()(MAX_REGRESSION, 2), StandardizedDecoder)


def test_a_standardized_decoder_fits_location_and_scale():
    decoder = StandardizedDecoder(LocationScale(StandardNormal(4), 2, (8,)), 2).double()
    x, z = 3 * rows(500, 4) + 7, rows(500, 2, seed=1)
    decoder.initialize(x, z)
    assert isinstance(decoder.units, ActNorm)
    torch.testing.assert_close(
        decoder.mean(z), x.view(500, 2, 2).mean((0, 2)).repeat_interleave(2).expand(500, -1)
    )
    drawn = decoder.sample(500, z, generator(2))
    torch.testing.assert_close(drawn.std(), x.std(), rtol=0.1, atol=0)
    expected = torch.distributions.Normal(x.mean(), x.std()).log_prob(x).sum(1)
    torch.testing.assert_close(decoder.log_prob(x, z).mean(), expected.mean(), atol=0.05, rtol=0)


def test_a_settled_rotation_follows_its_parameters():
    from skflow.transforms import CayleyRotation, random_rotation

    first = CayleyRotation(4, fixed=random_rotation(4)).eval()
    second = CayleyRotation(4, fixed=random_rotation(4)).eval()
    with torch.no_grad():
        first.angles.normal_(generator=torch.Generator().manual_seed(0))
    first.eval()
    second.load_state_dict(first.state_dict())
    x = torch.eye(4)
    with torch.no_grad():
        assert torch.equal(first(x)[0], second(x)[0])
        matrix = first.double()(x.double())[0]
    assert (matrix @ matrix.T - torch.eye(4)).abs().max() < 1e-14
    first(x.double())[0].square()[0, 0].backward()  # gradients in evaluation mode too
    assert first.angles.grad.abs().sum() > 0
