"""The bases that a flow may start from, by name: of which kind each is, and how it is fitted."""

from collections.abc import Callable
from dataclasses import dataclass

from skflow.data.rows import Rows
from skflow.distributions import FlowBase, GaussianMixture, StandardNormal, StudentT
from skflow.starts.mixture_ladder import Clusters, MixtureLadder, any_clusters


@dataclass(frozen=True)
class FitOptions:
    """How hard to look, and from which random numbers."""

    regularisation: float  # added to variances, in units of the columns
    max_iter: int
    seed: int


def fit_mixture(base: GaussianMixture, z: Rows, options: FitOptions) -> bool:
    """Fit by expectation maximisation; False where there are too few separate rows."""
    clusters = Clusters(z, options.seed)
    ladder = MixtureLadder(clusters, len(base.means), options.regularisation, options.max_iter)
    with any_clusters():
        steps = list(ladder)
    if not steps or len(steps[-1]) < len(base.means):
        return False
    polished = ladder.polished(steps[-1])
    if polished is not None:
        polished.copy_to(base)
    return polished is not None


def nothing_to_fit(base: FlowBase, z: Rows, options: FitOptions) -> bool:
    """Leave the base as it is made."""
    return True


@dataclass(frozen=True)
class BaseOption:
    """A kind of base, and how one is fitted in place to encoded rows; False where it cannot be."""

    kind: type[FlowBase]
    fit: Callable[..., bool] = nothing_to_fit


BASES = {
    "normal": BaseOption(StandardNormal),
    "mixture": BaseOption(GaussianMixture, fit_mixture),
    "student_t": BaseOption(StudentT),
}


def base_for(decoder: str, base: str) -> str:
    """The base to look for: a decoder that is no base's conditional density wants a normal."""
    if base != "auto" or decoder == "auto":
        return base
    return decoder if decoder in BASES else "normal"


def check_decoder(decoder: str, base: str) -> None:
    """Raise where the decoder cannot begin as the base's conditional density."""
    if base == "auto" or BASES[base].kind.isotropic:
        return
    if decoder not in ("auto", base):
        raise ValueError(
            f"decoder={decoder!r} cannot begin as part of base={base!r}; set decoder='auto', or "
            "base='normal' or 'auto'."
        )
