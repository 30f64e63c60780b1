"""`flowify`: the network's own output, a density that holds, and refusals that say what to do."""

import copy

import pytest
import torch
from torch import nn

from skflow.distributions import StandardNormal
from skflow.flow import Flow
from skflow.flowification import flowify
from skflow.transforms.augment import Augment
from skflow.transforms.compose import Compose
from skflow.transforms.noise import fresh_draw, fresh_noise, mean_draw, no_noise, shared_noise
from skflow.transforms.tile import Tile
from tests.contract.integration import (
    cell_probabilities,
    central_edges,
    chi_square_per_cell,
    grid,
    histogram,
)
from tests.contract.table import generator, randomise

SMALL = {"hidden_layer_sizes": (8,), "random_state": 0}

NETWORKS = {
    "narrowing": (
        lambda: nn.Sequential(nn.Linear(6, 4), nn.LeakyReLU(0.2), nn.Linear(4, 2)),
        (6,),
    ),
    "widening": (
        lambda: nn.Sequential(
            nn.Linear(3, 5), nn.PReLU(5), nn.Linear(5, 5, bias=False), nn.PReLU(), nn.Linear(5, 2)
        ),
        (3,),
    ),
    "batch_norm": (
        lambda: nn.Sequential(
            nn.BatchNorm1d(5), nn.Linear(5, 4), nn.BatchNorm1d(4, affine=False), nn.LeakyReLU()
        ),
        (5,),
    ),
    "lenet": (
        lambda: nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.LeakyReLU(0.1),
            nn.AvgPool2d(2),
            nn.Conv2d(4, 6, 3, stride=2, padding=(1, 0)),
            nn.PReLU(6),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(6, 5),
        ),
        (1, 13, 14),
    ),
    "same": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 3, (3, 1), padding="same", bias=False),
            nn.PReLU(),
            nn.AvgPool2d(2, 1),
            nn.Conv2d(3, 2, 2, padding="valid"),
        ),
        (2, 4, 4),
    ),
    "exact_images": (
        lambda: nn.Sequential(
            nn.Unflatten(1, (1, 6, 6)),
            nn.Conv2d(1, 3, 2, stride=2),
            nn.LeakyReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(1),
        ),
        (36,),
    ),
    "nested": (
        lambda: nn.Sequential(
            nn.Sequential(nn.Linear(4, 4), nn.Identity(), nn.LeakyReLU()),
            nn.Sequential(nn.Sequential(nn.Linear(4, 3), nn.PReLU()), nn.Linear(3, 3)),
        ),
        (4,),
    ),
    "a_single_layer": (lambda: nn.Linear(3, 2), (3,)),
    "nothing": (lambda: nn.Sequential(), (3,)),
}
EXACT = {"narrowing", "batch_norm", "exact_images", "nested", "a_single_layer", "nothing"}
every_network = pytest.mark.parametrize("name", NETWORKS)


def rows(n, *shape, seed=0):
    return torch.randn(n, *shape, generator=generator(seed), dtype=torch.float64)


def make_network(name, dtype=torch.float64):
    """The network with random weights and running statistics, in training mode."""
    build, shape = NETWORKS[name]
    network = build()
    for i, parameter in enumerate(network.parameters()):
        with torch.no_grad():
            scale = parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.2
            parameter.copy_(scale * rows(*parameter.shape, seed=i))
    for layer in network.modules():
        if isinstance(layer, nn.PReLU):
            nn.init.constant_(layer.weight, 0.3)
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.running_mean.copy_(rows(layer.num_features, seed=8))
            layer.running_var.copy_(rows(layer.num_features, seed=9) ** 2 + 0.3)
            if layer.affine:
                with torch.no_grad():
                    layer.weight.copy_(rows(layer.num_features, seed=7))
    return network.to(dtype), shape


def make_flowified(name, dtype=torch.float64):
    network, shape = make_network(name, dtype)
    return flowify(network, example_input=torch.zeros(2, *shape, dtype=dtype), **SMALL), shape


@every_network
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_the_mean_path_is_the_network(name, dtype, tolerance):
    network, shape = make_network(name, dtype)
    flowified = flowify(network, example_input=torch.zeros(2, *shape, dtype=dtype), **SMALL)
    x = rows(6, *shape, seed=3).to(dtype)
    expected = network.eval()(x)
    for mode in (False, True):
        z, contribution = flowified.train(mode)(x, noise=no_noise)
        assert z.shape == expected.shape
        assert z.dtype == contribution.dtype == dtype
        assert contribution.shape == (6,)
        torch.testing.assert_close(z, expected, atol=tolerance, rtol=tolerance)
    assert flowified.exact == (name in EXACT)
    restored = flowified.eval().inverse(z)
    assert restored.shape == x.shape
    assert restored.dtype == dtype


def test_the_module_and_all_global_state_stay_as_they_are():
    network, shape = make_network("lenet")
    network[2].eval()
    modes = [m.training for m in network.modules()]
    before = copy.deepcopy(network.state_dict())
    state = torch.get_rng_state()
    flowified = flowify(network, example_input=rows(2, *shape))
    assert torch.equal(torch.get_rng_state(), state)
    assert [m.training for m in network.modules()] == modes
    after = network.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert not flowified.training
    randomise(flowified)  # nothing is shared
    assert all(torch.equal(before[key], network.state_dict()[key]) for key in before)


def test_the_same_seed_gives_the_same_flow():
    network, shape = make_network("lenet")
    x = rows(3, *shape)
    first, second, third = (
        flowify(network, example_input=x, hidden_layer_sizes=(8,), random_state=seed)
        for seed in (1, 1, 2)
    )
    states = [f.state_dict() for f in (first, second, third)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert any(not torch.equal(states[0][key], states[2][key]) for key in states[0])


def leaves(transform):
    if isinstance(transform, Compose):
        for step in transform.steps:
            yield from leaves(step)
    else:
        yield transform


@every_network
def test_the_laws_hold_whatever_training_does(name):
    """Reductions: forward(inverse(z)) = z; widenings: inverse(forward(x)) = x; step by step."""
    flowified, shape = make_flowified(name)
    randomise(flowified, seed=4, scale=0.2).eval()
    noise, draw = fresh_noise(generator(5)), fresh_draw(generator(6))
    x = rows(8, *shape).flatten(1)
    for step in leaves(flowified.transform):
        z = step(x, None, noise)[0] if isinstance(step, Augment | Tile) else step(x)[0]
        if z.shape[1] < x.shape[1]:
            for d in (draw, mean_draw):
                torch.testing.assert_close(step(step.inverse(z, draw=d))[0], z, atol=1e-7, rtol=0)
        else:
            torch.testing.assert_close(step.inverse(z), x, atol=1e-7, rtol=0)
        x = z


@pytest.mark.parametrize("name", sorted(EXACT - {"batch_norm"}))
def test_an_exact_flow_undoes_what_it_draws(name):
    flowified, _ = make_flowified(name)
    randomise(flowified, seed=4, scale=0.2).eval()
    z = rows(9, *flowified.output_shape)
    drawn = flowified.inverse(z, draw=fresh_draw(generator()))
    torch.testing.assert_close(flowified(drawn)[0], z, atol=1e-8, rtol=0)


@pytest.mark.parametrize("activation", [nn.LeakyReLU(0.3), nn.PReLU(init=0.5), nn.PReLU(2, 0.5)])
def test_the_density_of_a_narrowing_network(activation):
    network = nn.Sequential(nn.Linear(2, 2), activation, nn.Linear(2, 1)).double()
    with torch.no_grad():  # so that the mass stays on the grid
        network[0].weight.copy_(torch.tensor([[1.2, 0.4], [-0.3, 0.8]]))
        network[2].weight.copy_(torch.tensor([[0.7, -0.9]]))
        network[0].bias.copy_(torch.tensor([0.3, -0.2]))
        network[2].bias.fill_(0.1)
    flowified = flowify(network, example_input=rows(1, 2), **SMALL)
    randomise(flowified, seed=1, scale=0.25).eval()
    flow = Flow([], [flowified], StandardNormal(1).double())
    assert flow.exact
    points, volume = grid([-40.0] * 2, [40.0] * 2, 2_000)
    with torch.no_grad():
        density = torch.cat([flow.log_prob(part).exp() for part in points.split(500_000)])
        samples = flow.sample(100_000, generator=generator(1))
    assert abs(density.sum() * volume - 1) < 2e-3
    mean = (density[:, None] * points).sum(0) * volume
    covariance = (density[:, None] * (points - mean)).T @ (points - mean) * volume
    error = samples.std(0) / len(samples) ** 0.5
    assert ((samples.mean(0) - mean).abs() < 5 * error).all()
    torch.testing.assert_close(samples.T.cov(), covariance, rtol=0.1, atol=0.02)


def test_samples_of_a_pooled_pair_follow_the_density():
    network = nn.Sequential(nn.Unflatten(1, (1, 1, 2)), nn.MaxPool2d((1, 2)), nn.Flatten())
    flowified = flowify(network.double(), example_input=rows(1, 2))
    flow = Flow([], [flowified], StandardNormal(1).double())
    samples = flow.sample(20_000, generator=generator(1)).detach()
    edges = central_edges(samples)
    probabilities = cell_probabilities(flow.log_prob, edges, 150)
    assert chi_square_per_cell(histogram(samples, edges), probabilities, 20_000) < 2.5


@every_network
def test_one_row_is_as_many_and_flat_rows_are_taken(name):
    flowified, shape = make_flowified(name)
    randomise(flowified, seed=4, scale=0.2).eval()
    x = rows(4, *shape)
    z, contribution = flowified(x, noise=shared_noise(generator(1)))
    alone = [flowified(row[None], noise=shared_noise(generator(1))) for row in x]
    torch.testing.assert_close(torch.cat([a[0] for a in alone]), z, atol=1e-10, rtol=0)
    torch.testing.assert_close(torch.cat([a[1] for a in alone]), contribution, atol=1e-8, rtol=0)
    flat = flowified(x.flatten(1), noise=shared_noise(generator(1)))
    torch.testing.assert_close(flat[0], z)
    a = flowified.inverse(z, draw=fresh_draw(generator(2)))
    b = flowified.inverse(z.flatten(1), draw=fresh_draw(generator(2)))
    assert torch.equal(a, b)
    with pytest.raises(ValueError, match="expected rows of shape"):
        flowified(rows(2, 99))


@every_network
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_rows_stay_finite(name, dtype):
    flowified, shape = make_flowified(name, dtype)
    x = (1e6 * rows(3, *shape)).to(dtype).requires_grad_()
    z, contribution = flowified(x, noise=fresh_noise(generator()))
    assert z.isfinite().all()
    assert contribution.isfinite().all()
    total = (z / 1e6).sum() + (contribution / 1e12).sum()
    used = [p for p in flowified.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(total, [x, *used], allow_unused=True)
    assert all(g is None or g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - {"nothing"}))
def test_initialising_keeps_the_network_and_fits_the_rest(name):
    flowified, shape = make_flowified(name)
    x = 0.3 * rows(200, *shape) + 1
    before, density = flowified(x, noise=no_noise)
    z = flowified.initialize(x)
    assert z.shape == before.shape
    torch.testing.assert_close(flowified(x, noise=no_noise)[0], before)
    if name in ("narrowing", "exact_images", "lenet"):
        assert flowified(x, noise=no_noise)[1].mean() > density.mean() + 1


@pytest.mark.parametrize("device", ["meta", *(["cuda"] if torch.cuda.is_available() else [])])
@every_network
def test_flowified_networks_stay_on_their_device(name, device):
    flowified, shape = make_flowified(name)
    x = torch.ones(3, *shape, dtype=torch.float64, device=device)
    flowified.to(device)
    z, contribution = flowified(x)
    made = (z, contribution, flowified.inverse(z), flowified.inverse(z, draw=mean_draw))
    assert all(t.device.type == device for t in made)


def test_a_flow_on_images_trains():
    """The images of a small network: a few steps of gradient descent raise the likelihood."""
    flowified, shape = make_flowified("exact_images", torch.float32)
    flow = Flow([], [flowified], StandardNormal(3)).train()
    x = (0.5 * rows(64, *shape) + 1).float()
    optimiser = torch.optim.Adam(flow.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        loss = -flow.log_prob(x).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 10
    restored = flow.eval().sample(5, generator=generator())
    torch.testing.assert_close(flow.encode(restored).shape, (5, 3))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x):
        return x + self.inner(x)


class OwnSequential(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


class Plain(nn.Sequential):
    """A subclass that changes nothing."""


IMAGE = (1, 4, 4)
REFUSED = [
    (nn.ReLU(), (4,), "atom.*nn.LeakyReLU"),
    (nn.Hardtanh(), (4,), "atom.*nn.LeakyReLU"),
    (nn.GELU(), (4,), "not invertible.*nn.LeakyReLU"),
    (nn.SiLU(), (4,), "not invertible.*nn.LeakyReLU"),
    (nn.LeakyReLU(0.0), (4,), "negative_slope must be positive"),
    (nn.ELU(), (4,), "leak.*nn.LeakyReLU"),
    (nn.SELU(), (4,), "leak.*nn.LeakyReLU"),
    (nn.CELU(), (4,), "leak.*nn.LeakyReLU"),
    (nn.Softplus(), (4,), "leak.*nn.LeakyReLU"),
    (nn.Tanh(), (4,), "leak.*nn.LeakyReLU"),
    (nn.Sigmoid(), (4,), "leak.*nn.LeakyReLU"),
    (nn.LayerNorm(4), (4,), "loses dimensions.*nn.BatchNorm1d"),
    (nn.GroupNorm(1, 4), (4,), "loses dimensions.*nn.BatchNorm1d"),
    (nn.Softmax(1), (4,), "loses dimensions.*drop a softmax"),
    (nn.MultiheadAttention(4, 1), (4,), "attention has no inverse.*Coupling"),
    (nn.TransformerEncoderLayer(4, 1, 8), (3, 4), "attention has no inverse.*Coupling"),
    (Residual(), (4,), "residual block.*Coupling"),
    (OwnSequential(nn.Linear(4, 4)), (4,), "residual block.*Coupling"),
    (nn.ConvTranspose2d(1, 1, 2), IMAGE, "not supported. Supported are Sequential, Linear"),
    (nn.AdaptiveAvgPool2d(1), IMAGE, "nn.AvgPool2d"),
    (nn.Linear(4, 4), IMAGE, "more than one dimension; put nn.Flatten"),
    (nn.LazyLinear(3), (4,), "no weights yet"),
    (nn.Conv2d(2, 2, 1, groups=2), (2, 4, 4), "groups=2"),
    (nn.Conv2d(1, 1, 2, dilation=2), IMAGE, "dilation=.2, 2."),
    (nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"), IMAGE, "padding_mode='circular'"),
    (nn.Conv2d(1, 1, 2, padding="same"), IMAGE, "odd kernels"),
    (nn.Conv2d(1, 1, 2), (4,), "must be .channels, height, width."),
    (nn.AvgPool2d(2, padding=1), IMAGE, "padding=1"),
    (nn.AvgPool2d(2, ceil_mode=True), IMAGE, "ceil_mode"),
    (nn.AvgPool2d(2, divisor_override=3), IMAGE, "divisor_override"),
    (nn.MaxPool2d(2, stride=1), IMAGE, "stride equal to the kernel size"),
    (nn.MaxPool2d(2, padding=1), IMAGE, "padding=1"),
    (nn.BatchNorm1d(4, track_running_stats=False), (4,), "track_running_stats=True"),
    (nn.Flatten(0), (4,), "start_dim=1"),
]


@pytest.mark.parametrize(("layer", "shape", "reason"), REFUSED)
def test_refusals_name_the_layer_and_the_way_out(layer, shape, reason):
    network = nn.Sequential(nn.Identity(), nn.Sequential(nn.Identity(), Plain(layer)))
    with pytest.raises(
        ValueError, match=rf"^layer '1\.1\.0' \({type(layer).__name__}\): .*{reason}"
    ):
        flowify(network, example_input=torch.zeros(1, *shape))


def test_names_of_layers_are_kept_and_a_bare_module_has_none():
    block = Plain()
    block.add_module("act", nn.ReLU())
    network = nn.Sequential(nn.Identity())
    network.add_module("block", block)
    with pytest.raises(ValueError, match=r"^layer 'block\.act' \(ReLU\): it is constant"):
        flowify(network, example_input=torch.zeros(1, 2))
    with pytest.raises(ValueError, match=r"^Residual: a module with a forward pass of its own"):
        flowify(Residual(), example_input=torch.zeros(1, 4))


@pytest.mark.parametrize(
    ("value", "reason"), [(0.0, "rank-deficient"), (1.0, "rank-deficient"), ("norm", "zero")]
)
def test_weights_without_an_inverse_are_refused(value, reason):
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.PReLU())
    with torch.no_grad():
        if value == "norm":
            network[0].weight.copy_(torch.eye(2))
            network[1].weight[1] = 0
        else:
            network[0].weight.fill_(value)
    with pytest.raises(ValueError, match=rf"^layer '[01]' .*{reason}"):
        flowify(network, example_input=torch.zeros(1, 2))


def test_dropout_becomes_the_identity_with_a_warning():
    network = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), nn.Linear(3, 3)).double()
    randomise(network)
    with pytest.warns(UserWarning, match=r"layer '1' \(Dropout\): becomes the identity") as caught:
        flowified = flowify(network, example_input=rows(1, 3))
    assert caught[0].filename == __file__
    x = rows(4, 3)
    torch.testing.assert_close(flowified(x)[0], network.eval()(x), atol=1e-10, rtol=0)


def test_a_layer_used_twice_counts_twice():
    layer = nn.Linear(3, 3).double()
    randomise(layer)
    network = nn.Sequential(layer, nn.LeakyReLU(), layer)
    x = rows(4, 3)
    z, _ = flowify(network, example_input=x)(x)
    torch.testing.assert_close(z, network(x), atol=1e-10, rtol=0)


def test_importing_the_package_does_not_import_torch():
    import subprocess
    import sys

    code = "import sys, skflow; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_hook_is_refused():
    net = nn.Sequential(nn.Linear(3, 2))
    net[0].register_forward_hook(lambda module, args, out: 3 * out)
    with pytest.raises(ValueError, match=r"layer '0' \(Linear\): a forward hook"):
        flowify(net, example_input=torch.zeros(1, 3))


def test_parts_of_a_flowified_network_add_up():
    net = nn.Sequential(nn.Linear(4, 3), nn.LeakyReLU(0.2), nn.Linear(3, 2))
    flow = Flow(
        [], [flowify(net, example_input=torch.zeros(1, 4), random_state=0)], StandardNormal(2)
    )
    parts = flow.log_prob_in_parts(torch.ones(3, 4))
    torch.testing.assert_close(sum(parts.values()), flow.log_prob(torch.ones(3, 4)))
    assert (parts["dropped"] != 0).all()
