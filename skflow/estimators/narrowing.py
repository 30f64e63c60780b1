"""From the start's density of all columns to a latent one and a decoder of what is dropped.

The product of the two is the density of the start: a narrower flow begins exactly where a square
one does.
"""

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from skflow.distributions import (
    ConditionalGaussian,
    ConditionalLowRankGaussian,
    ConditionalMixture,
    Decoder,
    Distribution,
    GaussianMixture,
    LinearDecoder,
    LocationScale,
    StandardDecoder,
    StandardNormal,
    StudentT,
    split_mixture,
)
from skflow.kernels.families import RationalQuadratic
from skflow.kernels.moments import oriented
from skflow.transforms import Autoregressive, FlowDecoder, StandardizedDecoder
from skflow.transforms.flowified import MAX_REGRESSION

RANK = 4  # factors of a low-rank decoder
COMPONENTS = 8  # of a mixture decoder that no fitted mixture begins
MAX_FULL = 100  # dropped columns of a full covariance: a row costs their square
NEARLY_NORMAL = 50.0  # degrees of freedom that a Student-t decoder begins with
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


def base_for(decoder: str, base: str) -> str:
    """The base to look for: a decoder other than that of a mixture begins from a normal."""
    if base == "auto" and decoder not in ("auto", "mixture"):
        return "student_t" if decoder == "student_t" else "normal"
    return "mixture" if base == "auto" and decoder == "mixture" else base


def check_decoder(decoder: str, base: str) -> None:
    """Raise where the base leaves no such decoder."""
    allowed = {
        "mixture": ("auto", "mixture"),
        "student_t": ("auto", "student_t"),
    }.get(base)
    if allowed is not None and decoder not in allowed:
        raise ValueError(
            f"decoder={decoder!r} cannot begin as part of base={base!r}; set decoder='auto', or "
            "base='normal' or 'auto'."
        )


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


def principal_axes(base: Distribution, *, ordered: bool) -> Tensor | None:
    """Axes of the base's covariance, those of the largest variance first.

    The identity where the columns are ``ordered`` that way already, as after whitening, and for a
    product of Student-t, which rotating would break. None for a normal: it is the same however it
    is turned, so the data's axes may be taken.
    """
    if isinstance(base, StandardNormal) and not ordered:
        return None
    if ordered or not isinstance(base, GaussianMixture):
        return torch.eye(base.n_features, dtype=torch.float64)
    return oriented(torch.linalg.eigh(base.covariance()).eigenvectors.flip(1))


def rotated(base: Distribution, rotation: Tensor | None) -> Distribution:
    """The density of ``x @ rotation``; a standard normal is its own."""
    if rotation is None or not isinstance(base, GaussianMixture):
        return base
    return base.rotated(rotation)


def reordered(base: Distribution, order: Tensor) -> Distribution:
    """The density of the columns in another order."""
    if isinstance(base, StudentT):
        moved = copy.deepcopy(base)
        with torch.no_grad():
            moved.log_degrees.copy_(base.log_degrees[order])
        return moved
    eye = torch.eye(base.n_features, dtype=torch.float64, device=order.device)
    return rotated(base, eye[:, order])


def narrowed(
    base: Distribution,
    n_kept: int,
    decoder: str,
    hidden_layer_sizes: Sequence[int],
    generator: torch.Generator | None,
) -> tuple[Distribution, Decoder]:
    """Split ``base``: the density of its first columns, and of the others given those."""
    n_dropped = base.n_features - n_kept
    if isinstance(base, GaussianMixture):
        return split_mixture(base, n_kept, hidden_layer_sizes, generator)
    if isinstance(base, StudentT):
        kept, noise = StudentT(n_kept).double(), StudentT(n_dropped).double()
        with torch.no_grad():
            kept.log_degrees.copy_(base.log_degrees[:n_kept])
            noise.log_degrees.copy_(base.log_degrees[n_kept:])
        return kept, LocationScale(noise, n_kept, hidden_layer_sizes, generator=generator)
    kind = "gaussian" if decoder == "auto" else decoder
    made = _MAKE[kind](n_dropped, n_kept, hidden_layer_sizes, generator)
    return StandardNormal(n_kept).double(), made
