"""An image model of SurVAE layers: dequantised levels, scales of couplings, slices or max-pools."""

from dataclasses import KW_ONLY, dataclass, replace
from math import prod
from typing import final

import torch
from torch import Tensor

from skflow.architectures.glow import ImageShape
from skflow.architectures.plan import Plan
from skflow.distributions import Decoder, LinearDecoder, LocationScale, StandardNormal
from skflow.flow import Flow
from skflow.kernels.families import Affine, Family, RationalQuadratic
from skflow.networks.convolutional import ConvNet
from skflow.networks.zero_filled_rows import ZeroFilledRows
from skflow.transforms import (
    ActNorm,
    Bound,
    CayleyRotation,
    Compose,
    Coupling,
    Dequantize,
    Funnel,
    LULinear,
    MarginalSpline,
    MaxPool,
    Permutation,
    StandardizedDecoder,
    Transform,
    Whiten,
    random_rotation,
    squeeze_order,
)
from skflow.transforms.flowified import MAX_REGRESSION

ROWS_PER_KNOT = 4  # fewer, and the marginal maps follow the rows
MARGINAL_KNOTS = (64, 32, 16, 8, 4)


@final
@dataclass(frozen=True)
class ImagePlan(Plan):
    """A flow of images before it is built.

    It gives the log-*density* of rows whose levels are spread evenly over their cells, in units of
    the rows as other estimators' densities are: the log-probability of the levels minus
    ``d * log(step)``.

    Attributes
    ----------
    image_shape : (int, int, int)
        Channels, height, width; rows are images laid out flat.
    step, lowest : float
        Distance of neighbouring levels and the lowest one, in units of the rows.
    n_levels : int
    per_unit : int
        What levels are whole numbers divided by, such as 255, where they are written; or 0.
    dequantization : {"variational", "uniform"}
        Whether a network shapes the noise within a level's cell.
    pooling : {"slice", "max"}
        How a scale ends: half of the channels are dropped under a Gaussian whose mean and scale
        depend on the others, or the largest value of every 2 x 2 pixels stays.
    coupling : {"affine", "spline"}
    n_scales : int
        At most; a scale more takes an even height and width.
    n_layers : int
        Couplings of a scale.
    n_hidden_channels : int
        Of the couplings' networks.
    marginal_knots : int
        Of the pixels' marginal maps.
    """

    image_shape: tuple[int, int, int]
    _: KW_ONLY
    step: float
    lowest: float
    n_levels: int
    per_unit: int = 0
    dequantization: str = "variational"
    pooling: str = "slice"
    coupling: str = "affine"
    n_scales: int = 2
    n_layers: int = 4
    n_hidden_channels: int = 64
    marginal_knots: int = MARGINAL_KNOTS[0]

    def for_rows(self, n_rows: int) -> "ImagePlan":
        """With marginal maps as coarse as so few rows need them."""
        fed = [k for k in MARGINAL_KNOTS if k * ROWS_PER_KNOT <= n_rows]
        return replace(self, marginal_knots=max(fed, default=MARGINAL_KNOTS[-1]))

    def flow(self, generator: torch.Generator | None) -> Flow:
        """A flow of two transforms: fixed, from levels to their numbers 0, 1, ...; and learned.

        The learned one is in two parts: levels with noise to normal pixels, and the scales. It
        starts, after `initialize_image_flow`, as marginal maps of the pixels with a Gaussian on
        top: blocks of 2 x 2 pixels in their principal axes, linear regressions where half of them
        is dropped, and a whitening of what stays to the end.
        """
        shape = self.image_shape
        d = prod(shape)
        ones = torch.ones(d, dtype=torch.float64)
        # From here on, the noise is drawn anew in every pass: it belongs to what is trained.
        numbers = ActNorm(
            d,
            d,
            shift=torch.tensor([self.lowest], dtype=torch.float64),
            scale=torch.tensor([1 / self.step], dtype=torch.float64),
        ).requires_grad_(False)
        spread = Dequantize(
            ones,
            0 * ones,
            n_levels=self.n_levels * ones,
            n_positions=shape[1] * shape[2],
            transform=_cell_noise(self, shape, generator),
        )
        scales, n_latent = _scales(self, shape, generator)
        pixels = [
            spread,
            Bound(-0.5 * ones, (self.n_levels - 0.5) * ones),
            MarginalSpline(d, self.marginal_knots),
        ]
        # The whitening stays as it is; what training changes before it, the last layer follows.
        unit = ActNorm(n_latent, shift=torch.zeros(n_latent), scale=torch.ones(n_latent))
        learned = Compose([Compose(pixels), Compose([*scales, Whiten(n_latent), unit])])
        return Flow([numbers], learned, StandardNormal(n_latent)).double()


def _checkerboard(shape: ImageShape, parity: int) -> tuple[Tensor, Tensor]:
    """Columns of the pixels whose row and column numbers add up to an even or odd one; the rest."""
    row, column = torch.meshgrid(torch.arange(shape[1]), torch.arange(shape[2]), indexing="ij")
    kept = ((row + column) % 2 == parity).expand(shape).reshape(-1)
    return kept.nonzero()[:, 0], (~kept).nonzero()[:, 0]


def _checkerboard_coupling(
    shape: ImageShape,
    family: Family,
    n_hidden: int,
    parity: int,
    generator: torch.Generator | None,
    *,
    n_context_channels: int = 0,
) -> list[Transform]:
    """Half of the pixels move, given the other half and the context, an image of the same size."""
    kept, moving = _checkerboard(shape, parity)
    d = prod(shape)
    n_context = n_context_channels * shape[1] * shape[2]
    network = ConvNet(
        (shape[0] + n_context_channels, *shape[1:]),
        family.n_parameters,
        shape[0],
        n_hidden,
        generator=generator,
    )
    seen = torch.cat([kept, d + torch.arange(n_context)])
    order = torch.cat([kept, moving])
    return [
        Permutation(d, order=order),
        Coupling(
            d,
            family,
            n_kept=len(kept),
            network=ZeroFilledRows(network, d + n_context, seen, moving),
            n_context=n_context,
        ),
        Permutation(d, order=order.argsort()),
    ]


def _cell_noise(
    plan: ImagePlan, shape: ImageShape, generator: torch.Generator | None
) -> Transform | None:
    """The noise within the cells given all levels around: scaled and shifted, then coupled."""
    if plan.dequantization == "uniform":
        return None
    family, n_hidden = Affine(), plan.n_hidden_channels // 2
    network = ConvNet(shape, family.n_parameters, shape[0], n_hidden, generator=generator)
    d = prod(shape)
    steps: list[Transform] = [Coupling(d, family, n_kept=0, network=network, n_context=d)]
    if shape[1] * shape[2] > 1:
        for parity in (0, 1):
            steps += _checkerboard_coupling(
                shape, family, n_hidden, parity, generator, n_context_channels=shape[0]
            )
    return Compose(steps)


def _scales(
    plan: ImagePlan, shape: ImageShape, generator: torch.Generator | None
) -> tuple[list[Transform], int]:
    """All scales, and how many columns they leave."""
    steps: list[Transform] = []
    for scale in range(plan.n_scales):
        can_halve = shape[1] % 2 == 0 and shape[2] % 2 == 0
        pooled = scale > 0 and plan.pooling == "max"
        if scale and not pooled and not can_halve:
            break
        if can_halve and not pooled:
            steps.append(Permutation(prod(shape), order=squeeze_order(*shape)))
            shape = (4 * shape[0], shape[1] // 2, shape[2] // 2)
        steps += _layers(plan, shape, generator)
        if scale == plan.n_scales - 1:
            break
        if plan.pooling == "max":
            if shape[1] % 2 or shape[2] % 2:
                break
            steps += _max_pool(shape)
            shape = (shape[0], shape[1] // 2, shape[2] // 2)
        elif shape[1] % 2 == 0 and shape[2] % 2 == 0:
            kept = (shape[0] // 2, *shape[1:])
            decoder = _half_decoder(kept, plan.n_hidden_channels, generator)
            steps.append(Funnel(prod(shape), prod(kept), decoder))
            shape = kept
    return steps, prod(shape)


def _layers(
    plan: ImagePlan, shape: ImageShape, generator: torch.Generator | None
) -> list[Transform]:
    """Couplings of one scale, in and out of the principal axes of a pixel's channels."""
    channels, height, width = shape
    d, n_positions = prod(shape), height * width
    family: Family = Affine() if plan.coupling == "affine" else RationalQuadratic()
    n_hidden = plan.n_hidden_channels
    if channels == 1:
        steps: list[Transform] = []
        for layer in range(plan.n_layers if n_positions > 1 else 0):
            steps.append(ActNorm(d, n_positions))
            steps += _checkerboard_coupling(shape, family, n_hidden, layer % 2, generator)
        return steps
    steps = [CayleyRotation(d, n_positions)]
    so_far = torch.eye(channels, dtype=torch.float64)
    kept = channels // 2
    for _ in range(plan.n_layers):
        rotation = random_rotation(channels, generator)
        so_far = rotation @ so_far
        network = ConvNet(
            (kept, height, width),
            family.n_parameters,
            channels - kept,
            n_hidden,
            generator=generator,
        )
        steps += [
            ActNorm(d, n_positions),
            LULinear(d, n_positions, rotation),
            Coupling(d, family, n_kept=kept * n_positions, network=network),
        ]
    # Back to the principal axes: the half that goes on is that of the largest variance.
    return [*steps, LULinear(d, n_positions, so_far.T)]


def _half_decoder(kept: ImageShape, n_hidden: int, generator: torch.Generator | None) -> Decoder:
    """Of as many channels as stay: a Gaussian on what a linear regression leaves, if affordable."""
    n = prod(kept)
    network = ConvNet(kept, 2, kept[0], n_hidden, generator=generator)
    inner = LocationScale(StandardNormal(n), n, network=network)
    if 2 * n <= MAX_REGRESSION:
        return LinearDecoder(inner, n)
    return StandardizedDecoder(inner, kept[1] * kept[2])


def _max_pool(shape: ImageShape) -> list[Transform]:
    """The largest of every 2 x 2 pixels of a channel stays."""
    channels, height, width = shape
    n_pools = height * width // 4
    position = torch.arange(prod(shape)).view(channels, height // 2, 2, width // 2, 2)
    order = position.permute(0, 1, 3, 2, 4).reshape(-1)
    return [Permutation(prod(shape), order=order), MaxPool(channels * n_pools, 4, n_pools)]
