"""Funnels: what the kept columns go through, and funnels of every decoder."""

from skflow.transforms import (
    Affine,
    Autoregressive,
    ConditionalLinear,
    Coupling,
    Funnel,
    RationalQuadratic,
)
from tests.contract.distributions import DECODERS
from tests.contract.randomness import generator, randomise

SPLINE = RationalQuadratic(n_bins=5, bound=3.0)
SMALL = {"hidden_layer_sizes": (16, 16)}


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
