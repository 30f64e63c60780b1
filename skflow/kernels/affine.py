"""``z = x exp(a) + b`` with a bounded scale: the readable reference."""

import torch
from torch import Tensor

MAX_LOG_SCALE = 5.0  # e^5: no single layer needs more, and exp of it never overflows


def bounded_log_scale(raw: Tensor) -> Tensor:
    """Keep the log of a scale within +-MAX_LOG_SCALE, smoothly."""
    return MAX_LOG_SCALE * torch.tanh(raw / MAX_LOG_SCALE)


def affine_forward(x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
    """Value and log-derivative; parameters (2, ...) are raw log-scales and shifts."""
    log_scale = bounded_log_scale(parameters[0])
    return x * log_scale.exp() + parameters[1], log_scale.expand_as(x)


def affine_inverse(z: Tensor, parameters: Tensor) -> Tensor:
    """The inverse map."""
    return (z - parameters[1]) * torch.exp(-bounded_log_scale(parameters[0]))
