"""The one table of transforms: a new layer adds one line here."""

import torch

from skflow.transforms import (
    ActNorm,
    Additive,
    Affine,
    Autoregressive,
    BatchNorm,
    Bound,
    CayleyRotation,
    Compose,
    ConditionalLinear,
    Coupling,
    DenseLinear,
    Elementwise,
    ExactConvolution,
    Funnel,
    HouseholderRotation,
    LeakyReLU,
    LULinear,
    MarginalSpline,
    NewtonLinear,
    OnFirst,
    Permutation,
    PReLU,
    RationalQuadratic,
    RelativeLinear,
    SelfNormalizingConvolution,
    SelfNormalizingLinear,
    SmoothLeakyReLU,
    Standardize,
    Whiten,
    dirac_kernel,
    random_rotation,
)
from tests.contract.distributions import DECODERS
from tests.contract.randomness import generator, randomise

SPLINE = RationalQuadratic(n_bins=5, bound=3.0)
SMALL = {"hidden_layer_sizes": (16, 16)}


# Name -> constructor from (number of features, width of the context).
TRANSFORMS = {
    "standardize": lambda d, c: Standardize(d),
    "whiten": lambda d, c: Whiten(d, 1e-3),
    "marginal": lambda d, c: MarginalSpline(d, 12),
    "bound_softplus": lambda d, c: Bound(torch.zeros(d), torch.full((d,), torch.inf)),
    "bound_log": lambda d, c: Bound(torch.zeros(d), torch.full((d,), torch.inf), "log"),
    "bound_upper": lambda d, c: Bound(torch.full((d,), -torch.inf), torch.full((d,), 4.0)),
    "bound_logit": lambda d, c: Bound(torch.full((d,), -4.0), torch.full((d,), 5.0)),
    "actnorm": lambda d, c: ActNorm(d),
    "leaky_relu": lambda d, c: LeakyReLU(0.3),
    "prelu": lambda d, c: PReLU(d),
    "batch_norm": lambda d, c: BatchNorm(
        d, 1, torch.ones(d), torch.full((d,), 2.0), 1e-5, -torch.ones(d), torch.zeros(d)
    ),
    "elementwise_shared": lambda d, c: Elementwise(d, SPLINE, d),
    "elementwise_affine": lambda d, c: Elementwise(d, Affine()),
    "elementwise_spline": lambda d, c: Elementwise(d, SPLINE),
    "smooth_leaky_relu": lambda d, c: SmoothLeakyReLU(),
    "lu_linear": lambda d, c: LULinear(d),
    "lu_rotated": lambda d, c: LULinear(d, weight=random_rotation(d, generator())),
    "dense": lambda d, c: DenseLinear(d),
    "newton": lambda d, c: NewtonLinear(d),
    "relative": lambda d, c: RelativeLinear(d),
    "self_normalizing": lambda d, c: SelfNormalizingLinear(d),
    "pixelwise": lambda d, c: SelfNormalizingLinear(d, d),  # one channel at d positions
    "convolution_exact": lambda d, c: ExactConvolution((1, d, 1), dirac_kernel(1, (3, 3))),
    "convolution_self": lambda d, c: SelfNormalizingConvolution((d, 1, 1), dirac_kernel(d, (1, 1))),
    "on_first": lambda d, c: OnFirst((d + 1) // 2, DenseLinear((d + 1) // 2)),
    "rotation": lambda d, c: CayleyRotation(d),
    "rotation_positions": lambda d, c: CayleyRotation(d, d),
    "reflections": lambda d, c: HouseholderRotation(d, n_reflections=4, generator=generator()),
    "permutation": lambda d, c: Permutation(d, generator=generator()),
    "reverse": lambda d, c: Permutation(d, reverse=True),
    "coupling_additive": lambda d, c: Coupling(
        d, Additive(), n_context=c, generator=generator(), **SMALL
    ),
    "coupling_affine": lambda d, c: Coupling(
        d, Affine(), n_context=c, generator=generator(), **SMALL
    ),
    "coupling_spline": lambda d, c: Coupling(
        d, SPLINE, n_context=c, generator=generator(), **SMALL
    ),
    "autoregressive_affine": lambda d, c: Autoregressive(
        d, Affine(), n_context=c, generator=generator(), **SMALL
    ),
    "autoregressive_spline": lambda d, c: Autoregressive(
        d, SPLINE, n_context=c, generator=generator(), **SMALL
    ),
    "compose": lambda d, c: Compose(
        [
            Coupling(d, SPLINE, n_context=c, generator=generator(), **SMALL),
            Permutation(d, reverse=True),
            LULinear(d),
            Coupling(d, Affine(), n_context=c, generator=generator(1), **SMALL),
        ]
    ),
}
CONTEXTUAL = [
    "coupling_additive",
    "coupling_affine",
    "coupling_spline",
    "autoregressive_affine",
    "autoregressive_spline",
    "compose",
]
BOUNDED = [name for name in TRANSFORMS if name.startswith("bound")]

# What the kept columns of a funnel go through, from (kept columns, dropped columns and context).
FUNNELS = {
    "slice": lambda k, c: None,
    "coupling_affine": lambda k, c: Coupling(
        k, Affine(), n_kept=0, n_context=c, generator=generator(), **SMALL
    ),
    "coupling_spline": lambda k, c: Coupling(
        k, SPLINE, n_kept=0, n_context=c, generator=generator(), **SMALL
    ),
    "autoregressive_affine": lambda k, c: Autoregressive(
        k, Affine(), n_context=c, generator=generator(), **SMALL
    ),
    "autoregressive_spline": lambda k, c: Autoregressive(
        k, SPLINE, n_context=c, generator=generator(), **SMALL
    ),
    "dense": lambda k, c: ConditionalLinear(k, c),
}


def make_funnel(funnel, decoder, d, k, n_context=0, scale=0.4):
    """Return a funnel from d to k columns in float64 with random parameters."""
    transform = FUNNELS[funnel](k, d - k + n_context)
    made = Funnel(d, k, DECODERS[decoder](d - k, k + n_context), transform, n_context=n_context)
    return randomise(made.double(), scale=scale).eval()


def example_rows(name, n, d, seed=0):
    """Correlated rows on which the named transform is defined."""
    mix = torch.eye(d, dtype=torch.float64) + 0.4
    x = torch.randn(n, d, generator=generator(seed), dtype=torch.float64) @ mix
    if name == "bound_upper":
        return 4 - x.abs()
    return x.abs() if name in BOUNDED else x


def make_transform(name, d, n_context=0, seed=0):
    """Return the named transform in float64, initialised on data, with random parameters."""
    transform = TRANSFORMS[name](d, n_context).double()
    context = torch.zeros(200, n_context, dtype=torch.float64) if n_context else None
    transform.initialize(example_rows(name, 200, d, seed=7), context=context)
    return randomise(transform, seed).eval()
