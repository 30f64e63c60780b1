"""What the base class checks: the context, once for all layers."""

import pytest
import torch

from skflow.distributions import LocationScale, StandardNormal
from skflow.flow import Flow
from skflow.transforms import (
    VAE,
    Abs,
    Affine,
    Augment,
    Autoregressive,
    BinaryArgmax,
    Compose,
    ConditionalLinear,
    Coupling,
    CouplingStack,
    Dequantize,
    FlowDecoder,
    Funnel,
    GenerativeAbs,
    GenerativeMax,
    GenerativeReLU,
    GumbelArgmax,
    Ledger,
    LULinear,
    Max,
    OnFirst,
    Partition,
    Permutation,
    ReLU,
    Rounding,
    SoftplusArgmax,
)
from skflow.transforms.noise import mean_draw, no_noise
from tests.contract.table import generator

D, N = 4, 5
SMALL = {"hidden_layer_sizes": (8, 8)}


def decoder(d, n_context):
    return LocationScale(StandardNormal(d), n_context, (8,))


def dequantize(c):
    inner = Coupling(D, Affine(), n_kept=0, n_context=D + c, **SMALL)
    return Dequantize(torch.ones(D), torch.zeros(D), transform=inner, n_context=c)


# From the width of the context to layers of four columns that take one.
TAKERS = {
    "coupling": lambda c: Coupling(D, Affine(), n_context=c, **SMALL),
    "autoregressive": lambda c: Autoregressive(D, Affine(), n_context=c, **SMALL),
    "conditional_linear": lambda c: ConditionalLinear(D, c),
    "slice": lambda c: Funnel(D, 2, decoder(2, 2 + c), n_context=c),
    "funnel": lambda c: Funnel(
        D, 2, decoder(2, 2 + c), Coupling(2, Affine(), n_context=2 + c, **SMALL), n_context=c
    ),
    "augment": lambda c: Augment(D, 2, n_context=c),
    "vae": lambda c: VAE(D, 2, decoder(D, 2 + c), n_context=c),
    "abs": lambda c: Abs(D, n_context=c),
    "generative_abs": lambda c: GenerativeAbs(D, n_context=c),
    "relu": lambda c: ReLU(D, n_context=c),
    "generative_relu": lambda c: GenerativeReLU(D, n_context=c),
    "max": lambda c: Max(D, [0, 1], n_context=c),
    "generative_max": lambda c: GenerativeMax(D, 3, n_context=c),
    "partition": lambda c: Partition(D, [0.0], n_context=c),
    "softplus_argmax": lambda c: SoftplusArgmax([2] * D, n_context=c),
    "gumbel_argmax": lambda c: GumbelArgmax([2] * D, n_context=c),
    "binary_argmax": lambda c: BinaryArgmax([2] * D, n_context=c),
    "dequantize": dequantize,
    "rounding": lambda c: Rounding(
        torch.ones(D), torch.zeros(D), decoder=decoder(D, D + c), n_context=c
    ),
    "on_first": lambda c: OnFirst(2, ConditionalLinear(2, c)),
    "coupling_stack": lambda c: CouplingStack(
        [Permutation(D), Permutation(D)], [Coupling(D, Affine(), n_context=c, **SMALL)]
    ),
    "compose": lambda c: Compose(
        [LULinear(D), ConditionalLinear(D, c), Coupling(D, Affine()), Permutation(D)]
    ),
}


def calls(layer, context):
    """The ways into a layer that take a context."""
    x, z = torch.ones(N, D), torch.ones(N, layer(torch.ones(N, D), torch.ones(N, 3))[0].shape[1])
    return [
        lambda: layer(x, context),
        lambda: layer.inverse(z, context),
        lambda: layer.initialize(x, None, context),
        lambda: layer.forward_in_parts(x, context),
        lambda: layer.forward_booked(x, context, None, Ledger(x)),
    ]


@pytest.mark.parametrize("name", TAKERS)
def test_a_wrong_or_missing_context_is_named(name):
    layer = TAKERS[name](3)
    assert layer.n_context == 3
    takes = rf"{type(layer).__name__} takes a context of shape \(5, 3\), got "
    for context, got in (
        (None, "none"),
        (torch.ones(N, 2), r"one of shape \(5, 2\)"),
        (torch.ones(N, 4), r"one of shape \(5, 4\)"),
        (torch.ones(1, 3), r"one of shape \(1, 3\)"),
        (torch.ones(3), r"one of shape \(3,\)"),
    ):
        for call in calls(layer, context):
            with pytest.raises(ValueError, match=takes + got):
                call()


@pytest.mark.parametrize("name", TAKERS)
def test_a_layer_without_a_context_takes_none(name):
    if name in ("conditional_linear", "on_first", "compose"):
        layer = LULinear(D)
    else:
        layer = TAKERS[name](0)
    x = torch.ones(N, D)
    layer(x)
    with pytest.raises(ValueError, match=r"takes no context, got one of shape \(5, 3\)"):
        layer(x, torch.ones(N, 3))


def test_steps_take_the_same_context_or_none():
    with pytest.raises(ValueError, match=r"contexts of different widths: \[2, 3\]"):
        Compose([ConditionalLinear(D, 3), LULinear(D), ConditionalLinear(D, 2)])


def test_a_flow_names_the_missing_context():
    flow = Flow([], [TAKERS["compose"](3)], StandardNormal(D))
    x = torch.ones(N, D)
    for call in (flow.log_prob, flow.encode, flow.decode, flow.log_prob_in_parts):
        with pytest.raises(ValueError, match=r"Compose takes a context of shape \(5, 3\)"):
            call(x)
    with pytest.raises(ValueError, match=r"Compose takes a context of shape \(5, 3\)"):
        flow.sample(N)
    assert flow.sample(N, torch.ones(N, 3)).shape == (N, D)


def test_a_decoder_names_the_missing_context():
    made = FlowDecoder(D, TAKERS["autoregressive"](3))
    with pytest.raises(ValueError, match=r"Autoregressive takes a context of shape \(5, 3\)"):
        made.log_prob(torch.ones(N, D), torch.ones(N, 2))
    with pytest.raises(ValueError, match=r"Autoregressive takes a context of shape \(5, 3\)"):
        made.sample(N, torch.ones(N, 2))


def test_what_is_inside_must_take_what_it_will_get():
    inner = Coupling(2, Affine(), n_kept=0, n_context=3)
    with pytest.raises(ValueError, match="width 3, but 2 columns are dropped"):
        Funnel(D, 2, decoder(2, 2), inner)
    with pytest.raises(ValueError, match="width 3, but there are 2 levels"):
        Dequantize(torch.ones(2), torch.zeros(2), transform=inner)


def test_what_takes_no_context_inside_gets_none():
    layer = Funnel(D, 2, decoder(2, 2 + 3), LULinear(2), n_context=3)
    x, context = torch.randn(N, D, generator=generator()), torch.ones(N, 3)
    z = layer.initialize(x, None, context)
    torch.testing.assert_close(z, x[:, :2])
    drawn = layer.inverse(z, context, mean_draw)
    torch.testing.assert_close(drawn[:, :2], z)


def test_randomness_comes_from_where_the_caller_says():
    layer = Compose([Augment(D, 2), OnFirst(3, LULinear(3))])
    x = torch.ones(N, D)
    assert (layer(x, None, no_noise)[0][:, D:] == 0).all()
    torch.manual_seed(0)
    first = layer(x)[0]
    assert not torch.equal(layer(x)[0], first)
    torch.manual_seed(0)
    assert torch.equal(layer(x)[0], first)
