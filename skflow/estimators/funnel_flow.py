"""FunnelFlow: an exact likelihood with fewer latent dimensions than columns."""

from dataclasses import dataclass, field
from math import ceil
from numbers import Real
from typing import ClassVar

import torch
from sklearn.utils.validation import check_is_fitted

from skflow._compat import Interval, StrOptions
from skflow.architectures.couplings import network_sizes
from skflow.architectures.decoders import IMAGE_DECODERS, check_dropped, check_image_decoder
from skflow.architectures.funnel import convolutional_funnel_layers, funnel_layers
from skflow.architectures.latent_width import latent_width
from skflow.estimators.dimension_reduction import ReducingFlow
from skflow.estimators.parameters import AtLeastOne, AtLeastZero, Auto, Bins

SHARES = (1 / 2, 1 / 4, 1 / 8)  # of the columns, for n_components="auto"


@dataclass(kw_only=True, eq=False, repr=False)
class FunnelFlow(ReducingFlow):
    """Density and dimension reduction in one: a flow that drops columns and still scores exactly.

    A funnel maps the kept columns to a latent row, given the dropped ones, and describes the
    dropped ones by a conditional density given the latent row. Their product is a density of all
    columns, so models of different latent widths compare in nats, with each other and with any
    other density. The flow starts where `NormalizingFlow` does: the best classical density on
    held-out rows, split into that of its leading principal axes and a decoder of the others.

    Parameters
    ----------
    n_components : int, float or "auto", default=0.5
        Latent dimensions: their number, or their share of the columns (rounded up). "auto" trains
        a half, a quarter and an eighth of the columns and keeps the best held-out score.
    funnel : {"coupling", "autoregressive", "dense", "slice"}, default="coupling"
        What the kept columns go through, given the dropped ones: an elementwise map whose
        parameters a network reads off those, an autoregressive one, a linear map, nothing.
    bijection : {"spline", "affine"}, default="spline"
        The elementwise maps of the funnel and of the layers around it.
    decoder : {"auto", "gaussian", "lowrank", "full", "student_t", "mixture", "spline"}, \
            default="auto"
        Density of the dropped columns given the latent row. "auto" is that of the start: a mixture
        whose weights and means follow the latent row, or a diagonal Gaussian (always, for images).
        The others begin from a normal base.
    n_layers : int or "auto", default="auto"
        Couplings in front of the funnel, on all columns: 4, or 2 below 100 rows. For images Glow
        steps per scale, 2 by default.
    n_layers_after : int or "auto", default="auto"
        Couplings on the latent side: 2. For images Glow steps after the last scale.
    hidden_layer_sizes : tuple of int or "auto", default="auto"
        Of each layer's and the decoder's network; see `NormalizingFlow`.
    n_bins : int, default=8
        Bins of each spline.
    image_shape : (int, int, int), default=None
        (channels, height, width) of the images that the rows are. Then 2x2 patches become channels
        and a convolutional funnel drops some of them, scale after scale, until a dense one takes
        the rest. Grey levels are dequantised; see `SelfNormalizingFlow`.
    n_hidden_channels : int, default=32
        Width of the convolutional networks.
    start : {"auto", "standard", "whiten", "marginal"}, default="auto"
    base : {"auto", "normal", "mixture", "student_t"}, default="auto"
        See `NormalizingFlow`. For images "normal".
    max_mixture_components : int, default=32
    bounds : list of pairs or dict {column: pair}, default=None
    contamination : float in (0, 0.5], default=None
    max_iter : int, default=100
    batch_size : int or "auto", default="auto"
    learning_rate_init : float, default=1e-3
    weight_decay : float, default=1e-4
    noise : float or "auto", default="auto"
    early_stopping : bool, default=True
    validation_fraction : float, default=0.1
    n_iter_no_change : int or "auto", default="auto"
    tol : float, default=1e-4
    max_time : float, default=None
        With ``n_components="auto"`` for all widths together.
    warm_start : bool, default=False
    random_state : int, RandomState instance or None, default=None
    device : str, default="auto"
    dtype : {"float32", "float64"}, default="float32"
    verbose : int, default=0
        As in `NormalizingFlow`.

    Attributes
    ----------
    n_components_ : int
        Width of the latent space.
    flow_, n_features_in_, feature_names_in_, n_iter_, best_iter_, start_, start_score_, \
best_score_, history_, exact_, bound_gap_, noise_floor_, bounds_, offset_
        As in `NormalizingFlow`.

    References
    ----------
    Klein, Raine, Pina-Otey, Voloshynovskiy, Golling (2021), "Funnels: Exact maximum likelihood with
    dimensionality reduction", arXiv:2112.08069.
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skflow import FunnelFlow
    >>> X, _ = make_blobs(300, n_features=6, random_state=0)
    >>> flow = FunnelFlow(n_components=2, max_iter=5, random_state=0).fit(X)
    >>> Z = flow.transform(X)
    >>> Z.shape, flow.inverse_transform(Z).shape, flow.exact_
    ((300, 2), (300, 6), True)
    """

    n_components: float | str = field(default=0.5, kw_only=False)
    funnel: str = "coupling"
    bijection: str = "spline"
    n_layers: int | str = "auto"
    n_layers_after: int | str = "auto"
    n_bins: int = 8
    n_hidden_channels: int = 32

    _parameter_constraints: ClassVar[dict] = {
        **ReducingFlow._parameter_constraints,
        "n_components": [
            AtLeastOne,
            Interval(Real, 0, 1, closed="right"),
            Auto,
        ],
        "funnel": [StrOptions({"coupling", "autoregressive", "dense", "slice"})],
        "bijection": [StrOptions({"spline", "affine"})],
        "n_layers": [AtLeastZero, Auto],
        "n_layers_after": [AtLeastZero, Auto],
        "n_bins": [Bins],
        "n_hidden_channels": [AtLeastOne],
    }

    # -- the recipe ---------------------------------------------------------------------------

    def _widths(self, n_features: int) -> list[int]:
        """Latent widths to try; the first one where nothing is held out."""
        n_components = self.n_components
        if isinstance(n_components, str):
            return list(dict.fromkeys(ceil(n_features * share) for share in SHARES))
        return [latent_width(n_components, n_features)]

    def _plan(self, n_rows, n_features):
        return self._plans(n_rows, n_features)[0]

    def _plans(self, n_rows, n_features):
        shape = self._image_shape(n_features)
        if shape is not None:
            self._check_image_options()
        n_layers, n_after = self.n_layers, self.n_layers_after
        if n_layers == "auto":
            n_layers = 2 if n_rows < 100 or shape is not None else 4
        if n_after == "auto":
            n_after = 2
        shared = {
            "image_shape": shape,
            "funnel": self.funnel,
            "bijection": self.bijection,
            "decoder": self.decoder,
            "n_layers": n_layers,
            "n_layers_after": n_after,
            "hidden_layer_sizes": network_sizes(self.hidden_layer_sizes, n_rows),
            "n_bins": self.n_bins,
            "n_hidden_channels": self.n_hidden_channels,
        }
        widths = self._widths(n_features)
        check_dropped(self.decoder, n_features - min(widths))
        return [{"n_components": width, **shared} for width in widths]

    def _start_options(self):
        if self._widths(self.n_features_in_) == [self.n_features_in_]:
            return super(ReducingFlow, self)._start_options()  # nothing is dropped
        return super()._start_options()

    def _check_image_options(self):
        check_image_decoder(self.decoder, IMAGE_DECODERS)
        if self.funnel == "autoregressive":
            raise ValueError(
                "funnel='autoregressive' is for tables; with image_shape choose 'coupling', "
                "'dense' or 'slice'."
            )

    def _learned(self, plan, base, generator, *, ordered):
        if plan["image_shape"] is not None:
            return convolutional_funnel_layers(plan, generator)
        return funnel_layers(plan, base, generator, ordered=ordered)

    # -- what only a funnel can tell ----------------------------------------------------------

    def score_components(self, X):
        """Split the log-density of every row into what its parts contribute.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        parts : dict of ndarrays of shape (n_samples,)
            In nats; they add up to `score_samples`. "latent": log-density of the latent row.
            "dropped": of the dropped columns given the latent row; low where a row's latent
            position is usual and its remainder is not. "jacobian": log-volume of all maps.
        """
        check_is_fitted(self)
        X = self._read_rows(X, reset=False)
        names = ("latent", "dropped", "jacobian")

        def parts(x):
            values = self.flow_.log_prob_in_parts(x)
            return torch.stack([values[name] for name in names], 1)

        return dict(zip(names, self._by_chunks(parts, X).T, strict=True))
