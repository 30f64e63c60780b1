"""Families of monotone maps of one variable, for couplings, autoregressive and elementwise maps.

A family is only mathematics: it takes parameters that somebody else computed. Layout: ``x`` is
``(d, n)``, parameters are ``(n_parameters, d, n)`` (or broadcast to it). At zero parameters every
family is the identity, so a network whose last layer is zero starts as the identity.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from skflow.kernels.registry import spline_forward, spline_inverse

MAX_LOG_SCALE = 5.0  # e^5: no single layer needs more, and exp of it never overflows


class Family(Protocol):
    """A monotone map of one variable, identity at zero parameters."""

    @property
    def n_parameters(self) -> int:
        """Parameters per dimension."""

    def forward(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return z and log dz/dx, both of the shape of ``x``."""

    def inverse(self, z: Tensor, parameters: Tensor) -> Tensor:
        """Return x."""


@dataclass(frozen=True)
class Additive:
    """``z = x + b``: volume preserving (NICE, arXiv:1410.8516)."""

    n_parameters: int = 1

    def forward(self, x, parameters):
        return x + parameters[0], torch.zeros_like(x)

    def inverse(self, z, parameters):
        return z - parameters[0]


def bounded_log_scale(raw: Tensor) -> Tensor:
    """Keep the log of a scale within +-MAX_LOG_SCALE, smoothly."""
    return MAX_LOG_SCALE * torch.tanh(raw / MAX_LOG_SCALE)


@dataclass(frozen=True)
class Affine:
    """``z = x exp(a) + b``, ``a`` bounded (RealNVP, arXiv:1605.08803; MAF, arXiv:1705.07057)."""

    n_parameters: int = 2

    def forward(self, x, parameters):
        log_scale = bounded_log_scale(parameters[0])
        return x * log_scale.exp() + parameters[1], log_scale.expand_as(x)

    def inverse(self, z, parameters):
        return (z - parameters[1]) * torch.exp(-bounded_log_scale(parameters[0]))


@dataclass(frozen=True)
class RationalQuadratic:
    """Monotone rational-quadratic spline on ``[-bound, bound]``, identity outside.

    References
    ----------
    Durkan, Bekasov, Murray, Papamakarios (2019), "Neural Spline Flows", arXiv:1906.04032.
    """

    n_bins: int = 8
    bound: float = 5.0

    @property
    def n_parameters(self) -> int:
        return 3 * self.n_bins - 1

    def forward(self, x, parameters):
        return spline_forward(x, parameters, self.bound)

    def inverse(self, z, parameters):
        return spline_inverse(z, parameters, self.bound)
