"""Maps x -> z with their likelihood contribution; one family per file."""

from skflow.kernels.families import (
    Additive,
    Affine,
    Family,
    RationalQuadratic,
)
from skflow.transforms.abs import Abs, GenerativeAbs
from skflow.transforms.argmax import BinaryArgmax, GumbelArgmax, SoftplusArgmax
from skflow.transforms.augment import Augment
from skflow.transforms.autoregressive import Autoregressive
from skflow.transforms.base import (
    DimensionwiseTransform,
    DroppingTransform,
    Transform,
)
from skflow.transforms.batch_norm import BatchNorm
from skflow.transforms.bounds import Bound
from skflow.transforms.compose import Compose
from skflow.transforms.convolution import (
    ExactConvolution,
    SelfNormalizingConvolution,
    dirac_kernel,
)
from skflow.transforms.coupling import Coupling
from skflow.transforms.coupling_stack import CouplingStack
from skflow.transforms.dense import (
    DenseLinear,
    FactorisedTransform,
    NewtonLinear,
    RelativeLinear,
    random_rotation,
)
from skflow.transforms.elementwise import (
    ActNorm,
    Elementwise,
    LeakyReLU,
    PReLU,
    SmoothLeakyReLU,
)
from skflow.transforms.factors import Factors
from skflow.transforms.flow_decoder import FlowDecoder
from skflow.transforms.flowified import (
    flowified_average_pool,
    flowified_convolution,
    flowified_linear,
    flowified_max_pool,
)
from skflow.transforms.funnel import ConditionalLinear, Funnel
from skflow.transforms.images import OnFirst, squeeze_order
from skflow.transforms.ledger import Ledger
from skflow.transforms.linear import LULinear, Permutation
from skflow.transforms.marginal import MarginalSpline
from skflow.transforms.max import GenerativeMax, Max
from skflow.transforms.partition import Partition
from skflow.transforms.permute import StochasticPermutation
from skflow.transforms.pooling import MaxPool
from skflow.transforms.reconstruction import Reconstruction
from skflow.transforms.relu import GenerativeReLU, ReLU
from skflow.transforms.rotation import (
    CayleyRotation,
    FixedRotation,
    HouseholderRotation,
    OrthogonalTransform,
    make_rotation,
)
from skflow.transforms.rounding import Dequantize, Rounding
from skflow.transforms.self_normalizing import SelfNormalizingLinear
from skflow.transforms.set_coupling import CoordinateCoupling, PointCoupling
from skflow.transforms.sort import GenerativeSort, Sort
from skflow.transforms.standardize import Standardize, Whiten
from skflow.transforms.standardized_decoder import StandardizedDecoder
from skflow.transforms.tile import Tile
from skflow.transforms.vae import VAE
from skflow.transforms.wrapper import Wrapper

__all__ = [
    "VAE",
    "Abs",
    "ActNorm",
    "Additive",
    "Affine",
    "Augment",
    "Autoregressive",
    "BatchNorm",
    "BinaryArgmax",
    "Bound",
    "CayleyRotation",
    "Compose",
    "ConditionalLinear",
    "CoordinateCoupling",
    "Coupling",
    "CouplingStack",
    "DenseLinear",
    "Dequantize",
    "DimensionwiseTransform",
    "DroppingTransform",
    "Elementwise",
    "ExactConvolution",
    "FactorisedTransform",
    "Factors",
    "Family",
    "FixedRotation",
    "FlowDecoder",
    "Funnel",
    "GenerativeAbs",
    "GenerativeMax",
    "GenerativeReLU",
    "GenerativeSort",
    "GumbelArgmax",
    "HouseholderRotation",
    "LULinear",
    "LeakyReLU",
    "Ledger",
    "MarginalSpline",
    "Max",
    "MaxPool",
    "NewtonLinear",
    "OnFirst",
    "OrthogonalTransform",
    "PReLU",
    "Partition",
    "Permutation",
    "PointCoupling",
    "RationalQuadratic",
    "ReLU",
    "Reconstruction",
    "RelativeLinear",
    "Rounding",
    "SelfNormalizingConvolution",
    "SelfNormalizingLinear",
    "SmoothLeakyReLU",
    "SoftplusArgmax",
    "Sort",
    "Standardize",
    "StandardizedDecoder",
    "StochasticPermutation",
    "Tile",
    "Transform",
    "Whiten",
    "Wrapper",
    "dirac_kernel",
    "flowified_average_pool",
    "flowified_convolution",
    "flowified_linear",
    "flowified_max_pool",
    "make_rotation",
    "random_rotation",
    "squeeze_order",
]
