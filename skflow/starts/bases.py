"""The bases that a flow may start from, by name: of which kind each is, and how it is fitted."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnMixture

from skflow.data.rows import Rows
from skflow.distributions import FlowBase, GaussianMixture, StandardNormal, StudentT
from skflow.starts.weighted_mixture import fit_weighted_mixture


@dataclass(frozen=True)
class FitOptions:
    """How hard to look, and from which random numbers."""

    regularisation: float  # added to variances, in units of the columns
    max_iter: int
    seed: int


def fit_mixture(base: GaussianMixture, z: Rows, options: FitOptions) -> bool:
    """Fit by expectation maximisation; False where there are too few separate rows."""
    if z.weight is not None:
        return fit_weighted_mixture(
            base,
            z,
            options.seed,
            regularisation=options.regularisation,
            max_iter=options.max_iter,
        )
    mixture = SklearnMixture(
        len(base.means),
        reg_covar=options.regularisation,
        max_iter=options.max_iter,
        random_state=options.seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            base.copy_fitted(mixture.fit(z.x.numpy()))
        except (ValueError, np.linalg.LinAlgError):
            return False
    return True


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
