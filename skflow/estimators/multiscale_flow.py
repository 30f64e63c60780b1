"""MultiscaleFlow: latent dimensions ranked by what they contribute, and cut off scale by scale."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import ceil, prod
from numbers import Integral, Real
from typing import ClassVar

import torch

from skflow._compat import Interval, StrOptions
from skflow.architectures.couplings import network_sizes
from skflow.architectures.decoders import (
    DECODERS,
    IMAGE_DECODERS,
    check_dropped,
    check_image_decoder,
)
from skflow.architectures.latent_width import latent_width
from skflow.architectures.multiscale import (
    halved_widths,
    image_layers,
    scale_shapes,
    squeeze_orders_of,
    table_layers,
    uncut_layers,
)
from skflow.data.fit_data import FitData
from skflow.data.rows import Rows
from skflow.estimators.dimension_reduction import ReducingFlow
from skflow.estimators.leading_latents import LeadingLatents
from skflow.estimators.parameters import AtLeastOne, AtLeastZero, Auto, Bins, Positive
from skflow.flow import Flow
from skflow.kernels.moments import weighted_moments
from skflow.starts.dimension_ranking import (
    column_contributions,
    log_derivative_contributions,
)
from skflow.starts.factors import initialize_factors
from skflow.starts.ranked_start import given_ranks, on_ranked_columns, on_ranked_directions
from skflow.starts.start_recipe import Start
from skflow.training.clock import Clock
from skflow.training.fit import Fitted, fit_flow
from skflow.transforms import Permutation

BY_DIRECTION = ("entropy", "variance")
WITH_FACTORS = ("lowrank", "vae")
SCALES = ((64, 1), (300, 2))  # columns below which so many scales are the default; beyond, 3


@dataclass(kw_only=True, eq=False, repr=False)
class MultiscaleFlow(LeadingLatents, ReducingFlow):
    """Density and ranked latent dimensions: those that contribute most come first.

    The flow cuts dimensions off scale by scale, half of those left each time, so that the ones
    that matter go through more layers; which ones is decided from the data. What is cut off is
    described by a conditional density, so the likelihood stays exact. After the fit the latents
    are ranked by explained entropy: `transform` gives the most informative first, and any number
    of the first columns can be taken back to data space by `inverse_transform`. So one fit serves
    every number of components.

    Parameters
    ----------
    n_components : int, float or None, default=None
        Latent dimensions that `transform` gives: their number, which the cuts leave too; the share
        that they are to have in what all latents explain (see ``explained_entropy_ratio_``); or
        None for all. With a ``prior`` of few dimensions it is that prior's width: a number, a
        share of the columns, or None for half of what the cuts leave.
    factor_out : {"auto", "entropy", "variance", "likelihood", "random"} or array-like of int, \
            default="auto"
        What the dimensions are ranked by before any is cut off. "auto" is "entropy", or
        "likelihood" for images.

        - "entropy", "variance": the flow works on the directions of the start's space that say
          most about X, ranked by the entropy or the variance that they explain in X (units
          matter, as in PCA). With prior "lowrank" or "vae" it works on columns by their variance:
          a mixture of columns has no noise of its own.
        - "likelihood": the flow works on the columns. Those whose log-derivatives contribute most
          to the log-likelihood of a pre-trained flow without cuts come first: the paper's rule.
        - "random": columns in random order, to compare with.
        - An array: positions of the columns, those to keep first; those not named follow.
    n_scales : int or "auto", default="auto"
        1 means that nothing is cut off. "auto" is 1 below 64 columns, 2 below 300, else 3.
    decoder : {"auto", "standard", "gaussian", "lowrank", "full", "student_t", "mixture", \
            "spline"}, default="auto"
        Density of what is cut off: "standard" is the paper's N(0, I); the others are conditional
        on what is kept, see `FunnelFlow`.
    prior : {"normal", "lowrank", "vae", "flow"}, default="normal"
        "normal": the base on all latents that are left. The others put a prior of
        ``n_components`` dimensions behind the last scale. "lowrank": factor analysis, exact,
        whose posterior mean is the latent row. "vae": a variational autoencoder that begins there,
        a bound. "flow": one more cut, and layers on what is left.
    architecture : {"autoregressive", "coupling"}, default="autoregressive"
        "autoregressive" maps in the order of the ranking: the first k dimensions of ``flow_``'s
        latent space are a function of the first k ranked ones alone, so little of what is cut off
        from a latent row was needed by the rest. Sampling takes as many passes as there are
        dimensions. "coupling" mixes all dimensions, and samples in one pass.
    bijection : {"spline", "affine"}, default="spline"
        The elementwise maps of the layers. For images affine.
    n_layers : int or "auto", default="auto"
        Layers per scale: 2 autoregressive ones (1 below 100 rows) or 4 couplings (2); for images
        4 steps.
    pretrain_fraction : float, default=0.2
        Epochs of the pre-training that "likelihood" ranks by, in units of ``max_iter`` and beside
        those. ``max_time`` is shared in the same proportion.
    scale_floor : float, default=1e-3
        Least deviation of a "lowrank" or "vae" prior's noise, in units of the start's dimensions.
    n_importance_samples : int, default=16
        Draws per row that a "vae" prior's bound is averaged over when scoring.
    hidden_layer_sizes : tuple of int or "auto", default="auto"
    n_bins : int, default=8
    image_shape : (int, int, int), default=None
        (channels, height, width) of the images that the rows are. Blocks of 2 x 2 pixels become
        channels, the four ranked by their means over all blocks ("random" and an array: block by
        block), and channels are cut off. Rankings are of pixels: not "entropy".
    n_hidden_channels : int, default=32
    start : {"auto", "standard", "whiten", "marginal"}, default="auto"
        As in `NormalizingFlow`; where directions are ranked "auto" and "marginal" always whiten,
        where columns are "auto" never does.
    base : {"auto", "normal", "mixture", "student_t"}, default="auto"
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
    warm_start : bool, default=False
    random_state : int, RandomState instance or None, default=None
    device : str, default="auto"
    dtype : {"float32", "float64"}, default="float32"
    verbose : int, default=0
        As in `NormalizingFlow`.

    Attributes
    ----------
    n_components_ : int
        Columns of `transform`.
    explained_entropy_ : ndarray of shape (n_latents,)
        Entropy that each latent explains in X, in nats and descending:
        ``E[log |dx/dz_i|] + log(2 pi e var(z_i)) / 2``, its Jacobian column at rows of X.
    explained_entropy_ratio_ : ndarray of shape (n_latents,)
        Share in the sum of the entropy powers ``exp(2 * explained_entropy_)`` of the latents. For
        a Gaussian on its principal axes, nothing cut off, PCA's ``explained_variance_ratio_``.
    dimension_contributions_ : ndarray of shape (n_features,)
        What each column adds to the mean log-density of rows of X (at most 5,000) over that of
        independent normals, in nats: a shape that is not normal, and dependence. The terms of the
        model's own chain rule, booked to columns by `skflow.transforms.Ledger`; with a "vae" prior
        those of the bound.
    latent_order_ : ndarray of shape (n_latents,)
        The latents of ``flow_`` in the order of `transform`.
    ranking_ : ndarray of int, or None
        Columns in the order of the ranking; None where directions are ranked, and for images.
    flow_, n_features_in_, feature_names_in_, n_iter_, best_iter_, start_, start_score_, \
best_score_, history_, exact_, bound_gap_, noise_floor_, bounds_, offset_
        As in `NormalizingFlow`.

    References
    ----------
    Das, Abbeel, Spanos (2019), "Dimensionality Reduction Flows" and, later, "Likelihood
    Contribution based Multi-scale Architecture for Generative Flows", arXiv:1908.01686.
    Dinh, Sohl-Dickstein, Bengio (2017), "Density estimation using Real NVP", arXiv:1605.08803.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skflow import MultiscaleFlow
    >>> X, _ = make_blobs(200, n_features=5, random_state=0)
    >>> flow = MultiscaleFlow(max_iter=5, random_state=0).fit(X)
    >>> Z = flow.transform(X)
    >>> Z.shape, flow.inverse_transform(Z[:, :2]).shape
    ((200, 5), (200, 5))
    """

    n_components: float | None = field(default=None, kw_only=False)
    factor_out: str | Sequence[int] = "auto"
    n_scales: int | str = "auto"
    prior: str = "normal"
    architecture: str = "autoregressive"
    bijection: str = "spline"
    n_layers: int | str = "auto"
    pretrain_fraction: float = 0.2
    scale_floor: float = 1e-3
    n_importance_samples: int = 16
    n_bins: int = 8
    n_hidden_channels: int = 32

    _parameter_constraints: ClassVar[dict] = {
        **ReducingFlow._parameter_constraints,
        "n_components": [
            AtLeastOne,
            Interval(Real, 0, 1, closed="right"),
            None,
        ],
        "factor_out": [
            StrOptions({"auto", *BY_DIRECTION, "likelihood", "random"}),
            "array-like",
        ],
        "n_scales": [AtLeastOne, Auto],
        "decoder": [StrOptions({*DECODERS, "standard"})],
        "prior": [StrOptions({"normal", *WITH_FACTORS, "flow"})],
        "architecture": [StrOptions({"autoregressive", "coupling"})],
        "bijection": [StrOptions({"spline", "affine"})],
        "n_layers": [AtLeastZero, Auto],
        "pretrain_fraction": [Interval(Real, 0, 1, closed="right")],
        "scale_floor": [Positive],
        "n_importance_samples": [AtLeastOne],
        "n_bins": [Bins],
        "n_hidden_channels": [AtLeastOne],
    }

    # -- the recipe ---------------------------------------------------------------------------

    def _ranks_by(self) -> str:
        """The ranking's name; "given" for an array."""
        if not isinstance(self.factor_out, str):
            return "given"
        if self.factor_out == "auto":
            return "entropy" if self.image_shape is None else "likelihood"
        return self.factor_out

    def _ranks_directions(self) -> bool:
        """Whether the flow works on directions; columns have factors, their mixtures have none."""
        table = self.image_shape is None and self.prior not in WITH_FACTORS
        return table and self._ranks_by() in BY_DIRECTION

    def _start_options(self):
        start, base = super()._start_options()
        directions = self._ranks_directions()
        if start == "whiten" and self.image_shape is None and not directions:
            raise ValueError(
                f"start='whiten' mixes the columns that factor_out={self.factor_out!r} ranks, or "
                f"that prior={self.prior!r} finds factors of; choose another start."
            )
        if self.image_shape is None:
            special = {"auto": "axes", "marginal": "marginal_axes"}
            if not directions:
                special = {"auto": "columnwise", "marginal": "marginal_columns"}
            start = special.get(start, start)
        if self.prior not in WITH_FACTORS:
            return start, base
        if base not in ("auto", "normal"):
            raise ValueError(f"base={base!r} has no place behind prior={self.prior!r}.")
        return start, "normal"

    def _least_width(self, n_features: int) -> int:
        """Latents that the cuts have to leave."""
        wanted = self.n_components
        if wanted is None or (self.prior == "normal" and not isinstance(wanted, Integral)):
            return 1
        return latent_width(wanted, n_features)

    def _plan(self, n_rows, n_features):
        shape = self._image_shape(n_features)
        autoregressive = shape is None and self.architecture == "autoregressive"
        n_layers = self.n_layers
        if n_layers == "auto":
            n_layers = (2 if autoregressive else 4) // (2 if n_rows < 100 else 1)
        n_scales = self.n_scales
        if n_scales == "auto":
            n_scales = next((scales for below, scales in SCALES if n_features < below), 3)
        least = self._least_width(n_features)
        plan = {
            "image_shape": shape,
            "architecture": self.architecture,
            "bijection": self.bijection,
            "decoder": self.decoder,
            "prior": self.prior,
            "n_layers": n_layers,
            "hidden_layer_sizes": network_sizes(self.hidden_layer_sizes, n_rows),
            "n_bins": self.n_bins,
            "n_hidden_channels": self.n_hidden_channels,
            "scale_floor": self.scale_floor,
            "directions": self._ranks_directions(),
        }
        if shape is None:
            widths = halved_widths(n_features, n_scales, least)
            check_dropped(self.decoder, max((a - b for a, b in pairwise(widths)), default=0))
        else:
            self._check_image_options()
            shapes = scale_shapes(tuple(shape), n_scales, least)
            widths = [prod(s) for s in shapes]
            plan["scale_shapes"] = [list(s) for s in shapes]
            plan["squeeze_orders"] = squeeze_orders_of(plan, torch.zeros(n_features), alike=True)
        n_prior = ceil(widths[-1] / 2) if self.n_components is None else min(least, widths[-1])
        return {**plan, "widths": widths, "n_prior": n_prior}

    def _check_image_options(self):
        check_image_decoder(self.decoder, (*IMAGE_DECODERS, "standard"))
        if self._ranks_by() == "entropy":
            raise ValueError(
                "factor_out='entropy' ranks directions of a table; with image_shape choose "
                "'likelihood', 'variance' or 'random'."
            )

    def _learned(self, plan, base, generator, *, ordered):
        if plan["image_shape"] is not None:
            return image_layers(plan, generator)
        return table_layers(plan, base, generator)

    # -- the ranking that the cuts go by ------------------------------------------------------

    def _oriented(self, start, plan, draw_rows, generator, clock):
        rows, by = draw_rows(), self._ranks_by()
        if plan["directions"]:
            return on_ranked_directions(start, rows, by=by), plan
        contribution = self._column_ranks(start, plan, rows, generator, clock)
        if plan["image_shape"] is None:
            return on_ranked_columns(start, contribution), plan
        alike = by in ("likelihood", "variance")
        return start, {**plan, "squeeze_orders": squeeze_orders_of(plan, contribution, alike=alike)}

    def _column_ranks(
        self, start: Start, plan: dict, rows: Rows, generator, clock: Clock
    ) -> torch.Tensor:
        """One number per column, larger for those to keep."""
        d, by = rows.x.shape[1], self._ranks_by()
        if by == "random":
            return torch.randperm(d, generator=generator).double()
        if by in BY_DIRECTION:
            return weighted_moments(rows.x, rows.weight)[1]
        if by == "given":
            return given_ranks(self.factor_out, d)
        layers, base = uncut_layers(plan, d, generator)
        flow = Flow(copy.deepcopy(start.fixed), layers.double(), base.double())
        self._initialize(flow, rows, generator)
        data = FitData.plain(rows)
        share = self.pretrain_fraction / (1 + self.pretrain_fraction)
        settings = self._settings(data, None if clock.left is None else share * clock.left)
        pretrained = fit_flow(
            Fitted(flow, data),
            replace(settings, max_iter=ceil(self.pretrain_fraction * self.max_iter)),
            int(torch.randint(2**31 - 1, (), generator=generator)),
        )
        if pretrained.outcome.interrupted:  # nothing to keep before the ranking is done
            raise KeyboardInterrupt
        flow = pretrained.flow.cpu().eval().requires_grad_(False)
        return log_derivative_contributions(flow, rows)

    # -- training and after -------------------------------------------------------------------

    def _initialize(self, flow, rows, generator):
        super()._initialize(flow, rows, generator)
        initialize_factors(flow, rows, generator)

    def _prepared_by(self):
        # A training of its own ranks by likelihood.
        return (
            self.get_params(deep=False)
            if self._ranks_by() == "likelihood"
            else super()._prepared_by()
        )

    def _n_importance_samples(self):
        return self.n_importance_samples

    def _publish(self, fitted, seed, *, measured=True):
        super()._publish(fitted, seed, measured=measured)
        if not measured:  # the ranking is that of the first rows: latents keep their places
            self.n_components_ = self._n_shown()
            return
        rows = fitted.data.rows.to(self._device())
        self._rank_latents(rows)
        contributions = column_contributions(self.flow_, rows, self._noise_seed)
        self.dimension_contributions_ = contributions.cpu().numpy()
        last_fixed = self.flow_.fixed.steps[-1]
        columns = self.image_shape is None and isinstance(last_fixed, Permutation)
        self.ranking_ = last_fixed.order.cpu().numpy() if columns else None
