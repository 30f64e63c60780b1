"""Decoders of what a flow drops, by name, beside the density of what it keeps.

The product of the two is at first the density that the flow starts from: a narrower flow begins
exactly where a square one does.
"""

from collections.abc import Callable, Sequence

import torch

from skflow.distributions import (
    ConditionalGaussian,
    ConditionalLowRankGaussian,
    ConditionalMixture,
    Decoder,
    FlowBase,
    LinearDecoder,
    LocationScale,
    StandardDecoder,
    StandardNormal,
    StudentT,
)
from skflow.distributions.student_t import NEARLY_NORMAL
from skflow.kernels.families import RationalQuadratic
from skflow.transforms import Autoregressive, FlowDecoder, StandardizedDecoder
from skflow.transforms.flowified import MAX_REGRESSION

RANK = 4  # factors of a low-rank decoder
COMPONENTS = 8  # of a mixture decoder that no fitted mixture begins
MAX_FULL = 100  # dropped columns of a full covariance: a row costs their square
IMAGE_DECODERS = ("auto", "gaussian", "student_t", "spline")
DECODERS = {"auto", "gaussian", "lowrank", "full", "student_t", "mixture", "spline"}

MakeDecoder = Callable[[int, int, Sequence[int], torch.Generator | None], Decoder]


def _spline(n_features, n_context, hidden_layer_sizes, generator):
    layer = Autoregressive(
        n_features,
        RationalQuadratic(),
        hidden_layer_sizes=hidden_layer_sizes,
        n_context=n_context,
        generator=generator,
    )
    return FlowDecoder(n_features, layer)


# From (dropped columns, latent columns, sizes, generator) to a decoder that begins near N(0, I).
_MAKE: dict[str, MakeDecoder] = {
    "standard": lambda m, k, h, g: StandardDecoder(m),
    "gaussian": lambda m, k, h, g: LocationScale(StandardNormal(m), k, h, generator=g),
    "student_t": lambda m, k, h, g: LocationScale(StudentT(m, NEARLY_NORMAL), k, h, generator=g),
    "lowrank": lambda m, k, h, g: ConditionalLowRankGaussian(m, k, RANK, h, generator=g),
    "full": lambda m, k, h, g: ConditionalGaussian(m, k, h, generator=g),
    "mixture": lambda m, k, h, g: ConditionalMixture(COMPONENTS, m, k, h, generator=g),
    "spline": _spline,
}


def initialized_decoder(
    kind: str, hidden_layer_sizes: Sequence[int], generator: torch.Generator | None
) -> Callable[[int, int], Decoder]:
    """Decoders on the residuals of a linear regression, which `initialize` fits to data."""
    make = _MAKE["gaussian" if kind == "auto" else kind]

    def decoder(n_dropped: int, n_context: int) -> Decoder:
        inner = make(n_dropped, n_context, hidden_layer_sizes, generator)
        if n_dropped + n_context <= MAX_REGRESSION:
            return LinearDecoder(inner, n_context)
        return StandardizedDecoder(inner)

    return decoder


def check_image_decoder(decoder: str, allowed: Sequence[str]) -> None:
    """Raise where images have no such decoder."""
    if decoder not in allowed:
        raise ValueError(
            f"decoder={decoder!r} is for tables; with image_shape choose from {tuple(allowed)}."
        )


def check_dropped(decoder: str, n_dropped: int) -> None:
    """Raise where a full covariance would not fit into memory."""
    if decoder == "full" and n_dropped > MAX_FULL:
        raise ValueError(
            f"decoder='full' is for up to {MAX_FULL} dropped columns, here are {n_dropped}; use "
            "'lowrank', 'mixture' or 'gaussian', or drop them in several layers."
        )


def split(
    base: FlowBase,
    n_kept: int,
    decoder: str,
    hidden_layer_sizes: Sequence[int],
    generator: torch.Generator | None,
) -> tuple[FlowBase, Decoder]:
    """The density of the first columns of ``base``, and of the others given those.

    The latter is the base's own conditional density unless the decoder is of another kind, which
    begins as the conditional of a normal, near N(0, I).
    """
    if decoder == "auto" or not base.isotropic:
        return base.split(n_kept, hidden_layer_sizes, generator)
    made = _MAKE[decoder](base.n_features - n_kept, n_kept, hidden_layer_sizes, generator)
    return base.marginal(n_kept), made
