"""The one table of transforms: a new layer adds one line here."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from skflow import flowify
from skflow.data.column_plan import ColumnPlan
from skflow.distributions import LocationScale, StandardNormal
from skflow.networks.set_transformer import SetTransformer
from skflow.transforms import (
    VAE,
    Abs,
    ActNorm,
    Additive,
    Affine,
    Augment,
    Autoregressive,
    BatchNorm,
    BinaryArgmax,
    Bound,
    CayleyRotation,
    Compose,
    ConditionalLinear,
    CoordinateCoupling,
    Coupling,
    CouplingStack,
    DenseLinear,
    Dequantize,
    Elementwise,
    ExactConvolution,
    Factors,
    FixedRotation,
    Funnel,
    GenerativeAbs,
    GenerativeMax,
    GenerativeReLU,
    GenerativeSort,
    GumbelArgmax,
    HouseholderRotation,
    LeakyReLU,
    LULinear,
    MarginalSpline,
    Max,
    MaxPool,
    NewtonLinear,
    OnFirst,
    Partition,
    Permutation,
    PointCoupling,
    PReLU,
    RelativeLinear,
    ReLU,
    Rounding,
    SelfNormalizingConvolution,
    SelfNormalizingLinear,
    SmoothLeakyReLU,
    SoftplusArgmax,
    Sort,
    Standardize,
    StochasticPermutation,
    Tile,
    Transform,
    Whiten,
    dirac_kernel,
    random_rotation,
)
from skflow.transforms.ordered_cone import OrderedCone
from skflow.transforms.shared_standardize import SharedStandardize
from skflow.transforms.tables.autoregression import TableAutoregression
from skflow.transforms.tables.encoding import TableEncoding
from skflow.transforms.tables.exchangeable_columns import ExchangeableColumns
from skflow.transforms.tables.variable import Variable
from tests.contract.table import SMALL, SPLINE, generator, randomise
from tests.contract.transform_domains import (
    AMOUNTS,
    ASCENDING,
    BELOW_FOUR,
    CODES,
    ENDS,
    HALVES,
    INTERVAL,
    LINE,
    LONG_POSITIVE,
    POSITIVE,
    Domain,
)

BIJECTION = "bijection"
INFERENCE = "inference surjection"  # z is a function of x, and x is drawn
GENERATIVE = "generative surjection"  # x is a function of z, and z is drawn
STOCHASTIC = "stochastic"  # both are drawn


@dataclass(frozen=True)
class Row:
    """A transform in the table.

    Attributes
    ----------
    kind : str
        Says which laws hold; a wrapper is of the kind of what it wraps here.
    make : callable
        From (number of columns of x, width of the context) to the transform.
    domain : Domain
        Where x lives.
    contextual : bool
        Whether it takes a context; ``make(d, 0)`` then makes one without.
    least, multiple : int
        Fewest columns, and what their number is a multiple of.
    scale : float
        Of random parameters: at 0.4 attention makes maps too steep for a grid.
    mass : int
        Number of columns for which the general law of mass one is run; 0: it is among its own.
    own : str
        File under tests/ that has the laws of its own: volumes, probabilities, samples.
    float64 : bool
        Whether it is in float64 whatever the default dtype is.
    """

    kind: str
    make: Callable[[int, int], Transform]
    domain: Domain = LINE
    contextual: bool = False
    least: int = 1
    multiple: int = 1
    scale: float = 0.4
    mass: int = 0
    own: str = ""
    float64: bool = False

    def sizes(self, *wanted: int) -> list[int]:
        """Those of the numbers of columns that it can have."""
        return [d for d in wanted if d >= self.least and d % self.multiple == 0]


def _decoder(d, n_context):
    return LocationScale(StandardNormal(d), n_context, (8,), generator=generator())


def _set_network(n_inputs, n_outputs):
    size = {"d_model": 8, "n_heads": 2, "n_layers": 1, "n_hidden": 8}
    return SetTransformer(n_inputs, n_outputs, **size, generator=generator())


def _turned(d):
    layer = FixedRotation(d).double()  # float32 is not that orthogonal
    layer.matrix.copy_(random_rotation(d, generator()))
    return layer


def _funnel(d, c):
    inner = Coupling(d - 1, Affine(), n_kept=0, n_context=1 + c, generator=generator(), **SMALL)
    return Funnel(d, d - 1, _decoder(1, d - 1 + c), inner, n_context=c)


def _flowified(d, c):
    net = nn.Sequential(nn.Linear(d, d), nn.PReLU(), nn.Linear(d, d - 1))
    nn.init.orthogonal_(net[0].weight, generator=generator())
    nn.init.orthogonal_(net[2].weight, generator=generator())
    return flowify(net, example_input=torch.zeros(1, d), hidden_layer_sizes=(8,), random_state=0)


def _encoding(d):
    return TableEncoding([ColumnPlan("continuous")] * d)


def _table(variables):
    return TableAutoregression(variables, 2, (8, 8), generator=generator())


def _of_points(n):
    return _table([Variable(i, "value", "point") for i in range(n)])


TRANSFORMS = {
    "standardize": Row(BIJECTION, lambda d, c: Standardize(d)),
    "whiten": Row(BIJECTION, lambda d, c: Whiten(d, 1e-3)),
    "marginal": Row(BIJECTION, lambda d, c: MarginalSpline(d, 12)),
    "bound_softplus": Row(
        BIJECTION, lambda d, c: Bound(torch.zeros(d), torch.full((d,), torch.inf)), domain=POSITIVE
    ),
    "bound_log": Row(
        BIJECTION,
        lambda d, c: Bound(torch.zeros(d), torch.full((d,), torch.inf), "log"),
        domain=LONG_POSITIVE,
    ),
    "bound_upper": Row(
        BIJECTION,
        lambda d, c: Bound(torch.full((d,), -torch.inf), torch.full((d,), 4.0)),
        domain=BELOW_FOUR,
    ),
    "bound_logit": Row(
        BIJECTION,
        lambda d, c: Bound(torch.full((d,), -4.0), torch.full((d,), 5.0)),
        domain=INTERVAL,
    ),
    "actnorm": Row(BIJECTION, lambda d, c: ActNorm(d)),
    "leaky_relu": Row(BIJECTION, lambda d, c: LeakyReLU(0.3)),
    "prelu": Row(BIJECTION, lambda d, c: PReLU(d)),
    "batch_norm": Row(
        BIJECTION,
        lambda d, c: BatchNorm(
            d, 1, torch.ones(d), torch.full((d,), 2.0), 1e-5, -torch.ones(d), torch.zeros(d)
        ),
    ),
    "elementwise_shared": Row(BIJECTION, lambda d, c: Elementwise(d, SPLINE, d)),
    "elementwise_affine": Row(BIJECTION, lambda d, c: Elementwise(d, Affine())),
    "elementwise_spline": Row(BIJECTION, lambda d, c: Elementwise(d, SPLINE)),
    "smooth_leaky_relu": Row(BIJECTION, lambda d, c: SmoothLeakyReLU()),
    "lu_linear": Row(BIJECTION, lambda d, c: LULinear(d)),
    "lu_rotated": Row(BIJECTION, lambda d, c: LULinear(d, weight=random_rotation(d, generator()))),
    "dense": Row(BIJECTION, lambda d, c: DenseLinear(d)),
    "newton": Row(BIJECTION, lambda d, c: NewtonLinear(d)),
    "relative": Row(BIJECTION, lambda d, c: RelativeLinear(d)),
    "self_normalizing": Row(BIJECTION, lambda d, c: SelfNormalizingLinear(d)),
    # One channel at d positions.
    "pixelwise": Row(BIJECTION, lambda d, c: SelfNormalizingLinear(d, d)),
    "convolution_exact": Row(
        BIJECTION, lambda d, c: ExactConvolution((1, d, 1), dirac_kernel(1, (3, 3)))
    ),
    "convolution_self": Row(
        BIJECTION, lambda d, c: SelfNormalizingConvolution((d, 1, 1), dirac_kernel(d, (1, 1)))
    ),
    "on_first": Row(BIJECTION, lambda d, c: OnFirst((d + 1) // 2, DenseLinear((d + 1) // 2))),
    "rotation": Row(BIJECTION, lambda d, c: CayleyRotation(d)),
    "rotation_positions": Row(BIJECTION, lambda d, c: CayleyRotation(d, d)),
    "reflections": Row(
        BIJECTION, lambda d, c: HouseholderRotation(d, n_reflections=4, generator=generator())
    ),
    "permutation": Row(BIJECTION, lambda d, c: Permutation(d, generator=generator())),
    "reverse": Row(BIJECTION, lambda d, c: Permutation(d, reverse=True)),
    "coupling_additive": Row(
        BIJECTION,
        lambda d, c: Coupling(d, Additive(), n_context=c, generator=generator(), **SMALL),
        contextual=True,
    ),
    "coupling_affine": Row(
        BIJECTION,
        lambda d, c: Coupling(d, Affine(), n_context=c, generator=generator(), **SMALL),
        contextual=True,
    ),
    "coupling_spline": Row(
        BIJECTION,
        lambda d, c: Coupling(d, SPLINE, n_context=c, generator=generator(), **SMALL),
        contextual=True,
    ),
    "coupling_stack": Row(
        BIJECTION,
        lambda d, c: CouplingStack(
            [Permutation(d, order=torch.arange(d)), *[Permutation(d, reverse=True)] * 2],
            [
                Coupling(d, family, n_context=c, generator=generator(), **SMALL)
                for family in (SPLINE, Affine())
            ],
        ),
        contextual=True,
    ),
    "autoregressive_affine": Row(
        BIJECTION,
        lambda d, c: Autoregressive(d, Affine(), n_context=c, generator=generator(), **SMALL),
        contextual=True,
    ),
    "autoregressive_spline": Row(
        BIJECTION,
        lambda d, c: Autoregressive(d, SPLINE, n_context=c, generator=generator(), **SMALL),
        contextual=True,
    ),
    "compose": Row(
        BIJECTION,
        lambda d, c: Compose(
            [
                Coupling(d, SPLINE, n_context=c, generator=generator(), **SMALL),
                Permutation(d, reverse=True),
                LULinear(d),
                Coupling(d, Affine(), n_context=c, generator=generator(1), **SMALL),
            ]
        ),
        contextual=True,
    ),
    "shared_standardize": Row(BIJECTION, lambda d, c: SharedStandardize(d, 1)),
    "ordered_cone": Row(BIJECTION, lambda d, c: OrderedCone(d), domain=ASCENDING),
    "fixed_rotation": Row(BIJECTION, lambda d, c: _turned(d), float64=True),
    "coordinate_coupling": Row(
        BIJECTION,
        lambda d, c: CoordinateCoupling(
            1, d, Affine(), _set_network(d - 1, Affine().n_parameters), moving=1
        ),
        least=2,
        scale=0.2,
        own="transforms/test_set_coupling.py",
    ),
    "point_coupling": Row(
        BIJECTION,
        lambda d, c: PointCoupling(d, 1, SPLINE, _set_network(1, SPLINE.n_parameters)),
        least=2,
        scale=0.2,
        own="transforms/test_set_coupling.py",
    ),
    "conditional_linear": Row(
        BIJECTION,
        lambda d, c: Compose([ConditionalLinear(d, c)] if c else []),
        contextual=True,
        own="contract/test_surjection_laws.py",
    ),
    "abs": Row(
        INFERENCE,
        lambda d, c: Abs(d, None, (8,), n_context=c, generator=generator()),
        contextual=True,
        mass=2,
        own="transforms/test_abs.py",
    ),
    "max": Row(
        INFERENCE,
        lambda d, c: Max(d, None, (8,), n_context=c, generator=generator()),
        contextual=True,
        least=2,
        mass=2,
        own="transforms/test_max.py",
    ),
    "max_pool": Row(
        INFERENCE,
        lambda d, c: MaxPool(d // 2, 2),
        least=2,
        multiple=2,
        mass=2,
        own="transforms/test_pooling.py",
    ),
    "relu": Row(
        INFERENCE,
        lambda d, c: ReLU(d, None, (8,), n_context=c, generator=generator()),
        contextual=True,
        mass=1,
        own="transforms/test_relu.py",
    ),
    "partition": Row(
        INFERENCE,
        lambda d, c: Partition(d, [-1.0, 1.0], 0, (8,), n_context=c, generator=generator()),
        contextual=True,
        mass=2,
        own="transforms/test_partition.py",
    ),
    "sort": Row(
        INFERENCE,
        lambda d, c: Sort(d, 1, _set_network(1, 1)),
        least=2,
        mass=2,
        own="transforms/test_sort.py",
    ),
    "exchangeable_columns": Row(
        INFERENCE,
        lambda d, c: ExchangeableColumns([range(d)]),
        least=2,
        mass=2,
        own="transforms/tables/test_exchangeable_columns.py",
    ),
    "rounding": Row(
        INFERENCE,
        lambda d, c: Rounding(
            torch.full((d,), 0.5), torch.zeros(d), decoder=_decoder(d, d + c), n_context=c
        ),
        contextual=True,
        own="transforms/test_rounding.py",
    ),
    "funnel": Row(
        INFERENCE,
        _funnel,
        contextual=True,
        least=2,
        mass=2,
        own="contract/test_surjection_laws.py",
    ),
    "flowified": Row(INFERENCE, _flowified, least=2, mass=2, own="test_flowification.py"),
    "table_encoding": Row(
        INFERENCE,
        lambda d, c: _encoding(d),
        own="transforms/tables/test_autoregression.py",
        float64=True,
    ),
    "table_autoregression": Row(
        INFERENCE,
        lambda d, c: _of_points(d // 3),
        domain=ENDS,
        least=3,
        multiple=3,
        own="transforms/tables/test_autoregression.py",
        float64=True,
    ),
    "generative_abs": Row(
        GENERATIVE,
        lambda d, c: GenerativeAbs(d, None, (8,), n_context=c, generator=generator()),
        domain=POSITIVE,
        contextual=True,
        mass=2,
        own="transforms/test_abs.py",
    ),
    "generative_max": Row(
        GENERATIVE,
        lambda d, c: GenerativeMax(d, 3, 0, (8,), n_context=c, generator=generator()),
        contextual=True,
        own="transforms/test_max.py",
    ),
    "generative_relu": Row(
        GENERATIVE,
        lambda d, c: GenerativeReLU(d, None, (8,), n_context=c, generator=generator()),
        domain=AMOUNTS,
        contextual=True,
        own="transforms/test_relu.py",
    ),
    "generative_sort": Row(
        GENERATIVE,
        lambda d, c: GenerativeSort(d, 1, _set_network(1, 1)),
        domain=ASCENDING,
        least=2,
        mass=2,
        own="transforms/test_sort.py",
    ),
    "dequantize": Row(
        GENERATIVE,
        lambda d, c: Dequantize(
            torch.full((d,), 0.5),
            torch.zeros(d),
            transform=Coupling(d, Affine(), n_kept=0, n_context=d + c, generator=generator()),
            n_context=c,
        ),
        domain=HALVES,
        contextual=True,
        own="transforms/test_rounding.py",
    ),
    "softplus_argmax": Row(
        GENERATIVE,
        lambda d, c: SoftplusArgmax([3] * d, (8,), n_context=c, generator=generator()),
        domain=CODES,
        contextual=True,
        own="transforms/test_argmax.py",
    ),
    "gumbel_argmax": Row(
        GENERATIVE,
        lambda d, c: GumbelArgmax([3] * d, (8,), n_context=c, generator=generator()),
        domain=CODES,
        contextual=True,
        own="transforms/test_argmax.py",
    ),
    "binary_argmax": Row(
        GENERATIVE,
        lambda d, c: BinaryArgmax([3] * d, (8,), n_context=c, generator=generator()),
        domain=CODES,
        contextual=True,
        own="transforms/test_argmax.py",
    ),
    "augment": Row(
        GENERATIVE,
        lambda d, c: Augment(d, 2, (8,), n_context=c, generator=generator()),
        contextual=True,
        mass=1,
        own="transforms/test_flowified.py",
    ),
    "tile": Row(
        GENERATIVE,
        lambda d, c: Tile(d, [0, *range(d)]),
        own="transforms/test_tile.py",
    ),
    "stochastic_permutation": Row(
        STOCHASTIC,
        lambda d, c: StochasticPermutation(d, 1),
        mass=2,
        own="transforms/test_permute.py",
    ),
    "vae": Row(
        STOCHASTIC,
        lambda d, c: VAE(d, 2, _decoder(d, 2 + c), (8,), n_context=c, generator=generator()),
        contextual=True,
        mass=1,
        own="transforms/test_vae.py",
    ),
    "factors": Row(
        STOCHASTIC,
        lambda d, c: Factors(d, 1, generator=generator()),
        mass=2,
        own="transforms/test_factors.py",
    ),
    "factors_of_networks": Row(
        STOCHASTIC,
        lambda d, c: Factors(d, 1, (8,), generator=generator()),
        mass=2,
        own="transforms/test_factors.py",
    ),
}

BIJECTIONS = sorted(name for name, row in TRANSFORMS.items() if row.kind == BIJECTION)
SURJECTIONS = sorted(set(TRANSFORMS) - set(BIJECTIONS))
CONTEXTUAL = sorted(name for name, row in TRANSFORMS.items() if row.contextual)
BOUNDED = [name for name in BIJECTIONS if name.startswith("bound")]


def with_sizes(names, *sizes):
    """Pairs of a name and a number of columns that it can have."""
    return [(name, d) for name in names for d in TRANSFORMS[name].sizes(*sizes)]


def size_of(name, least=3):
    """A number of columns that the transform can have, at least ``least``."""
    return TRANSFORMS[name].sizes(*range(least, least + 4))[0]


def example_rows(name, n, d, seed=0):
    """Correlated rows on which the named transform is defined."""
    return TRANSFORMS[name].domain.example(n, d, seed)


def make_transform(name, d, n_context=0, seed=0, scale=None):
    """Return the named transform in float64, initialised on data, with random parameters."""
    transform = TRANSFORMS[name].make(d, n_context).double()
    context = torch.zeros(200, n_context, dtype=torch.float64) if n_context else None
    transform.initialize(example_rows(name, 200, d, seed=7), context=context)
    return randomise(transform, seed, TRANSFORMS[name].scale if scale is None else scale).eval()
