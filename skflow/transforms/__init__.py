"""Maps x -> z with their likelihood contribution; one family per file."""

from skflow.transforms.autoregressive import Autoregressive
from skflow.transforms.base import Compose, DimensionwiseTransform, Transform
from skflow.transforms.bounds import Bound
from skflow.transforms.coupling import Coupling
from skflow.transforms.elementwise import ActNorm, Elementwise, LeakyReLU
from skflow.transforms.families import (
    Additive,
    Affine,
    Family,
    RationalQuadratic,
)
from skflow.transforms.linear import LULinear, Permutation
from skflow.transforms.marginal import MarginalSpline
from skflow.transforms.standardize import Standardize, Whiten

__all__ = [
    "ActNorm",
    "Additive",
    "Affine",
    "Autoregressive",
    "Bound",
    "Compose",
    "Coupling",
    "DimensionwiseTransform",
    "Elementwise",
    "Family",
    "LULinear",
    "LeakyReLU",
    "MarginalSpline",
    "Permutation",
    "RationalQuadratic",
    "Standardize",
    "Transform",
    "Whiten",
]
