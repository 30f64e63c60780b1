"""Families of monotone maps of one variable, for couplings, autoregressive and elementwise maps.

A family is only mathematics: it takes parameters that somebody else computed. Layout: ``x`` is
``(d, n)``, parameters are ``(n_parameters, d, n)`` (or broadcast to it). At zero parameters every
family is the identity, so a network whose last layer is zero starts as the identity.

`compiled`, which a family may lack, is how compiled couplings know it: by its bins, none of an
affine map, and its bound. `readable_forward` is its `forward` in operations of torch alone.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor

from skflow.kernels import affine, rational_quadratic
from skflow.kernels.registry import affine_forward, affine_inverse, spline_forward, spline_inverse


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


@dataclass(frozen=True)
class Affine:
    """``z = x exp(a) + b``, ``a`` bounded (RealNVP, arXiv:1605.08803; MAF, arXiv:1705.07057)."""

    n_parameters: int = 2
    compiled: ClassVar[tuple[int, float]] = (0, 0.0)

    def forward(self, x, parameters):
        return affine_forward(x, parameters)

    def inverse(self, z, parameters):
        return affine_inverse(z, parameters)

    readable_forward = staticmethod(affine.affine_forward)


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

    def readable_forward(self, x, parameters):
        return rational_quadratic.spline_forward(x, parameters, self.bound)

    @property
    def compiled(self) -> tuple[int, float]:
        return self.n_bins, self.bound
