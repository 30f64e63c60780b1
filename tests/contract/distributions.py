"""The one table of distributions: a new one adds one line here."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from skflow.distributions import (
    ConditionalGaussian,
    ConditionalLowRankGaussian,
    ConditionalMixture,
    FactorDecoder,
    FibreSum,
    GaussianMixture,
    Gumbel,
    LinearDecoder,
    LocationScale,
    StandardDecoder,
    StandardNormal,
    StudentT,
)
from skflow.distributions.categorical import Categorical
from skflow.distributions.plackett_luce import PlackettLuce
from skflow.distributions.point_sequence import PointSequence
from skflow.distributions.signs import Signs
from skflow.networks.set_transformer import SetTransformer
from skflow.transforms import Autoregressive, FlowDecoder, RationalQuadratic, StandardizedDecoder
from skflow.transforms.max import BelowMaximum
from skflow.transforms.pooling import OffsetDecoder
from tests.contract.domains import Fan, Plane, Values, orders, signs
from tests.contract.randomness import generator, randomise

SPLINE = RationalQuadratic(n_bins=5, bound=3.0)
CONTEXT = torch.tensor([[0.7, -1.2, 0.4, -0.3, 0.9, 0.2]], dtype=torch.float64)


def gaussian(d, c, seed=0):
    return LocationScale(StandardNormal(d), c, (8,), generator=generator(seed))


def sequence(d):
    """Points on a line, each seeing those before it."""
    sizes = PointSequence.n_inputs(1), PointSequence.n_outputs(1, 2)
    small = {"d_model": 8, "n_heads": 2, "n_layers": 1, "n_hidden": 8}
    network = SetTransformer(*sizes, **small, n_positions=d, causal=True, generator=generator())
    return PointSequence(d, 1, 2, network)


# Name -> constructor from (columns, width of the context): what a funnel may drop to.
DECODERS = {
    "diagonal": gaussian,
    "student_t": lambda d, c: LocationScale(StudentT(d), c, (8,), generator=generator()),
    "full": lambda d, c: ConditionalGaussian(d, c, (8,), generator=generator()),
    "lowrank": lambda d, c: ConditionalLowRankGaussian(d, c, 2, (8,), generator=generator()),
    "mixture": lambda d, c: ConditionalMixture(3, d, c, (8,), generator=generator()),
    "spline": lambda d, c: FlowDecoder(
        d,
        Autoregressive(d, SPLINE, hidden_layer_sizes=(8,), n_context=c, generator=generator()),
    ),
    "linear": lambda d, c: LinearDecoder(gaussian(d, c), c),
}


@dataclass(frozen=True)
class Row:
    """A constructor from (columns, width of the context), and which laws hold.

    Kinds: a "base" has no context; a "decoder" has a latent row of any width as context, which is
    a "blind" one's to ignore; for a "given" one the context holds its parameters themselves.
    """

    make: Callable
    kind: str
    domain: Plane | Values = field(default_factory=Plane)
    centre: str = "mean"  # what the decoder's `mean` is: "mean", "mode" or a "typical" row
    columns: tuple[int, ...] = (1, 2)
    width: Callable[[int], int] = lambda d: 2  # of the context for so many columns
    scale: float = 0.4  # of the random parameters: steep splines have features between grid points

    @property
    def most(self):
        return max(self.columns)

    def made(self, d):
        return randomise(self.make(d, self.width(d)).double(), scale=self.scale)

    def context(self, d, n=1):
        return None if self.kind == "base" else CONTEXT[:, : self.width(d)].expand(n, -1)


HEAVY = Plane(60.0, 1_500, reach_of_one=2_000.0)
LINE = (1, 2, 3)
OPTIONS = {
    "student_t": {"domain": Plane(60.0, 1_500)},
    "spline": {"scale": 0.2, "centre": "typical"},
}
DISTRIBUTIONS = {
    "standard_normal": Row(lambda d, c: StandardNormal(d), "base"),
    "student_t": Row(lambda d, c: StudentT(d), "base", HEAVY),
    "mixture": Row(lambda d, c: GaussianMixture(3, d), "base"),
    "gumbel": Row(lambda d, c: Gumbel(torch.zeros(d)), "base", Plane(25.0, 800)),
    "fibre_sum": Row(lambda d, c: FibreSum(GaussianMixture(2, d), d, "signs"), "base"),
    "point_sequence": Row(lambda d, c: sequence(d), "base"),
    "factors": Row(lambda d, c: FactorDecoder(d, c, (8,), generator=generator()), "decoder"),
    "standard": Row(lambda d, c: StandardDecoder(d), "blind"),
    "standardized": Row(lambda d, c: StandardizedDecoder(gaussian(d, c)), "decoder"),
    "offsets": Row(lambda d, c: OffsetDecoder(1, d), "blind", Fan(), "typical", (2,)),
    "below_maximum": Row(
        lambda d, c: BelowMaximum(d), "given", Fan(), "typical", (2,), lambda d: 2 * d
    ),
    "categorical": Row(
        lambda d, c: Categorical(c), "given", Values(lambda d: [[0], [1], [2], [3]]), "mode",
        (1,), lambda d: 4,
    ),
    "signs": Row(lambda d, c: Signs(d), "given", Values(signs), "mode", LINE, lambda d: d),
    "orders": Row(
        lambda d, c: PlackettLuce(d), "given", Values(orders), "mode", LINE, lambda d: d
    ),
} | {
    f"conditional_{name}": Row(make, "decoder", **OPTIONS.get(name, {}))
    for name, make in DECODERS.items()
}  # fmt: skip
