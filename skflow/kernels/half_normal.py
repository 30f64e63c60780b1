"""The half-normal distribution: the absolute value of a standard normal number."""

import math

import torch
from torch import Tensor

LOG_PEAK = 0.5 * math.log(2 / math.pi)  # its log-density at zero
MEAN = math.sqrt(2 / math.pi)


def log_half_normal(distance: Tensor) -> Tensor:
    """Log-density at distances >= 0."""
    return LOG_PEAK - 0.5 * distance * distance


def _upper_quantile(tail: Tensor) -> Tensor:
    """The number that a standard normal one exceeds with probability ``tail``."""
    edge = torch.finfo(tail.dtype)
    # The root of the smallest number: the derivative there is still finite.
    return -torch.special.ndtri(tail.clamp(math.sqrt(edge.tiny), 1 - edge.eps))


def half_normal_of(number: Tensor) -> Tensor:
    """The increasing map that makes a standard normal number half-normal."""
    # By the tail: the CDF would be 1 where the tail still has all its digits.
    tail = 0.5 * torch.special.erfc(number * math.sqrt(0.5))
    return _upper_quantile(0.5 * tail)


def normal_of(distance: Tensor) -> Tensor:
    """The inverse of `half_normal_of`."""
    return _upper_quantile(torch.special.erfc(distance * math.sqrt(0.5)))
