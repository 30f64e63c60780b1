"""Base densities and conditional ones."""

from skflow.distributions.base import Decoder, Distribution
from skflow.distributions.conditional import ConditionalGaussian, ConditionalLowRankGaussian
from skflow.distributions.conditional_mixture import ConditionalMixture
from skflow.distributions.factors import FactorDecoder
from skflow.distributions.fibre_sum import FibreSum
from skflow.distributions.flow_base import FlowBase
from skflow.distributions.gumbel import Gumbel
from skflow.distributions.linear import LinearDecoder
from skflow.distributions.location_scale import LocationScale
from skflow.distributions.mixture import GaussianMixture
from skflow.distributions.normal import StandardNormal
from skflow.distributions.standard_decoder import StandardDecoder
from skflow.distributions.student_t import StudentT

__all__ = [
    "ConditionalGaussian",
    "ConditionalLowRankGaussian",
    "ConditionalMixture",
    "Decoder",
    "Distribution",
    "FactorDecoder",
    "FibreSum",
    "FlowBase",
    "GaussianMixture",
    "Gumbel",
    "LinearDecoder",
    "LocationScale",
    "StandardDecoder",
    "StandardNormal",
    "StudentT",
]
