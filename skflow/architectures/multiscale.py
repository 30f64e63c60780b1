"""The layers of MultiscaleFlow, built from a plan of plain values and the start they begin at.

Scale after scale: layers on the dimensions that are left, then the last half of those is cut off
and described by a decoder. The dimensions come in the order of the ranking, so the first stay.
"""

from collections.abc import Sequence
from math import ceil, prod

import torch
from torch import Tensor

from skflow.architectures.couplings import coupling_stack, make_family
from skflow.architectures.decoders import initialized_decoder, split
from skflow.architectures.funnel import channel_decoder
from skflow.architectures.glow import ImageShape, glow_coupling
from skflow.distributions import Decoder, FlowBase, StandardDecoder, StandardNormal
from skflow.flow import Flow
from skflow.transforms import (
    ActNorm,
    Autoregressive,
    Compose,
    Factors,
    Funnel,
    LULinear,
    Permutation,
    Transform,
    squeeze_order,
)
from skflow.transforms.noise import Draw

Built = tuple[Compose, FlowBase]


def table_layers(plan: dict, base: FlowBase, generator: torch.Generator | None) -> Built:
    """Layers and cuts on the columns of a table, which the base has in the ranking's order."""
    hidden = plan["hidden_layer_sizes"]
    steps: list[Transform] = [_mixing(plan, plan["widths"][0], generator)]
    for width in plan["widths"][1:]:
        dropped_from = base.n_features
        base, decoder = split(base, width, plan["decoder"], hidden, generator)
        steps += [Funnel(dropped_from, width, decoder), _mixing(plan, width, generator)]
    return _with_prior(steps, base, plan, generator)


def _mixing(plan: dict, n_features: int, generator) -> Compose:
    """Layers on all of so many dimensions."""
    family, hidden = make_family(plan["bijection"], plan["n_bins"]), plan["hidden_layer_sizes"]
    if plan["architecture"] == "coupling":
        return coupling_stack(n_features, plan["n_layers"], family, hidden, generator)
    # Always in the ranking's order: the first latents are a function of the first dimensions.
    return Compose(
        Autoregressive(n_features, family, hidden_layer_sizes=hidden, generator=generator)
        for _ in range(plan["n_layers"])
    )


def _with_prior(steps: Sequence[Transform], base: FlowBase, plan: dict, generator) -> Built:
    """The prior behind all scales: the base itself, or one of fewer dimensions."""
    d, k, prior = base.n_features, plan["n_prior"], plan["prior"]
    hidden, floor = plan["hidden_layer_sizes"], plan["scale_floor"]
    if prior == "normal":
        return Compose(steps), base
    if prior in ("lowrank", "vae"):
        sizes = hidden if prior == "vae" else None
        factors = Factors(d, k, sizes, floor=floor, generator=generator)
        return Compose([*steps, factors]), StandardNormal(k).double()
    if k == d:
        return Compose([*steps, _mixing(plan, d, generator)]), base
    base, decoder = split(base, k, plan["decoder"], hidden, generator)
    return Compose([*steps, Funnel(d, k, decoder), _mixing(plan, k, generator)]), base


def uncut_layers(plan: dict, n_features: int, generator: torch.Generator | None) -> Built:
    """The layers that columns are ranked in: nothing cut off, a normal behind."""
    if plan["image_shape"] is not None:
        one_scale = {key: plan[key][:1] for key in ("scale_shapes", "squeeze_orders")}
        return image_layers({**plan, **one_scale, "prior": "normal"}, generator)
    n_layers = plan["n_layers"] * len(plan["widths"])
    if plan["architecture"] == "autoregressive":
        n_layers *= 2  # each moves all columns, a coupling half of them
    family, hidden = make_family(plan["bijection"], plan["n_bins"]), plan["hidden_layer_sizes"]
    stack = coupling_stack(n_features, n_layers, family, hidden, generator)
    return stack, StandardNormal(n_features)


# -- images ---------------------------------------------------------------------------------------


def halved_widths(n_features: int, most: int, least: int) -> list[int]:
    """Dimensions at every scale: half of those of the one before, and ``least`` of them."""
    widths = [n_features]
    while len(widths) < most and max(ceil(widths[-1] / 2), least) < widths[-1]:
        widths.append(max(ceil(widths[-1] / 2), least))
    return widths


def scale_shapes(shape: ImageShape, most: int, least: int = 1) -> list[ImageShape]:
    """Shapes that the layers of every scale act on: squeezed where that is possible.

    After each but the last the second half of the channels is cut off; ``least`` pixels are left.
    """
    shapes: list[ImageShape] = []
    channels, height, width = shape
    while len(shapes) < most:
        if height % 2 == 0 and width % 2 == 0:
            channels, height, width = 4 * channels, height // 2, width // 2
        if shapes and channels == 1:
            break
        shapes.append((channels, height, width))
        channels = (channels + 1) // 2
    while prod(shapes[-1]) < least:
        shapes.pop()
    return shapes


def ranked_squeeze(shape: ImageShape, contribution: Tensor, *, alike: bool) -> Tensor:
    """Order of the columns that squeezes 2 x 2 blocks, the entry that contributes most first.

    The entries of every channel's blocks are ranked: ``alike``, by their means over all blocks, or
    each block by itself. The first of the squeezed channels hold each block's first entry, and so
    on; for a convolution these are images only where blocks side by side are ranked alike.
    """
    blocks = squeeze_order(*shape).view(shape[0], 4, -1)
    entries = contribution[blocks]
    if alike:
        entries = entries.mean(2, keepdim=True).expand_as(entries)
    ranks = entries.argsort(dim=1, descending=True, stable=True)
    ranked = blocks.gather(1, ranks)  # (channels, rank, positions)
    return ranked.transpose(0, 1).reshape(-1)


def squeeze_orders(
    shape: ImageShape, shapes: list[ImageShape], contribution: Tensor, *, alike: bool
) -> list[list[int] | None]:
    """For every scale the order of its squeeze by these contributions; None where it has none."""
    orders: list[list[int] | None] = []
    for squeezed in shapes:
        if squeezed[1:] == shape[1:]:
            orders.append(None)
        else:
            order = ranked_squeeze(shape, contribution, alike=alike)
            contribution = contribution[order]
            orders.append(order.tolist())
        kept = (squeezed[0] + 1) // 2
        shape = (kept, *squeezed[1:])
        contribution = contribution[: prod(shape)]
    return orders


def squeeze_orders_of(plan: dict, contribution: Tensor, *, alike: bool) -> list[list[int] | None]:
    """The orders of a plan's scales by these contributions."""
    shapes = [tuple(shape) for shape in plan["scale_shapes"]]
    return squeeze_orders(tuple(plan["image_shape"]), shapes, contribution, alike=alike)


def image_layers(plan: dict, generator: torch.Generator | None) -> Built:
    """Per scale: the squeeze, steps of couplings, and a cut through the channels.

    Nothing mixes the channels at first but permutations, which are undone before the cut.
    """
    steps: list[Transform] = []
    shapes = [tuple(shape) for shape in plan["scale_shapes"]]
    n_left = prod(plan["image_shape"])
    for i, (shape, order) in enumerate(zip(shapes, plan["squeeze_orders"], strict=True)):
        if order is not None:
            steps.append(Permutation(n_left, order=torch.tensor(order)))
        steps.append(_image_mixing(plan, shape, generator))
        n_left = prod(shape)
        if i + 1 < len(shapes):
            kept = ((shape[0] + 1) // 2, *shape[1:])
            dropped = (shape[0] - kept[0], *shape[1:])
            decoder: Decoder = (
                StandardDecoder(prod(dropped))
                if plan["decoder"] == "standard"
                else channel_decoder(plan, kept, dropped, generator)
            )
            steps.append(Funnel(n_left, prod(kept), decoder))
            n_left = prod(kept)
    return _with_image_prior(steps, n_left, plan, generator)


def _image_mixing(plan: dict, shape: ImageShape, generator) -> Compose:
    channels, height, width = shape
    positions = height * width
    pixels = torch.arange(prod(shape)).view(channels, positions)
    so_far = torch.arange(channels)
    steps: list[Transform] = []
    for _ in range(plan["n_layers"]):
        order = torch.randperm(channels, generator=generator)
        so_far = so_far[order]
        steps += [
            Permutation(prod(shape), order=pixels[order].reshape(-1)),
            ActNorm(prod(shape), positions),
            LULinear(prod(shape), positions),
        ]
        if channels > 1:
            steps.append(glow_coupling(shape, plan["n_hidden_channels"], generator))
    back = pixels[so_far.argsort()].reshape(-1)
    return Compose([*steps, Permutation(prod(shape), order=back), ActNorm(prod(shape), positions)])


def _with_image_prior(steps, n_left: int, plan: dict, generator) -> Built:
    if plan["prior"] != "flow":
        return _with_prior(steps, StandardNormal(n_left).double(), plan, generator)
    k = plan["n_prior"]
    make = initialized_decoder("gaussian", plan["hidden_layer_sizes"], generator)
    if k < n_left:
        steps = [*steps, Funnel(n_left, k, make(n_left - k, k))]
    family, hidden = make_family(plan["bijection"], plan["n_bins"]), plan["hidden_layer_sizes"]
    mixing = coupling_stack(k, plan["n_layers"], family, hidden, generator)
    return Compose([*steps, mixing]), StandardNormal(k).double()


def decode_first(flow: Flow, z: Tensor, order: Tensor, draw: Draw, n_draws: int) -> Tensor:
    """Rows of the first latents in ``order``, averaged over draws of what these leave open."""
    back, k = order.argsort(), z.shape[1]
    rest = None
    if k < len(order):
        rest = flow.base.reordered(order).conditional(k, [1], torch.Generator()).to(z)
    elif not any(isinstance(layer, Funnel | Factors) for layer in flow.modules()):
        n_draws = 1  # nothing is open
    total = torch.zeros((), dtype=z.dtype, device=z.device)
    for _ in range(n_draws):
        latent = z if rest is None else torch.cat([z, draw(rest, z)], 1)
        total = total + flow.decode(latent[:, back], draw=draw)
    return total / n_draws
