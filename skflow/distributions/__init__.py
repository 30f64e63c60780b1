"""Base densities and conditional ones."""

from skflow.distributions.base import Distribution
from skflow.distributions.conditional import ConditionalDiagonalGaussian, ConditionalGaussian
from skflow.distributions.mixture import GaussianMixture
from skflow.distributions.normal import StandardNormal
from skflow.distributions.student_t import StudentT

__all__ = [
    "ConditionalDiagonalGaussian",
    "ConditionalGaussian",
    "Distribution",
    "GaussianMixture",
    "StandardNormal",
    "StudentT",
]
