"""FlowifiedMLP: an ordinary network, read as a flow."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from typing import ClassVar

from skflow._compat import StrOptions
from skflow.architectures.couplings import network_sizes
from skflow.architectures.decoders import check_dropped
from skflow.architectures.flowified_mlp import (
    convolved_width,
    default_channels,
    flowified_layers,
    image_layers,
)
from skflow.estimators.dimension_reduction import ReducingFlow
from skflow.estimators.parameters import AtLeastOne, AtLeastTwo, Auto, Bins

FEW_COLUMNS = 5  # up to here nothing is dropped by default
MANY_COLUMNS = 16  # most latent dimensions by default


@dataclass(kw_only=True, eq=False, repr=False)
class FlowifiedMLP(ReducingFlow):
    """Density by the linear maps and activations of a multilayer perceptron.

    A linear map to fewer units becomes a rotation of which some columns are dropped, with a
    conditional density given those that stay; one to more units adds columns of Gaussian noise; an
    activation is a monotone spline. Where no layer widens the likelihood is exact. The flow
    starts where `NormalizingFlow` does, as the best classical density on held-out rows: its first
    rotation goes to the principal axes, and what is dropped follows the start's own conditional
    density.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int or "auto", default="auto"
        Widths of the network; the last one is that of the latent space. "auto" is six square layers
        up to 5 columns, and beyond three layers of half the columns, at most 16.
    activation : {"spline", "shared_spline", "leaky_relu"}, default="spline"
        A learned monotone spline per unit, one for all units of a layer as in the paper's code, or
        a leaky ReLU of slope 0.5. The last layer is linear. With "leaky_relu" the flow does not
        start from the best classical density.
    n_bins : int, default=8
        Bins of each spline.
    decoder : {"auto", "gaussian", "lowrank", "full", "student_t", "mixture", "spline"}, \
            default="auto"
        Density of dropped columns; see `FunnelFlow`. For images of what the first linear map drops;
        convolutions have diagonal Gaussians.
    decoder_hidden_layer_sizes : tuple of int or "auto", default="auto"
        Of the decoders' networks; see ``hidden_layer_sizes`` of `NormalizingFlow`.
    augment : {"forbid", "gaussian"}, default="forbid"
        Whether layers may widen. With "gaussian" they add noise whose mean and scale a network
        reads off the row; then the scores are lower bounds in expectation over the draws.
    n_importance_samples : int, default=64
        Draws that a score averages over where it is a bound. All rows share them.
    image_shape : (int, int, int), default=None
        (channels, height, width) of the images that the rows are. Then convolutions of stride 2
        come first. Grey levels are dequantised; see `SelfNormalizingFlow`.
    n_channels : tuple of int or "auto", default="auto"
        With ``image_shape``: channels of the convolutions. "auto" is as many as a 2x2 window has
        values, then half as many, as long as the image can be halved; ``()`` leaves a perceptron
        on pixels.
    kernel_size : int, default=2
        Of the convolutions. Above 2 windows overlap, their pixels are copied with noise in between,
        and the scores are bounds: needs ``augment="gaussian"``.
    start : {"auto", "standard", "whiten", "marginal"}, default="auto"
    base : {"auto", "normal", "mixture"}, default="auto"
        See `NormalizingFlow`. For images "normal".
    max_mixture_components : int, default=32
    bounds : list of pairs or dict {column: pair}, default=None
    contamination : float in (0, 0.5], default=None
    max_iter : int, default=60
    batch_size : int or "auto", default="auto"
    learning_rate_init : float, default=1e-3
    weight_decay : float, default=1e-4
    noise : float or "auto", default="auto"
    early_stopping : bool, default=True
    validation_fraction : float, default=0.1
    n_iter_no_change : int or "auto", default="auto"
    tol : float, default=1e-4
    max_time : float, default=None
    warm_start : bool, default=False
    random_state : int, RandomState instance or None, default=None
    device : str, default="auto"
    dtype : {"float32", "float64"}, default="float32"
    verbose : int, default=0
        As in `NormalizingFlow`.

    Attributes
    ----------
    exact_ : bool
        Whether `score_samples` is the log-density itself: False if a layer widens or windows
        overlap.
    bound_gap_ : float
        Where not ``exact_``: the mean over some rows of a close estimate of the log-density (at
        least 256 draws, four times ``n_importance_samples``) minus the mean one-draw bound, in
        nats: what a score may lack at most. 0 where it is exact.
    n_components_ : int
        Width of the latent space.
    flow_, n_features_in_, feature_names_in_, n_iter_, best_iter_, start_, start_score_, \
best_score_, history_, noise_floor_, bounds_, offset_
        As in `NormalizingFlow`; where not ``exact_`` the held-out scores are one-draw bounds.

    References
    ----------
    Máté, Klein, Golling, Fleuret (2022), "Flowification: Everything is a normalizing flow",
    arXiv:2205.15209.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skflow import FlowifiedMLP
    >>> X, _ = make_blobs(300, n_features=6, random_state=0)
    >>> flow = FlowifiedMLP((4, 2), max_iter=5, random_state=0).fit(X)
    >>> flow.transform(X).shape, flow.exact_
    ((300, 2), True)
    """

    hidden_layer_sizes: Sequence[int] | str = field(default="auto", kw_only=False)
    activation: str = "spline"
    n_bins: int = 8
    decoder_hidden_layer_sizes: Sequence[int] | str = "auto"
    augment: str = "forbid"
    n_importance_samples: int = 64
    n_channels: Sequence[int] | str = "auto"
    kernel_size: int = 2
    max_iter: int = 60

    _parameter_constraints: ClassVar[dict] = {
        **ReducingFlow._parameter_constraints,
        "base": [StrOptions({"auto", "normal", "mixture"})],
        "activation": [StrOptions({"spline", "shared_spline", "leaky_relu"})],
        "n_bins": [Bins],
        "decoder_hidden_layer_sizes": ["array-like", Auto],
        "augment": [StrOptions({"forbid", "gaussian"})],
        "n_importance_samples": [AtLeastOne],
        "n_channels": ["array-like", Auto],
        "kernel_size": [AtLeastTwo],
    }

    # -- the recipe ---------------------------------------------------------------------------

    def _plan(self, n_rows, n_features):
        shape = self._image_shape(n_features)
        channels: list[int] = []
        width, widens = n_features, []
        if shape is not None:
            asked = self.n_channels
            channels = (
                default_channels(shape, self.kernel_size)
                if isinstance(asked, str)
                else [int(n) for n in asked]
            )
            width, widens = convolved_width(shape, channels, self.kernel_size)
        sizes = self.hidden_layer_sizes
        if isinstance(sizes, str):
            few = width <= FEW_COLUMNS
            sizes = [width] * 6 if few else [min(MANY_COLUMNS, ceil(width / 2))] * 3
        sizes = [int(size) for size in sizes]
        if not sizes or min(sizes) < 1:
            raise ValueError(f"hidden_layer_sizes={sizes} must name at least one positive width.")
        widens += [
            f"hidden_layer_sizes={sizes} widens from {a} to {b}"
            for a, b in pairwise([width, *sizes])
            if b > a
        ]
        if widens and self.augment == "forbid":
            raise ValueError(
                f"{widens[0]}, and the likelihood would be a bound: set augment='gaussian' to "
                "allow that, or narrow the layers."
            )
        check_dropped(self.decoder, max(a - b for a, b in pairwise([width, *sizes])))
        return {
            "image_shape": shape,
            "n_channels": channels,
            "kernel_size": self.kernel_size,
            "hidden_layer_sizes": sizes,
            "activation": self.activation,
            "n_bins": self.n_bins,
            "decoder": self.decoder,
            "decoder_hidden_layer_sizes": network_sizes(self.decoder_hidden_layer_sizes, n_rows),
        }

    def _start_options(self):
        start, base = super()._start_options()
        return start, "normal" if base == "auto" and self.activation == "leaky_relu" else base

    def _learned(self, plan, base, generator, *, ordered):
        if plan["image_shape"] is not None:
            return image_layers(plan, generator)
        return flowified_layers(plan, base, generator, ordered=ordered)

    def _n_importance_samples(self):
        return self.n_importance_samples
