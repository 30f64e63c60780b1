"""What a fitted flow answers: densities, samples, latent rows and outliers."""

import numpy as np
import torch
from sklearn import get_config
from sklearn.base import (
    ClassNamePrefixFeaturesOutMixin,
    DensityMixin,
    OutlierMixin,
    TransformerMixin,
)
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_array, check_random_state, gen_batches
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skflow.data.rows import Rows
from skflow.data.stored import by_blocks, is_stored
from skflow.data.table_schema import TableSchema
from skflow.data.tables import as_table, is_frame, plain_array
from skflow.estimators.validation import check_count, check_finite, check_numbers, check_weight
from skflow.flow import Flow
from skflow.training.side_by_side import side_by_side
from skflow.transforms.noise import fresh_noise, shared_noise

CHUNK_ROWS = 4096  # scored at a time, at most: the intermediate arrays stay in the cache
CHUNK_BYTES = 1_000  # that a value of a row takes on its way through a spline layer
GAP_ROWS, GAP_DRAWS, GAP_FACTOR = 200, 256, 4  # what a bound's gap is measured with


def _detects_outliers(estimator) -> bool:
    if estimator.contamination is None:
        raise AttributeError(
            "predict, fit_predict and decision_function need a threshold: "
            "set contamination to the share of outliers you expect, such as 0.05."
        )
    return True


class FlowAnswers(ClassNamePrefixFeaturesOutMixin, TransformerMixin, OutlierMixin, DensityMixin):
    """Scoring, sampling, transforming and flagging by the fitted attributes."""

    flow_: Flow
    n_features_in_: int
    n_components_: int
    bounds_: tuple[np.ndarray, np.ndarray] | None
    offset_: float
    _fitted_contamination: float | None
    _schema: TableSchema | None
    _noise_seed: int

    def _n_importance_samples(self) -> int:
        """Draws per score, where scores are bounds."""
        return 1

    def _read_rows(self, X, *, reset: bool, min_rows: int = 1) -> np.ndarray:
        """Validated rows as numbers, (n, n_features) in float64."""
        values, schema = check_numbers(self, X, reset=reset, min_rows=min_rows)
        if reset:
            self._schema = schema
        return values

    @property
    def _names(self) -> list:
        """Names of the columns of a frame, positions in an array."""
        return list(range(self.n_features_in_)) if self._schema is None else self._schema.names

    def _write_rows(self, values: np.ndarray):
        """Numbers as rows of the kind that was fitted."""
        return values if self._schema is None else self._schema.write(values)

    # -- density ------------------------------------------------------------------------------

    def _score_rows(self, X: np.ndarray, n_draws: int | None = None) -> np.ndarray:
        n_draws = self._n_importance_samples() if n_draws is None else n_draws

        def log_prob(x):
            # The same noise for every chunk, and in it for every row.
            noise = shared_noise(torch.Generator().manual_seed(self._noise_seed))
            return self.flow_.log_prob(x, n_importance_samples=n_draws, noise=noise)

        return self._by_chunks(log_prob, X)

    def _measured_gap(self, rows: Rows) -> float:
        """Mean over some rows of a close estimate of the log-density minus the one-draw bound."""
        some = rows.evenly(GAP_ROWS)
        noise = fresh_noise(torch.Generator(self._device()).manual_seed(self._noise_seed))
        n_draws = max(GAP_DRAWS, GAP_FACTOR * self._n_importance_samples())

        def gap(x):
            return self.flow_.bound_gap(x, n_draws=n_draws, noise=noise)

        return some.mean(torch.as_tensor(self._by_chunks(gap, some.x.numpy(), in_order=True)))

    def _by_chunks(self, function, X: np.ndarray, *, in_order: bool = False) -> np.ndarray:
        """Apply ``function`` to chunks of rows, in float64 on the flow's device.

        Side by side on a CPU, unless they must be taken ``in_order``.
        """
        device = self._device()

        def answer(chunk):
            with torch.inference_mode():
                return function(torch.tensor(X[chunk], device=device)).cpu().numpy()

        chunks = list(self._chunks(len(X)))
        alone = in_order or device.type != "cpu"
        parts = [answer(chunk) for chunk in chunks] if alone else side_by_side(answer, chunks)
        return np.concatenate(parts)

    def _chunks(self, n: int):
        """Slices of rows, within scikit-learn's ``working_memory``."""
        return gen_batches(n, self._chunk_rows())

    def _chunk_rows(self) -> int:
        memory = get_config()["working_memory"] * 2**20
        rows = int(memory / (CHUNK_BYTES * self.n_features_in_ * torch.get_num_threads()))
        return max(1, min(rows, CHUNK_ROWS))

    def _device(self) -> torch.device:
        return next(iter(self.flow_.state_dict().values())).device

    def score_samples(self, X):
        """Log-density of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), path or pyarrow.dataset.Dataset
            A path is that of a Parquet file or of a folder of them. Such rows, and those of a
            `numpy.memmap`, are read a block at a time, as by `score`, `decision_function` and
            `predict`. Columns are found by their names, if they had some in `fit`.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            In nats, for ``X`` in its own units: densities of different models compare. Exact if
            ``exact_``, else a lower bound in expectation over the draws, which all rows share.
        """
        check_is_fitted(self)
        if is_stored(X):
            columns = getattr(self, "feature_names_in_", self.n_features_in_)
            return by_blocks(self.score_samples, X, columns, self._chunk_rows())
        return self._score_rows(self._read_rows(X, reset=False))

    def score(self, X, y=None, sample_weight=None):
        """Mean log-density of the rows, in nats.

        The mean, as in `sklearn.mixture.GaussianMixture`; `sklearn.neighbors.KernelDensity` gives
        the total.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        score : float
        """
        scores = self.score_samples(X)
        if sample_weight is None:
            return float(scores.mean())
        weight = check_weight(sample_weight, scores[:, None], least=1)
        return float(np.average(scores[weight > 0], weights=weight[weight > 0]))

    def sample(self, n_samples=1, random_state=None):
        """Draw new rows from the fitted density.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            An int gives the same rows each time.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), or DataFrame
            A pandas DataFrame of the same columns and dtypes if the flow was fitted on a frame,
            of whatever library.

        Raises
        ------
        TypeError
            If ``n_samples`` is no whole number.
        ValueError
            If it is below 1.
        """
        check_is_fitted(self)
        n_samples = check_count(n_samples, "n_samples")
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        generator = torch.Generator(self._device()).manual_seed(seed)
        with torch.inference_mode():
            parts = [
                self.flow_.sample(chunk.stop - chunk.start, generator=generator)
                for chunk in self._chunks(n_samples)
            ]
        values = torch.cat(parts).cpu().numpy()
        if self.bounds_ is not None:  # the flow's reach half a step further on a lattice
            values = values.clip(*self.bounds_)
        return self._write_rows(values)

    # -- transformer --------------------------------------------------------------------------

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def transform(self, X):
        """Latent representation of the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
        """
        check_is_fitted(self)
        return self._by_chunks(self.flow_.encode, self._read_rows(X, reset=False))

    def inverse_transform(self, X):
        """Rows in data space of latent rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Latent rows.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features), or DataFrame
            As from `sample`: a DataFrame of the same columns and dtypes, with the index of ``X``,
            if the flow was fitted on one.
        """
        return self._decode_rows(X, lambda z: self.flow_.decode(z))

    def _decode_rows(self, X, decode, *, in_order: bool = False):
        """Latent rows as rows of the kind that was fitted; ``in_order`` where they are drawn."""
        check_is_fitted(self)
        X = as_table(X)
        Z = plain_array(check_array(X, dtype=np.float64, ensure_all_finite=False))
        check_finite(self, Z, "X")
        self._check_latent_width(Z.shape[1])
        rows = self._write_rows(self._by_chunks(decode, Z, in_order=in_order))
        return rows.set_axis(X.index) if is_frame(rows) and is_frame(X) else rows

    def _check_latent_width(self, width: int) -> None:
        if width != self.n_components_:
            raise ValueError(
                f"X has {width} columns, but the latent space of this "
                f"{type(self).__name__} has {self.n_components_}."
            )

    # -- outlier detector ---------------------------------------------------------------------

    @available_if(_detects_outliers)
    def decision_function(self, X):
        """Log-density above the threshold: negative for outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        decision : ndarray of shape (n_samples,)
            ``score_samples(X) - offset_``.

        Raises
        ------
        NotFittedError
            If ``contamination`` is another one than in `fit`: the threshold was chosen there.
        """
        check_is_fitted(self)
        fitted = self._fitted_contamination
        if fitted != self.contamination:
            raise NotFittedError(
                f"contamination is {self.contamination}, but this {type(self).__name__} was fitted "
                f"with contamination={fitted}, and "
                f"{'has no threshold' if fitted is None else 'its threshold belongs to that'}: "
                "fit it again."
            )
        return self.score_samples(X) - self.offset_

    @available_if(_detects_outliers)
    def predict(self, X):
        """+1 for rows at least as likely as the threshold, -1 for outliers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        return np.where(self.decision_function(X) >= 0, 1, -1)

    @available_if(_detects_outliers)
    def fit_predict(self, X, y=None, **fit_params):
        """Fit, then flag the same rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.
        **fit_params : dict
            Passed to `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        return self.fit(X, y, **fit_params).predict(X)
