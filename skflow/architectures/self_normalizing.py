"""The three architectures of SelfNormalizingFlow, built from a plan of plain values.

All of them start as the identity where the activation is a spline: the rotations they begin with
are undone by the last linear map, and squeezes by a last permutation.
"""

from math import prod

import torch
from torch import Tensor

from skflow.architectures.glow import ImageShape, glow_coupling, image_scales
from skflow.transforms import (
    ActNorm,
    Compose,
    DenseLinear,
    Elementwise,
    ExactConvolution,
    LULinear,
    NewtonLinear,
    OnFirst,
    Permutation,
    RationalQuadratic,
    Reconstruction,
    RelativeLinear,
    SelfNormalizingConvolution,
    SelfNormalizingLinear,
    SmoothLeakyReLU,
    Transform,
    random_rotation,
    squeeze_order,
)

LINEAR = {
    "exact": DenseLinear,
    "lu": LULinear,
    "newton": NewtonLinear,
    "relative": RelativeLinear,
}
# The largest d at which a mode is the fastest with an exact gradient, in units of the batch, as
# `benchmarks/steps.py` measured it; beyond the last, "lu". Devices not listed, CUDA among them,
# have not been measured and go by the CPU's.
FASTEST = {"cpu": (("newton", 1.0), ("exact", 3.0))}
EXACT_CONVOLUTION = 256  # pixels times channels up to which all of a convolution's matrix is cheap
MAX_SCALES = {"conv": 3, "glow": 2}


def fastest_gradient(n_features: int, batch_size: int, device: str) -> str:
    """The log-determinant's gradient for a dense map of this size on this type of device."""
    for mode, limit in FASTEST.get(device, FASTEST["cpu"]):
        if n_features <= limit * batch_size:
            return mode
    return "lu"


def _linear(plan: dict, n_features: int, weight: Tensor, n_positions: int = 1) -> Transform:
    gradient = plan["logdet_gradient"]
    if gradient != "self":
        return LINEAR[gradient](n_features, n_positions, weight)
    return SelfNormalizingLinear(
        n_features,
        n_positions,
        weight,
        reconstruction=Reconstruction(**plan["reconstruction"]),
        polish_every=plan["polish_every"],
        learned_inverse=plan["learned_inverse"],
    )


def _activation(plan: dict, n_features: int) -> Transform:
    if plan["activation"] == "smooth_leaky_relu":
        return SmoothLeakyReLU()
    return Elementwise(n_features, RationalQuadratic(plan["n_bins"]))


def dense_layers(plan: dict, n_features: int, generator: torch.Generator | None) -> Compose:
    """Dense map, activation, dense map, ... , dense map."""
    so_far = torch.eye(n_features, dtype=torch.float64)
    steps: list[Transform] = []
    for _ in range(plan["n_layers"]):
        rotation = random_rotation(n_features, generator)
        if plan["activation"] != "spline":  # the paper's model starts from the identity
            rotation = torch.eye(n_features, dtype=torch.float64)
        so_far = rotation @ so_far
        steps += [_linear(plan, n_features, rotation), _activation(plan, n_features)]
    if plan["activation"] != "spline":
        return Compose(steps[:-1])
    # Back to the columns' own directions, in which the base was fitted.
    return Compose([*steps, _linear(plan, n_features, so_far.T)] if steps else [])


def convolutional_layers(plan: dict, generator: torch.Generator | None) -> Compose:
    """Per scale some pairs of a 3x3 convolution and an activation per pixel; squeezes between."""
    shapes = image_scales(tuple(plan["image_shape"]), MAX_SCALES["conv"])
    n_features = prod(shapes[0])
    steps: list[Transform] = []
    for scale, shape in enumerate(shapes):
        if scale:
            steps.append(Permutation(n_features, order=squeeze_order(*shapes[scale - 1])))
        for _ in range(plan["n_layers"]):
            if plan["logdet_gradient"] == "exact":
                steps.append(ExactConvolution(shape))
            else:
                steps.append(
                    SelfNormalizingConvolution(
                        shape,
                        reconstruction=Reconstruction(**plan["reconstruction"]),
                        learned_inverse=plan["learned_inverse"],
                    )
                )
            steps.append(_activation(plan, n_features))
    if plan["activation"] != "spline":
        steps = steps[:-1]  # none after the last linear map
    order = torch.arange(n_features)
    for shape in shapes[:-1]:
        order = order[squeeze_order(*shape)]
    return Compose([*steps, Permutation(n_features, order=order.argsort())])


def glow_layers(plan: dict, generator: torch.Generator | None) -> Compose:
    """Per scale: squeeze, steps of actnorm, 1x1 convolution and affine coupling; a split prior."""
    return _glow_scale(plan, tuple(plan["image_shape"]), MAX_SCALES["glow"], generator)


def _glow_scale(plan: dict, shape: ImageShape, n_scales: int, generator) -> Compose:
    n_features = prod(shape)
    order = squeeze_order(*shape)
    steps: list[Transform] = [Permutation(n_features, order=order)]
    channels, height, width = 4 * shape[0], shape[1] // 2, shape[2] // 2
    so_far = torch.eye(channels, dtype=torch.float64)
    for _ in range(plan["n_layers"]):
        rotation = random_rotation(channels, generator)
        so_far = rotation @ so_far
        steps += [
            ActNorm(n_features, height * width),
            _linear(plan, n_features, rotation, height * width),
            glow_coupling((channels, height, width), plan["n_hidden_channels"], generator),
        ]
    steps.append(_linear(plan, n_features, so_far.T, height * width))
    if n_scales > 1 and height % 2 == 0 and width % 2 == 0:
        half = (channels // 2, height, width)
        steps += [
            glow_coupling((channels, height, width), plan["n_hidden_channels"], generator),
            OnFirst(prod(half), _glow_scale(plan, half, n_scales - 1, generator)),
        ]
    return Compose([*steps, Permutation(n_features, order=order.argsort())])
