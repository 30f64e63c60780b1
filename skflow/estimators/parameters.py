"""Parameters that estimators share, each declared once: type, default and constraint.

The estimators are dataclasses, so their signatures are made of these fields and of their own. A
subclass with another default declares the field again. What a parameter means is written in every
estimator's docstring, where users look; a test holds that those agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

from skflow._compat import Interval, StrOptions
from skflow.architectures.decoders import DECODERS
from skflow.starts.bases import BASES

AtLeastOne = Interval(Integral, 1, None, closed="left")
AtLeastZero = Interval(Integral, 0, None, closed="left")
AtLeastTwo = Interval(Integral, 2, None, closed="left")
Positive = Interval(Real, 0, None, closed="neither")
NonNegative = Interval(Real, 0, None, closed="left")
Auto = StrOptions({"auto"})
Bins = Interval(Integral, 2, 64, closed="both")


@dataclass(kw_only=True, eq=False, repr=False)
class SharedParameters:
    """Of all six estimators: limits, threshold and training."""

    max_mixture_components: int = 32
    bounds: Sequence | dict | None = None
    contamination: float | None = None
    max_iter: int = 100
    batch_size: int | str = "auto"
    learning_rate_init: float | str = 1e-3
    weight_decay: float = 1e-4
    early_stopping: bool = True
    validation_fraction: float = 0.1
    n_iter_no_change: int | str = "auto"
    tol: float = 1e-4
    max_time: float | None = None
    warm_start: bool = False
    random_state: Any = None
    device: str = "auto"
    dtype: str = "float32"
    verbose: int = 0

    # How to train and to answer; all others shape the model and stay while it is trained on.
    # fmt: off
    _may_change: ClassVar[frozenset[str]] = frozenset({
        "contamination", "n_importance_samples", "max_iter", "batch_size", "learning_rate_init",
        "weight_decay", "noise", "early_stopping", "validation_fraction", "n_iter_no_change", "tol",
        "max_time", "warm_start", "random_state", "device", "dtype", "verbose",
    })
    # Of these, what nothing before the training reads.
    _only_train: ClassVar[frozenset[str]] = frozenset({
        "contamination", "max_iter", "batch_size", "learning_rate_init", "weight_decay", "noise",
        "n_iter_no_change", "tol", "verbose",
    })
    # fmt: on

    _parameter_constraints: ClassVar[dict] = {
        "max_mixture_components": [AtLeastOne],
        "bounds": [dict, list, tuple, None],
        "contamination": [Interval(Real, 0, 0.5, closed="right"), None],
        "max_iter": [AtLeastOne],
        "batch_size": [AtLeastOne, Auto],
        "learning_rate_init": [Positive],
        "weight_decay": [NonNegative],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [AtLeastOne, Auto],
        "tol": [NonNegative],
        "max_time": [Positive, None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "device": [str],
        "dtype": [StrOptions({"float32", "float64"})],
        "verbose": ["verbose"],
    }


@dataclass(kw_only=True, eq=False, repr=False)
class StartParameters(SharedParameters):
    """Of the estimators of numbers, which start as a classical density."""

    start: str = "auto"
    base: str = "auto"
    noise: float | str = "auto"

    _parameter_constraints: ClassVar[dict] = {
        **SharedParameters._parameter_constraints,
        "start": [StrOptions({"auto", "standard", "whiten", "marginal"})],
        "base": [StrOptions({"auto", *BASES})],
        "noise": [NonNegative, Auto],
    }


@dataclass(kw_only=True, eq=False, repr=False)
class ImageParameters(StartParameters):
    """Of those whose rows may be images, laid out flat."""

    image_shape: Sequence[int] | None = None

    _parameter_constraints: ClassVar[dict] = {
        **StartParameters._parameter_constraints,
        "image_shape": ["array-like", None],
    }


@dataclass(kw_only=True, eq=False, repr=False)
class ReductionParameters(ImageParameters):
    """Of those with fewer latent dimensions than columns."""

    decoder: str = "auto"
    hidden_layer_sizes: Sequence[int] | str = "auto"

    _parameter_constraints: ClassVar[dict] = {
        **ImageParameters._parameter_constraints,
        "decoder": [StrOptions(set(DECODERS))],
        "hidden_layer_sizes": ["array-like", Auto],
    }
