"""Maps x -> z with their likelihood contribution; one family per file."""

from skflow.transforms.autoregressive import Autoregressive
from skflow.transforms.base import Compose, DimensionwiseTransform, Transform
from skflow.transforms.bounds import Bound
from skflow.transforms.convolution import (
    ExactConvolution,
    SelfNormalizingConvolution,
    dirac_kernel,
)
from skflow.transforms.coupling import Coupling
from skflow.transforms.dense import (
    DenseLinear,
    FactorisedTransform,
    NewtonLinear,
    RelativeLinear,
    random_rotation,
)
from skflow.transforms.elementwise import ActNorm, Elementwise, LeakyReLU, SmoothLeakyReLU
from skflow.transforms.families import (
    Additive,
    Affine,
    Family,
    RationalQuadratic,
)
from skflow.transforms.images import OnFirst, squeeze_order
from skflow.transforms.linear import LULinear, Permutation
from skflow.transforms.marginal import MarginalSpline
from skflow.transforms.reconstruction import Reconstruction
from skflow.transforms.self_normalizing import SelfNormalizingLinear
from skflow.transforms.standardize import Standardize, Whiten

__all__ = [
    "ActNorm",
    "Additive",
    "Affine",
    "Autoregressive",
    "Bound",
    "Compose",
    "Coupling",
    "DenseLinear",
    "DimensionwiseTransform",
    "Elementwise",
    "ExactConvolution",
    "FactorisedTransform",
    "Family",
    "LULinear",
    "LeakyReLU",
    "MarginalSpline",
    "NewtonLinear",
    "OnFirst",
    "Permutation",
    "RationalQuadratic",
    "Reconstruction",
    "RelativeLinear",
    "SelfNormalizingConvolution",
    "SelfNormalizingLinear",
    "SmoothLeakyReLU",
    "Standardize",
    "Transform",
    "Whiten",
    "dirac_kernel",
    "random_rotation",
    "squeeze_order",
]
