"""SelfNormalizingFlow: dense or convolutional layers whose inverse is learned beside them."""

import copy
from dataclasses import dataclass, field
from typing import ClassVar

from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from skflow._compat import StrOptions
from skflow.architectures.learned_inverses import (
    condition_number,
    polish_inverses,
    set_inverse_options,
)
from skflow.architectures.self_normalizing import (
    EXACT_CONVOLUTION,
    convolutional_layers,
    dense_layers,
    fastest_gradient,
    glow_layers,
)
from skflow.data.warn import warn
from skflow.estimators.image_flow import ImageFlow
from skflow.estimators.parameters import AtLeastOne, AtLeastZero, Auto, Bins, NonNegative, Positive
from skflow.training.device import resolve_device

PAPER_WEIGHT, POLISHED_WEIGHT = 1.0, 0.1  # of the reconstruction loss
INACCURATE = 0.1  # of a learned inverse: beyond, its samples are not those of the density


@dataclass(kw_only=True, eq=False, repr=False)
class SelfNormalizingFlow(ImageFlow):
    """Density by dense linear maps and one spline per column, or by convolutions for images.

    A stack of [unconstrained square matrix, monotone spline per column], on top of the same
    start as `NormalizingFlow`: whitening, marginal maps and mixtures chosen by held-out
    likelihood. What the log-determinant of the matrices adds to the gradient is the transposed
    inverse; ``logdet_gradient`` says where it comes from, in the paper from a second matrix that
    learns to be the inverse. The likelihood that is reported, and that early stopping goes by, is
    always the exact one.

    Parameters
    ----------
    architecture : {"auto", "dense", "conv", "glow"}, default="auto"
        "dense" for tables; "conv" (3x3 convolutions and a spline per pixel) and "glow" (actnorm,
        1x1 convolution, affine coupling, split prior) for images. "auto" is "dense", or "conv"
        where ``image_shape`` is given.
    image_shape : (int, int, int), default=None
        (channels, height, width) of the images that the rows are. Grey levels on a lattice are
        then dequantised by one step in training and mapped to the line by a logit; scores stay in
        nats of the data's own units. See `skflow.inspection.bits_per_dimension`.
    n_layers : int or "auto", default="auto"
        "dense": pairs of a matrix and an activation; 2 where the base may be a mixture, which has
        done most of the work, else 4. "conv": pairs per scale, 3 by default. "glow": steps per
        scale, 4 by default.
    activation : {"spline", "smooth_leaky_relu"}, default="spline"
        "smooth_leaky_relu" is the paper's model, which does not start from the best classical
        density and cannot bend around two moons. Not used by "glow".
    n_bins : int, default=8
        Bins of each spline.
    n_hidden_channels : int, default=64
        Width of the coupling networks of "glow".
    logdet_gradient : {"auto", "exact", "newton", "lu", "relative", "self"}, default="auto"
        "exact": autograd through the determinant, O(d^3). "newton": the inverse is tracked by
        guarded Newton-Schulz steps. "lu": a triangular parametrisation, O(batch d^2) with an
        exact gradient. "relative": the gradient times ``W^T W``, which needs no inverse.
        "self": the paper's two-sided gradient with a learned inverse. "auto" takes the fastest
        with an exact gradient for this width and batch; for convolutions, "self" above 256 values
        per image and "exact" below. Convolutions of "conv" have these two only.
    reconstruction_weight : float, "auto" or "adaptive", default="auto"
        With "self": the paper's λ. "auto" is the paper's 1 where nothing else keeps the learned
        inverse one (convolutions, ``polish_every=0``), and 0.1 where it is polished: more holds
        the matrix back. "adaptive" changes until the relative reconstruction error is
        ``reconstruction_tolerance``.
    reconstruction_tolerance : float, default=0.05
        With ``reconstruction_weight="adaptive"``: root of the share of a row's squared length that
        may be lost on the way through a layer and its learned inverse.
    symmetric_reconstruction : bool, default=False
        With "self": reconstruct in both directions.
    polish_every : int, default=10
        With "self" and dense maps: after every so many steps the learned inverse takes a
        Newton-Schulz step; 0 is the paper's procedure, which fails on correlated columns unless
        they are whitened.
    inverse : {"exact", "learned"}, default="exact"
        What `sample` and `inverse_transform` go through. "learned" is the paper's fast path, with
        "self" only: its samples follow the learned inverse's density, not the one of
        `score_samples`.
    start : {"auto", "standard", "whiten", "marginal"}, default="auto"
        See `NormalizingFlow`. For images "auto" leaves whitening out.
    base : {"auto", "normal", "mixture", "student_t"}, default="auto"
        See `NormalizingFlow`. For images, and with the paper's activation, "auto" is "normal".
    max_mixture_components : int, default=32
    bounds : list of pairs or dict {column: pair}, default=None
        See `NormalizingFlow`. For images on a lattice the extreme levels by default, or 0 and 255
        (0 and 1) for bytes; rows beyond them have no density.
    contamination : float in (0, 0.5], default=None
        Share of outliers; makes the estimator an outlier detector too.
    max_iter : int, default=30
        Most passes over the rows.
    batch_size : int or "auto", default="auto"
        Rows per step: a twentieth of the table between 64 and 512, more from 100,000 rows on.
    learning_rate_init : float or "auto", default="auto"
        "auto" is 0.001 for "conv" and "glow", for dense maps the smaller of 0.01 and 0.3 / d: far
        beyond that, a single step of Adam can turn a matrix around.
    weight_decay : float, default=1e-4
        On the coupling networks' matrices.
    noise : float or "auto", default="auto"
        See `NormalizingFlow`.
    early_stopping : bool, default=True
    validation_fraction : float, default=0.1
    n_iter_no_change : int or "auto", default=5
    tol : float, default=1e-3
    max_time : float, default=None
    warm_start : bool, default=False
    random_state : int, RandomState instance or None, default=None
    device : str, default="auto"
    dtype : {"float32", "float64"}, default="float32"
    verbose : int, default=0
        As in `NormalizingFlow`.

    Attributes
    ----------
    flow_ : skflow.flow.Flow
        The fitted density, in float64, its determinants computed once.
    logdet_gradient_ : str
        The gradient that was used.
    inverse_error_ : float
        Largest ``‖R W - I‖ / sqrt(d)`` over the layers with a learned inverse R; 0 without one.
    condition_number_ : float
        Largest condition number of a layer's matrix.
    n_refreshes_ : int
        How often a tracked inverse was too far off to be improved and was computed anew, in the
        last training.
    n_features_in_, feature_names_in_, n_components_, n_iter_, best_iter_, start_, start_score_, \
best_score_, history_, exact_, bound_gap_, noise_floor_, bounds_, offset_
        As in `NormalizingFlow`. The training loss takes each log-determinant as of the beginning
        of the epoch and includes reconstruction losses: it is not a likelihood.

    Warns
    -----
    ConvergenceWarning
        If ``inverse_error_`` is above 0.1: `inverse="learned"` then draws from another density.

    References
    ----------
    Keller, Peters, Jaini, Hoogeboom, Forré, Welling (2021), "Self Normalizing Flows",
    arXiv:2011.07248.
    Gresele, Fissore, Javaloy, Schölkopf, Hyvärinen (2020), "Relative gradient optimization of the
    Jacobian term in unsupervised deep learning", arXiv:2006.15090.

    Examples
    --------
    >>> from sklearn.datasets import make_moons
    >>> from skflow import SelfNormalizingFlow
    >>> X, _ = make_moons(300, noise=0.1, random_state=0)
    >>> flow = SelfNormalizingFlow(logdet_gradient="self", random_state=0).fit(X)
    >>> flow.transform(X).shape
    (300, 2)
    >>> flow.inverse_error_ < 0.01
    True
    """

    architecture: str = field(default="auto", kw_only=False)
    n_layers: int | str = "auto"
    activation: str = "spline"
    n_bins: int = 8
    n_hidden_channels: int = 64
    logdet_gradient: str = "auto"
    reconstruction_weight: float | str = "auto"
    reconstruction_tolerance: float = 0.05
    symmetric_reconstruction: bool = False
    polish_every: int = 10
    inverse: str = "exact"
    max_iter: int = 30
    learning_rate_init: float | str = "auto"
    n_iter_no_change: int | str = 5
    tol: float = 1e-3

    _may_change: ClassVar[frozenset[str]] = ImageFlow._may_change | {
        "reconstruction_weight",
        "reconstruction_tolerance",
        "symmetric_reconstruction",
        "polish_every",
        "inverse",
    }
    _parameter_constraints: ClassVar[dict] = {
        **ImageFlow._parameter_constraints,
        "architecture": [StrOptions({"auto", "dense", "conv", "glow"})],
        "n_layers": [AtLeastZero, Auto],
        "activation": [StrOptions({"spline", "smooth_leaky_relu"})],
        "n_bins": [Bins],
        "n_hidden_channels": [AtLeastOne],
        "logdet_gradient": [StrOptions({"auto", "exact", "newton", "lu", "relative", "self"})],
        "reconstruction_weight": [
            NonNegative,
            StrOptions({"adaptive", "auto"}),
        ],
        "reconstruction_tolerance": [Positive],
        "symmetric_reconstruction": ["boolean"],
        "polish_every": [AtLeastZero],
        "inverse": [StrOptions({"exact", "learned"})],
        "learning_rate_init": [Positive, Auto],
    }

    # -- the recipe ---------------------------------------------------------------------------

    def _architecture(self) -> str:
        if self.architecture != "auto":
            return self.architecture
        return "dense" if self.image_shape is None else "conv"

    def _gradient(self, n_rows: int, n_features: int) -> str:
        architecture = self._architecture()
        gradient = self.logdet_gradient
        if gradient == "auto":
            if architecture == "conv":
                gradient = "exact" if n_features <= EXACT_CONVOLUTION else "self"
            else:
                shape = self._image_shape(n_features)
                width = n_features if architecture == "dense" or not shape else 4 * shape[0]
                device = resolve_device(self.device).type
                gradient = fastest_gradient(width, self._rows_per_step(n_rows), device)
        if architecture == "conv" and gradient not in ("exact", "self"):
            raise ValueError(
                f"logdet_gradient={gradient!r} needs dense maps; with architecture='conv' choose "
                "'exact' or 'self', or architecture='glow'."
            )
        self._check_inverse(gradient)
        return gradient

    def _check_inverse(self, gradient: str) -> None:
        if self.inverse == "learned" and gradient != "self":
            raise ValueError(
                f"inverse='learned' needs logdet_gradient='self'; with {gradient!r} no inverse "
                "is learned."
            )

    def _plan(self, n_rows, n_features):
        architecture = self._architecture()
        if architecture != "dense" and self.image_shape is None:
            raise ValueError(
                f"architecture={architecture!r} needs image_shape=(channels, height, width)."
            )
        n_layers = self.n_layers
        if n_layers == "auto":
            on_mixture = architecture == "dense" and self._start_options()[1] in ("auto", "mixture")
            n_layers = 3 if architecture == "conv" else 2 if on_mixture else 4
        shape = self._image_shape(n_features)
        if shape is not None and architecture == "glow" and (shape[1] % 2 or shape[2] % 2):
            raise ValueError(
                f"image_shape={tuple(shape)}: 'glow' needs an even height and width; pad the "
                "images or use architecture='conv'."
            )
        return {
            "architecture": architecture,
            "image_shape": shape,
            "n_layers": n_layers,
            "activation": self.activation,
            "n_bins": self.n_bins,
            "n_hidden_channels": self.n_hidden_channels,
            "logdet_gradient": self._gradient(n_rows, n_features),
            **self._inverse_options(),
        }

    def _inverse_options(self) -> dict:
        weight, adaptive = self.reconstruction_weight, self.reconstruction_weight == "adaptive"
        if isinstance(weight, str):
            polished = self.polish_every and self._architecture() != "conv"
            weight = POLISHED_WEIGHT if polished and not adaptive else PAPER_WEIGHT
        return {
            "reconstruction": {
                "weight": weight,
                "tolerance": self.reconstruction_tolerance if adaptive else None,
                "symmetric": self.symmetric_reconstruction,
            },
            "polish_every": self.polish_every,
            "learned_inverse": self.inverse == "learned",
        }

    def _learned(self, plan, base, generator, *, ordered):
        if plan["architecture"] == "dense":
            return dense_layers(plan, base.n_features, generator), base
        build = convolutional_layers if plan["architecture"] == "conv" else glow_layers
        return build(plan, generator), base

    def _start_options(self):
        start, base = super()._start_options()
        return start, "normal" if base == "auto" and self.activation != "spline" else base

    def _learning_rate(self):
        if self.learning_rate_init != "auto":
            return self.learning_rate_init
        if self._architecture() != "dense":
            return 1e-3
        return min(0.01, 0.3 / self.n_features_in_)

    # -- training and after -------------------------------------------------------------------

    def _continued(self):
        """On a warm start the learned inverse goes by the present options."""
        flow, recipe = copy.deepcopy(self.flow_), self._recipe
        self._check_inverse(recipe["plan"]["logdet_gradient"])
        chosen = self._inverse_options()
        set_inverse_options(flow, chosen)
        return flow, {**recipe, "plan": {**recipe["plan"], **chosen}}

    def _publish(self, fitted, seed, *, measured=True):
        polish_inverses(fitted.flow)
        super()._publish(fitted, seed, measured=measured)
        layers = list(self.flow_.modules())
        self.logdet_gradient_ = self._recipe["plan"]["logdet_gradient"]
        self.inverse_error_ = max(
            (m.inverse_error() for m in layers if hasattr(m, "inverse_error")), default=0.0
        )
        self.n_refreshes_ = sum(getattr(m, "n_refreshes", 0) for m in layers)

    def _warn_of(self, fitted):
        super()._warn_of(fitted)
        if self.inverse_error_ > INACCURATE:
            warn(
                f"a learned inverse is off by more than {INACCURATE} of its size: see "
                "inverse_error_. Scores and inverse='exact' are not touched by that, "
                "inverse='learned' is; set polish_every=1 (dense maps), raise "
                "reconstruction_weight or lower learning_rate_init.",
                ConvergenceWarning,
            )

    @property
    def condition_number_(self) -> float:
        """Largest condition number of a layer's matrix; computed when asked for."""
        check_is_fitted(self, "flow_")
        return condition_number(self.flow_)
