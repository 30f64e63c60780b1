"""What a density of tables answers beyond its scores: per column, given columns, missing cells."""

from functools import partial

import numpy as np
import torch
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skflow.data.limits import check_within
from skflow.data.selection import positions
from skflow.data.table_schema import TableSchema
from skflow.data.tables import as_table
from skflow.estimators.answers import CHUNK_ROWS, FlowAnswers
from skflow.estimators.validation import check_count, check_table
from skflow.transforms.noise import fresh_draw
from skflow.transforms.tables.density import TableDensity
from skflow.transforms.tables.typical_values import typical_values

TYPICAL_DRAWS = 64  # that a conditional mean, median or most frequent category is taken over
STRATEGIES = ("sample", "mean", "median")


def _has_columns(estimator) -> bool:
    if not estimator._model.has_columns:
        raise AttributeError(
            "columns are scored, given and imputed in tables only; this SurVAEFlow has an "
            "image_shape or an input_shape."
        )
    return True


class TableAnswers(FlowAnswers):
    """Scores by column, conditional scores and imputation."""

    _schema: TableSchema  # of a table always there

    def _positions(self, columns) -> list[int]:
        found = positions(columns, self._schema.names, "given")
        for group in self.flow_.fixed.exchangeable.groups:
            if 0 < len(set(group) & set(found)) < len(group):
                raise ValueError(
                    "given must hold all or none of the exchangeable columns "
                    f"{[self._schema.names[i] for i in group]}."
                )
        return found

    @available_if(_has_columns)
    def score_columns(self, X):
        """Log-density of every cell given the columns before it: what makes a row odd.

        Columns are in the order of the factorisation: what is missing, categories and atoms,
        lattices and ordinal columns, continuous ones, signs; within each as in ``X``.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)

        Returns
        -------
        log_density : ndarray of shape (n_samples, n_features)
            In nats; a row adds up to `score_samples`. For a missing cell the log-probability that
            it is missing, 0 where no cell of its column was in `fit`.
        """
        check_is_fitted(self)
        return self._by_column(self._read_rows(X, reset=False), [])

    @available_if(_has_columns)
    def conditional_score_samples(self, X, given):
        """Log-density of the other columns of every row, given some.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
        given : array-like of names, positions or bool
            Exchangeable columns all or none.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            In nats. A normalised density of the other columns for any values of the given ones.
            The network learns the density of rows and all conditional ones side by side, so
            ``score_samples(X)`` is the sum of two of them up to its error only.

        Raises
        ------
        ValueError
            If given values lie outside ``bounds``: no row has them.
        """
        check_is_fitted(self)
        values, given = self._read_rows(X, reset=False), self._positions(given)
        self._check_given(np.where(np.isin(np.arange(values.shape[1]), given), values, np.nan))
        return self._by_column(values, given).sum(1)

    def _check_given(self, values: np.ndarray) -> None:
        """Refuse to condition on what cannot be; NaN stands for what is not given."""
        check_within(self.bounds_, values, "X", self._schema.names)

    def _by_column(self, X: np.ndarray, given: list[int]) -> np.ndarray:
        density = self._table_density()
        return self._by_chunks(lambda x: density.log_prob_by_column(x, given), X)

    @available_if(_has_columns)
    def impute(self, X, n_draws=1, *, strategy="sample", random_state=None):
        """Fill in missing cells given the others of their row.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
        n_draws : int, default=1
            Completed tables to draw, with strategy "sample".
        strategy : {"sample", "mean", "median"}, default="sample"
            Draw cells from their joint conditional distribution; or fill in the mean or the median
            of numbers (the median of ordinal columns in both) and the most frequent category of 64
            draws.
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        X_complete : DataFrame or array of shape (n_samples, n_features), or list of them
            A list of ``n_draws`` if that is above 1.

        Raises
        ------
        ValueError
            If ``n_draws`` is below 1, or above 1 where nothing is sampled; if a part of a group of
            exchangeable columns is missing; if known values lie outside ``bounds``.
        """
        check_is_fitted(self)
        if strategy not in STRATEGIES:
            raise ValueError(f"strategy must be one of {STRATEGIES}, got {strategy!r}.")
        check_count(n_draws, "n_draws")
        if n_draws > 1 and strategy != "sample":
            raise ValueError(f"n_draws={n_draws}; strategy {strategy!r} gives one table.")
        table = check_table(as_table(X), 1)
        values = self._read_rows(table, reset=False)
        missing = np.isnan(values)
        for group in self.flow_.fixed.exchangeable.groups:
            if (missing[:, group].any(1) & ~missing[:, group].all(1)).any():
                raise ValueError(
                    "exchangeable columns can be imputed together only: in some rows of X, some of "
                    f"the columns {group} are missing and others are not."
                )
        self._check_given(values)
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        generator = torch.Generator(self._device()).manual_seed(seed)
        incomplete = np.flatnonzero(missing.any(1))
        holes, tables = values[incomplete], []
        for _ in range(n_draws):
            if len(incomplete):
                draw = self._drawn if strategy == "sample" else partial(self._typical, strategy)
                values[incomplete] = draw(holes, generator)
            tables.append(self._schema.fill(table, values))
        return tables if n_draws > 1 else tables[0]

    def _drawn(self, holes: np.ndarray, generator: torch.Generator) -> np.ndarray:
        """Rows with their missing cells drawn."""
        return self._by_chunks(lambda x: self._completed(x, generator), holes, in_order=True)

    def _completed(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        shape = len(x), self.flow_.base.n_features
        z = torch.randn(shape, generator=generator, dtype=x.dtype, device=x.device)
        return self._table_density().complete(x, z, fresh_draw(generator))

    def _table_density(self) -> TableDensity:
        return TableDensity(self.flow_.fixed, self.flow_.learned)

    def _typical(self, strategy: str, holes: np.ndarray, generator: torch.Generator) -> np.ndarray:
        """Rows with mean, median or most frequent of the draws of every missing cell.

        As many rows at a time as, with their draws, are scored at a time.
        """
        size = max(1, next(self._chunks(CHUNK_ROWS)).stop // TYPICAL_DRAWS)
        done = []
        for chunk in gen_batches(len(holes), size):
            copies = np.tile(holes[chunk], (TYPICAL_DRAWS, 1))
            drawn = self._drawn(copies, generator).reshape(TYPICAL_DRAWS, -1, holes.shape[1])
            done.append(typical_values(drawn, holes[chunk], self.flow_.fixed, strategy))
        return np.concatenate(done)
