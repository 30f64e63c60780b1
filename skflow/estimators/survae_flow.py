"""SurVAEFlow: mixed tables, missing values, symmetric and exchangeable columns."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch

from skflow._compat import StrOptions
from skflow.data.selection import in_words
from skflow.data.warn import warn
from skflow.estimators.base import BaseFlow
from skflow.estimators.parameters import AtLeastOne, Auto, Positive
from skflow.estimators.survae_images import ImageModel
from skflow.estimators.survae_model import SurVAEModel
from skflow.estimators.survae_sets import SetModel
from skflow.estimators.survae_table import TableModel
from skflow.estimators.table_answers import TableAnswers

SHOWN_KINDS = 12  # columns in its repr
PLANS = {model.rows_are: model.plan for model in (TableModel, ImageModel, SetModel)}


@dataclass(kw_only=True, eq=False, repr=False)
class SurVAEFlow(TableAnswers, BaseFlow):
    """Density of a raw table, of sets of points or of images, by surjections.

    A mixed table, with missing cells, is factorised exactly: which cells are missing, categories
    and atoms, ordinal and integer columns by the mass of their cells, continuous columns, each
    given the ones before it. The factors start as a latent class model (a Gaussian mixture over all
    columns at once), chosen on held-out rows; a masked network trains on top of it. It learns the
    factors given any columns, so cells can be imputed and columns conditioned on.

    Parameters
    ----------
    categorical_features : "from_dtype", array-like of names, positions or bool, or None, \
            default="from_dtype"
        Categorical columns. "from_dtype" takes those of dtype category, bool, string and object
        with values that are no numbers. Ordered categories are ordinal.
    ordinal_features : array-like of names, positions or bool, default=None
        Numeric columns whose values are levels with an order and no distance.
    bounds : list of pairs or dict {column: pair}, default=None
        Lower and upper bound of numeric columns in units of X, None or infinite for none. The
        density is zero outside.
    symmetric : array-like of names, positions or bool, default=None
        Columns of which the absolute value and the sign are modelled: the abs surjection.
    exchangeable : list of lists of names or positions, default=None
        Groups of continuous columns whose order means nothing: the sort surjection.
    periodic : dict {column: period}, default=None
        Columns on a circle, such as an hour of the day (24).
    image_shape : (int, int, int), default=None
        Channels, height and width, where rows are images on a lattice of levels, laid out flat.
    input_shape : (int, int), default=None
        Number of points and of coordinates, where rows are sets of points laid out flat.
    symmetry : {"permute", "sort"}, default="permute"
        Of sets. "permute" orders the points at random: a lower bound of the density. "sort" orders
        them by their first coordinate: exact.
    pooling : {"slice", "max"}, default="slice"
        Of images: half of the channels are dropped after each scale, or all but the largest of
        every four pixels.
    dequantization : {"variational", "uniform"}, default="variational"
        Of images: the noise within the cell of a level.
    n_layers : int or "auto", default="auto"
        Of images and sets: couplings per scale (4), or layers of the transformer (3).
    n_importance_samples : int, default=16
        Draws per score where that is a bound: images, and sets with symmetry="permute".
    hidden_layer_sizes : tuple of int or "auto", default="auto"
        Of the network of a table, all equal: (128, 128) from 5,000 rows on, (64, 64) from 500 on,
        else (32, 32).
    max_mixture_components : int, default=32
        Most classes of a table's start.
    contamination : float in (0, 0.5], default=None
    max_iter : int, default=100
    batch_size : int or "auto", default="auto"
    learning_rate_init : float or "auto", default="auto"
        AdamW's step after the warm-up: 3e-3 for tables, else 1e-3.
    weight_decay : float, default=1e-4
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
    column_kinds_ : dict
        Of a table: what was detected, by column. "categorical", "ordinal", "integer", "grid" (a
        lattice of other steps), "continuous" or "periodic"; then what else there is: "missing"
        cells, "atoms" (values with a probability of their own), "bounded", "symmetric",
        "exchangeable".
    flow_ : skflow.flow.Flow
        The fitted density, in float64.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features_in,)
        Where ``X`` had string column names.
    n_components_ : int
        Width of the latent space: of a table, its numeric columns.
    n_iter_, best_iter_ : int
        Epochs run; the epoch whose weights were kept, 0 is the start.
    start_ : dict
        The chosen start.
    start_score_, best_score_ : float
        Mean held-out log-density before and after training; nan where nothing was held out.
    history_ : dict of lists
        Per epoch: "train_loss" and "validation_score" in nats, "learning_rate", "seconds". The
        loss of a table is of rows with columns revealed and hidden at random.
    exact_ : bool
        Whether `score_samples` is the log-density itself. True for tables.
    bound_gap_ : float
        How far below it the one-draw bound is on average, measured with many draws; 0 if exact.
    offset_ : float
        With ``contamination``: the weighted quantile of the scores of all rows given to `fit`.

    Notes
    -----
    The log-density of a row adds the log-probability of its categories, ordinal levels, atoms and
    missing cells, and the log-density of its numbers. A column on a lattice (integers, rounded
    numbers) has the probability of its cell divided by the cell's width: the probability, for
    whole numbers; a density in units of X that compares with other estimators', for others. Values
    between the levels of a lattice count as the nearest level.

    An unknown category has the probability of a new one (Good and Turing's estimate) and tells
    nothing about other columns. A missing cell in a column that was complete in `fit` is left out
    of the score, as is everything about it.

    References
    ----------
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows: Surjections to Bridge the Gap
    between VAEs and Flows", arXiv:2007.02731.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skflow import SurVAEFlow
    >>> rng = np.random.default_rng(0)
    >>> colour = rng.choice(["red", "blue"], 200)
    >>> size = rng.normal(np.where(colour == "red", 5.0, 2.0)).round(1)
    >>> X = pd.DataFrame({"colour": colour, "size": size})
    >>> X.loc[::10, "size"] = np.nan
    >>> flow = SurVAEFlow(max_iter=5, random_state=0).fit(X)
    >>> flow.column_kinds_
    {'colour': 'categorical', 'size': 'grid +missing'}
    >>> flow.score_samples(X).shape
    (200,)
    >>> flow.impute(X, random_state=0).isna().sum().sum()
    np.int64(0)
    >>> flow.sample(2, random_state=0).dtypes["size"]
    dtype('float64')
    """

    categorical_features: Sequence | str | None = field(default="from_dtype", kw_only=False)
    ordinal_features: Sequence | None = None
    symmetric: Sequence | None = None
    exchangeable: Sequence[Sequence] | None = None
    periodic: dict | None = None
    image_shape: Sequence[int] | None = None
    input_shape: Sequence[int] | None = None
    symmetry: str = "permute"
    pooling: str = "slice"
    dequantization: str = "variational"
    n_layers: int | str = "auto"
    n_importance_samples: int = 16
    hidden_layer_sizes: Sequence[int] | str = "auto"
    learning_rate_init: float | str = "auto"

    _parameter_constraints: ClassVar[dict] = {
        **BaseFlow._parameter_constraints,
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "ordinal_features": ["array-like", None],
        "symmetric": ["array-like", None],
        "exchangeable": [list, tuple, None],
        "periodic": [dict, None],
        "image_shape": ["array-like", None],
        "input_shape": ["array-like", None],
        "symmetry": [StrOptions({"permute", "sort"})],
        "pooling": [StrOptions({"slice", "max"})],
        "dequantization": [StrOptions({"variational", "uniform"})],
        "n_layers": [AtLeastOne, Auto],
        "n_importance_samples": [AtLeastOne],
        "hidden_layer_sizes": ["array-like", Auto],
        "learning_rate_init": [Positive, Auto],
    }

    # -- by what rows are ---------------------------------------------------------------------

    @property
    def _model(self) -> SurVAEModel:
        if self.image_shape is not None:
            return ImageModel(self)
        return TableModel(self) if self.input_shape is None else SetModel(self)

    def _read_rows(self, X, *, reset, min_rows=1):
        values, schema = self._model.read(X, reset=reset, min_rows=min_rows)
        if reset:
            self._schema = schema
        return values

    def _write_rows(self, values):
        return super()._write_rows(self._model.written(values))

    def _check_bounds(self, X):
        self._model.check_bounds()
        return super()._check_bounds(X)

    def _check_limits(self, bounds, X, name):
        super()._check_limits(bounds, X, name)
        new = self._model.with_new_categories(X)
        if new:
            warn(
                f"columns {in_words(new)} of {name} hold categories that the first rows had not: "
                "they count as unknown. Declare all of them, as with pandas.CategoricalDtype.",
                UserWarning,
            )

    def _find_noise_floor(self, rows):
        return self._model.noise_floor(rows)

    def _learning_rate(self):
        chosen = self.learning_rate_init
        return self._model.learning_rate if chosen == "auto" else chosen

    def _n_importance_samples(self):
        return self.n_importance_samples

    def _candidates(self, data, seed, rng, clock):
        if not self.early_stopping:
            data = replace(data, train=data.rows)
        return [self._model.start(data, rng, torch.Generator().manual_seed(seed), clock)]

    def _rebuilt_flow(self, recipe):
        values = dict(recipe["plan"])
        plan = PLANS[values.pop("rows_are")].from_plain(values)
        return plan.flow(torch.Generator())

    def _publish(self, fitted, seed, *, measured=True):
        super()._publish(fitted, seed, measured=measured)
        vars(self).update(self._model.fitted_attributes())

    # -- what it answers ----------------------------------------------------------------------

    def inverse_transform(self, X):
        """Rows of latent rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Latent rows.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features), or DataFrame
            As from `sample`, with the index of ``X`` if that is a frame. What a latent row leaves
            open is at its mean or at its most likely: the categories of a table, say, which are no
            part of the latent space.
        """
        return super().inverse_transform(X)

    def __repr__(self, N_CHAR_MAX=700):
        text = super().__repr__(N_CHAR_MAX)
        if not hasattr(self, "column_kinds_"):
            return text
        kinds = [f"{name}: {kind}" for name, kind in self.column_kinds_.items()]
        more = len(kinds) - SHOWN_KINDS
        shown = ", ".join(kinds[:SHOWN_KINDS]) + (f" and {more} more" if more > 0 else "")
        return f"{text}\n{shown}"

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        has_columns = self._model.has_columns
        tags.input_tags.allow_nan = has_columns
        tags.input_tags.categorical = has_columns
        tags.input_tags.string = has_columns
        return tags
