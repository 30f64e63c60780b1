"""The layers of FunnelFlow, built from a plan of plain values and the start they begin at."""

from math import ceil, prod

import torch

from skflow.architectures.couplings import coupling_stack, make_family
from skflow.architectures.decoders import initialized_decoder, split
from skflow.architectures.glow import ImageShape, glow_coupling
from skflow.distributions import (
    Decoder,
    FlowBase,
    LocationScale,
    StandardNormal,
    StudentT,
)
from skflow.distributions.student_t import NEARLY_NORMAL
from skflow.networks.convolutional import ConvNet
from skflow.transforms import (
    ActNorm,
    Autoregressive,
    Compose,
    ConditionalLinear,
    Coupling,
    FlowDecoder,
    Funnel,
    LULinear,
    Permutation,
    StandardizedDecoder,
    Transform,
    make_rotation,
    random_rotation,
    squeeze_order,
)

Built = tuple[Compose, FlowBase]


def funnel_layers(
    plan: dict, base: FlowBase, generator: torch.Generator | None, *, ordered: bool
) -> Built:
    """Couplings on all columns, a rotation, the funnel, couplings on what it keeps."""
    d, k = base.n_features, plan["n_components"]
    family, hidden = make_family(plan["bijection"], plan["n_bins"]), plan["hidden_layer_sizes"]
    steps: list[Transform] = [coupling_stack(d, plan["n_layers"], family, hidden, generator)]
    funnel, rest = _dense_funnel(plan, base, k, generator, ordered=ordered)
    after = coupling_stack(k, plan["n_layers_after"], family, hidden, generator)
    return Compose([*steps, *funnel, after]), rest


def _dense_funnel(
    plan: dict, base: FlowBase, k: int, generator, *, ordered: bool
) -> tuple[list[Transform], FlowBase]:
    """A rotation to the principal axes and a funnel onto the first ``k``; nothing if all stay."""
    d = base.n_features
    if k == d:
        return [], base
    turned, axes = base.on_principal_axes(ordered=ordered)
    base, decoder = split(turned, k, plan["decoder"], plan["hidden_layer_sizes"], generator)
    transform = _funnel_transform(plan, k, d - k, generator)
    funnel = Funnel(d, k, decoder, transform)
    return [make_rotation(d, fixed=axes, generator=generator), funnel], base


def _funnel_transform(plan: dict, n_kept: int, n_dropped: int, generator) -> Transform | None:
    family = make_family(plan["bijection"], plan["n_bins"])
    options = {
        "hidden_layer_sizes": plan["hidden_layer_sizes"],
        "n_context": n_dropped,
        "generator": generator,
    }
    if plan["funnel"] == "coupling":
        return Coupling(n_kept, family, n_kept=0, **options)
    if plan["funnel"] == "autoregressive":
        return Autoregressive(n_kept, family, **options)
    return ConditionalLinear(n_kept, n_dropped) if plan["funnel"] == "dense" else None


def convolutional_funnel_layers(plan: dict, generator: torch.Generator | None) -> Built:
    """Scales of [squeeze, Glow steps, funnel over the channels]; a dense funnel for the rest.

    As in `flowified_layers.image_layers`, scales and axes come from the images when the layers are
    initialised.
    """
    shape: ImageShape = tuple(plan["image_shape"])
    k = plan["n_components"]
    steps: list[Transform] = []
    while shape[1] % 2 == 0 and shape[2] % 2 == 0 and (not steps or prod(shape) > k):
        steps.append(Permutation(prod(shape), order=squeeze_order(*shape)))
        shape = (4 * shape[0], shape[1] // 2, shape[2] // 2)
        steps += _glow_steps(plan, shape, plan["n_layers"], generator)
        kept = ceil(k / (shape[1] * shape[2]))
        if kept < shape[0]:
            # To the principal axes of the patches: the first channels are worth keeping.
            rotation = make_rotation(prod(shape), shape[1] * shape[2], generator=generator)
            steps += [rotation, _channel_funnel(plan, shape, kept, generator)]
            shape = (kept, *shape[1:])
    if shape[0] > 1:
        steps += _glow_steps(plan, shape, plan["n_layers_after"], generator)
    if k < prod(shape):
        steps += [_rest_funnel(plan, prod(shape), k, generator), ActNorm(k)]
    return Compose(steps), StandardNormal(k).double()


def _rest_funnel(plan, n_features: int, k: int, generator) -> Compose:
    """A dense funnel that takes its axes and its decoder's regression from the images."""
    make = initialized_decoder(plan["decoder"], plan["hidden_layer_sizes"], generator)
    rotation = make_rotation(n_features, generator=generator)
    transform = _funnel_transform(plan, k, n_features - k, generator)
    return Compose([rotation, Funnel(n_features, k, make(n_features - k, k), transform)])


def _glow_steps(plan, shape, n_steps, generator) -> list[Transform]:
    channels, height, width = shape
    steps: list[Transform] = []
    for _ in range(n_steps):
        rotation = random_rotation(channels, generator)
        steps += [
            ActNorm(prod(shape), height * width),
            LULinear(prod(shape), height * width, rotation),
            glow_coupling(shape, plan["n_hidden_channels"], generator),
        ]
    return steps


def _channel_funnel(plan, shape: ImageShape, kept: int, generator) -> Funnel:
    """A funnel at every position, its decoder and its map reading the positions around it."""
    channels, height, width = shape
    latent, dropped = (kept, height, width), (channels - kept, height, width)
    n_kept, n_dropped = prod(latent), prod(dropped)
    family, hidden = make_family(plan["bijection"], plan["n_bins"]), plan["n_hidden_channels"]
    transform: Transform | None = None
    if plan["funnel"] == "coupling":
        network = ConvNet(dropped, family.n_parameters, kept, hidden, generator=generator)
        transform = Coupling(n_kept, family, n_kept=0, network=network, n_context=n_dropped)
    elif plan["funnel"] == "dense":
        transform = ConditionalLinear(n_kept, n_dropped, height * width)
    decoder = channel_decoder(plan, latent, dropped, generator)
    return Funnel(prod(shape), n_kept, decoder, transform)


def channel_decoder(plan, latent: ImageShape, dropped: ImageShape, generator) -> Decoder:
    """Density of the dropped channels given the latent ones around them."""
    hidden, n_dropped = plan["n_hidden_channels"], prod(dropped)
    if plan["decoder"] == "spline":
        family = make_family("spline", plan["n_bins"])
        steps: list[Transform] = []
        # Channel after channel, each given the latent ones and the channels before it.
        for kept in range(dropped[0]):
            seen = (latent[0] + kept, *latent[1:])
            network = ConvNet(
                seen, family.n_parameters, dropped[0] - kept, hidden, generator=generator
            )
            n_kept = kept * prod(latent[1:])
            steps.append(
                Coupling(n_dropped, family, n_kept=n_kept, network=network, n_context=prod(latent))
            )
        return FlowDecoder(n_dropped, Compose(steps))
    noise = (
        StudentT(n_dropped, NEARLY_NORMAL)
        if plan["decoder"] == "student_t"
        else StandardNormal(n_dropped)
    )
    network = ConvNet(latent, 2, dropped[0], hidden, generator=generator)
    decoder = LocationScale(noise, n_dropped, network=network)
    return StandardizedDecoder(decoder, prod(latent[1:]))
