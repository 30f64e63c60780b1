"""Mixture components of a numeric variable given others: the start's, moved by a network."""

import math

import torch
from torch import Tensor

from skflow.distributions.score_mixture import wrapped
from skflow.kernels.affine import bounded_log_scale

COPY_SPREAD = 0.6  # of the copies' means, in deviations of the class
BROAD_WEIGHT, BROAD_DEVIATION = 0.003, 1.5  # a component that no outlier is impossible under
MIN_DEVIATION = 1e-3
MAX_TURN_DEVIATION = 2.0  # on a circle: five turns then hold all but 4e-10
N_ANGLES = 8  # components on a circle, evenly spread at first
ANGLE_DEVIATION = 0.8

Components = tuple[Tensor, Tensor, Tensor]
"""Log-weights, means and deviations, each of shape (n, variables, components)."""


def no_components(out: Tensor) -> Components:
    """Of no variable; zero of a network's numbers (n, anything), for training wants a gradient."""
    nothing = out[:, :0, None]
    return nothing, nothing, nothing


def score_components(
    raw: Tensor, log_weight: Tensor, means: Tensor, deviations: Tensor, n_copies: int
) -> Components:
    """Classes in copies and a broad component, moved by a network's ``raw`` numbers.

    Parameters
    ----------
    raw : Tensor of shape (n, variables, 3 * (n_classes * n_copies + 1))
    log_weight, means, deviations : Tensor of shape (n, variables, n_classes)
        Of the classes.
    n_copies : int
    """
    c = n_copies
    spread = torch.linspace(-COPY_SPREAD, COPY_SPREAD, c, dtype=raw.dtype, device=raw.device)
    spread = spread if c > 1 else torch.zeros_like(spread)
    narrowed = (1 - spread.square().mean()).sqrt()
    mean = (means[..., None] + deviations[..., None] * spread).flatten(2)
    deviation = (deviations[..., None] * narrowed).expand(*deviations.shape, c).flatten(2)
    log_weight = log_weight.repeat_interleave(c, 2) - math.log(c)
    broad = torch.zeros_like(mean[..., :1])
    mean = torch.cat([mean, broad], 2)
    deviation = torch.cat([deviation, broad + BROAD_DEVIATION], 2)
    log_weight = torch.cat(
        [log_weight + math.log(1 - BROAD_WEIGHT), broad + math.log(BROAD_WEIGHT)], 2
    )
    moved_weight, moved_mean, moved_scale = raw.chunk(3, 2)
    return (
        (log_weight + moved_weight).log_softmax(2),
        mean + deviation * moved_mean,
        (deviation * bounded_log_scale(moved_scale).exp()).clamp_min(MIN_DEVIATION),
    )


def angle_components(raw: Tensor) -> Components:
    """Wrapped normals around a circle, by a network's numbers (n, variables, 3 * N_ANGLES)."""
    moved_weight, moved_mean, moved_scale = raw.chunk(3, 2)
    centre = 2 * math.pi * torch.arange(N_ANGLES, dtype=raw.dtype, device=raw.device) / N_ANGLES
    deviation = ANGLE_DEVIATION * bounded_log_scale(moved_scale).exp()
    return wrapped(
        moved_weight.log_softmax(2),
        (centre + moved_mean).remainder(2 * math.pi),
        deviation.clamp(MIN_DEVIATION, MAX_TURN_DEVIATION),
    )
