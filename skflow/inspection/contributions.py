"""What each column adds to or takes from the score of a row."""

import copy
import inspect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn import get_config
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils.validation import check_is_fitted

N_TYPICAL = 300  # rows drawn from the model
N_TAIL = 5  # values on either side of the range of the typical rows
CHUNK_SCORES = 2**16  # rows scored at a time, at most
N_PARTS = 8  # that an interval between two values is integrated in
N_SPLITS, MAX_ROUNDS = 6, 15  # intervals split per round, and rounds, at most
TOLERANCE = 0.02  # share of an integral that may be in doubt
DEPTH = 1e8  # nats below the largest that stand for a density of zero

Scores = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class LikelihoodContributions:
    """Contributions of columns to scores, as `likelihood_contributions` gives them.

    Attributes
    ----------
    values : ndarray of shape (n_samples, n_features)
        In nats; a row adds up to its score.
    reference : ndarray of shape (n_features,)
        Mean of every column over typical rows.
    scores : ndarray of shape (n_samples,)
        ``estimator.score_samples(X)``.
    feature_names : ndarray of shape (n_features,)
    """

    values: np.ndarray
    reference: np.ndarray
    scores: np.ndarray
    feature_names: np.ndarray

    @property
    def deviations(self) -> np.ndarray:
        """Contributions less those of typical rows: the smallest is what makes a row unlikely."""
        return self.values - self.reference

    def display(self, row=0):
        """Give the `LikelihoodContributionsDisplay` of one row, to be plotted.

        Parameters
        ----------
        row : int, default=0

        Returns
        -------
        display : LikelihoodContributionsDisplay
        """
        from skflow.inspection.contributions_display import LikelihoodContributionsDisplay

        return LikelihoodContributionsDisplay(
            self.deviations[row], self.feature_names, score=self.scores[row]
        )


def likelihood_contributions(estimator, X, *, reference=None, n_grid=24, random_state=0):
    r"""Contributions of the columns to the score of every row, in nats.

    An estimator with ``score_columns`` (`SurVAEFlow` on tables) factorises the density: a column
    contributes its log-density given the columns before it. For any other, column j contributes

    .. math:: \log p(x_j \mid x_{-j}) = \log p(x) - \log \int p(x_{-j}, t) \, dt,

    small where another value of the column would make the row much more likely. These do not add
    up to the score; what is left is shared by the columns, not any one's own, so it is spread over
    them evenly. That does not change the order of a row's columns.

    Parameters
    ----------
    estimator : fitted density
        With ``score_samples``, and ``sample`` unless ``reference`` is given; scikit-learn's
        mixtures and kernel densities too.
    X : array-like or DataFrame of shape (n_samples, n_features)
    reference : array-like or DataFrame of shape (n_rows, n_features), default=None
        Typical rows; by default 300 drawn from the estimator.
    n_grid : int, default=24
        Values of a column that its integral starts from, quantiles of the typical rows; more are
        added beyond them and where the density is large. A mode between them may be missed if it is
        much narrower than their distance and another one is found: take more.
    random_state : int, RandomState instance or None, default=0
        For the rows drawn.

    Returns
    -------
    contributions : LikelihoodContributions

    Notes
    -----
    A conditional density takes some 60 scores, for every cell of ``X`` and of the typical rows: in
    wide tables and images, give few rows as ``reference``.

    Suppose one column of a row was overwritten by a value from a distribution with density r. The
    likelihood that it was column j is :math:`p(x_{-j}) r_j(x_j)`, so what compares columns is a
    difference of log-densities. That is why deviations are not divided by their spread; tried on
    real tables, that named the wrong column more often.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.mixture import GaussianMixture
    >>> from skflow.inspection import likelihood_contributions
    >>> x = np.random.default_rng(0).normal(size=(500, 2))
    >>> X = np.column_stack([x[:, 0], x[:, 0] + 0.1 * x[:, 1], x[:, 1]])
    >>> density = GaussianMixture(reg_covar=1e-3).fit(X)
    >>> contributions = likelihood_contributions(density, [[1.0, 1.0, 4.0]])
    >>> contributions.deviations.argmin(1)
    array([2])
    """
    check_is_fitted(estimator)
    if n_grid < 2:
        raise ValueError(f"n_grid={n_grid}; an integral needs two values at least.")
    scores = estimator.score_samples(X)
    typical = _draw(estimator, random_state) if reference is None else reference
    if hasattr(estimator, "score_columns"):
        values, usual = estimator.score_columns(X), estimator.score_columns(typical)
    else:
        rows, typical = (np.asarray(part, dtype=np.float64) for part in (X, typical))
        log_density = _scores_of(estimator)
        usual, values = (
            _by_replacement(log_density, part, typical, n_grid) for part in (typical, rows)
        )
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        names = np.array([f"x{i}" for i in range(values.shape[1])], dtype=object)
    return LikelihoodContributions(values, usual.mean(0), scores, names)


def _draw(estimator, random_state):
    """Rows of the model: scikit-learn's mixtures draw with their own parameter and label them."""
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    if "random_state" in inspect.signature(estimator.sample).parameters:
        return estimator.sample(N_TYPICAL, random_state=seed)
    return copy.copy(estimator).set_params(random_state=seed).sample(N_TYPICAL)[0]


def _scores_of(estimator) -> Scores:
    """``score_samples`` of arrays, with the names of the columns where it was fitted on names."""
    names = getattr(estimator, "feature_names_in_", None)
    if names is None:
        return estimator.score_samples
    import pandas as pd

    return lambda X: estimator.score_samples(pd.DataFrame(X, columns=names))


def _by_replacement(log_density: Scores, X, typical, n_grid: int) -> np.ndarray:
    """Log-density of every cell given the others of its row, and an even part of the rest."""
    scores = log_density(X)
    low, high = typical.min(0), typical.max(0)
    span = np.where(high > low, high - low, np.abs(high) + (high == 0))
    # As far out as the row itself in its farthest column: others may be expected there as well.
    reach = (np.maximum(low - X, X - high) / span).max(1).clip(0)
    tails = np.geomspace(0.1, 4 * (1 + reach), N_TAIL, axis=1)
    without = np.empty(X.shape)  # log-density of the row without the column
    for j in range(X.shape[1]):
        grid = np.unique(np.quantile(typical[:, j], np.linspace(0, 1, n_grid)))
        inner = np.broadcast_to(grid, (len(X), len(grid)))
        steps = span[j] * tails
        t = np.sort(np.hstack([low[j] - steps, inner, high[j] + steps, X[:, [j]]]), axis=1)
        twice = np.nonzero(t[:, 1:] == t[:, :-1])
        t[twice] = (t[twice] + t[twice[0], twice[1] - 1]) / 2
        n_scores = min(CHUNK_SCORES, get_config()["working_memory"] * 2**20 / (16 * X.shape[1]))
        for chunk in gen_batches(len(X), max(1, int(n_scores / t.shape[1]))):
            without[chunk, j] = _log_integral(log_density, X[chunk], j, t[chunk])
    values, some = np.zeros(X.shape), np.isfinite(scores)
    values[some] = scores[some, None] - without[some]
    values[some] += (scores[some] - values[some].sum(1))[:, None] / X.shape[1]
    # Of a density of zero: for the columns that another value would help, if there are any.
    guilty = np.isfinite(without)
    guilty[~guilty.any(1)] = True
    values[~some[:, None] & guilty] = -np.inf
    return values


def _log_integral(log_density: Scores, X, j: int, values: np.ndarray) -> np.ndarray:
    """Log of the integral over column j of every row, from sorted values of it (n, m) on."""

    def at(rows, t):
        replaced = np.repeat(X[rows], t.shape[1], axis=0)
        replaced[:, j] = t.ravel()
        return log_density(replaced).reshape(t.shape)

    result = np.full(len(X), -np.inf)
    logs = at(slice(None), values)
    rows = np.flatnonzero(np.isfinite(logs).any(1))
    values, logs = values[rows], logs[rows]
    for _ in range(MAX_ROUNDS):
        total, doubt, centre = _intervals(values, logs)
        result[rows] = total
        rough = doubt.sum(1) > TOLERANCE
        rows, values, logs, doubt, centre = (
            part[rough] for part in (rows, values, logs, doubt, centre)
        )
        if len(rows) == 0:
            break
        worst = np.argsort(-doubt, axis=1, kind="stable")[:, :N_SPLITS]
        added = np.take_along_axis(centre, worst, axis=1)
        values, logs = np.hstack([values, added]), np.hstack([logs, at(rows, added)])
        order = np.argsort(values, axis=1, kind="stable")
        values, logs = (np.take_along_axis(part, order, axis=1) for part in (values, logs))
    return result


def _intervals(values, logs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log of the integral; of every interval, the share that is in doubt, and the centre of mass.

    Between values the log-density is taken as a cubic; what that differs by from a line is in
    doubt. Where the density ends between two values, half of the interval counts.
    """
    ends = np.diff(np.isneginf(logs).astype(int)) != 0
    logs = np.maximum(logs, logs.max(1, keepdims=True) - DEPTH)
    width, rise = np.diff(values), np.diff(logs)
    slopes = _slopes(width, rise)
    u = np.linspace(0, 1, N_PARTS + 1)
    first, last = slopes[:, :-1] * width - rise, slopes[:, 1:] * width - rise
    bend = u * (1 - u) * ((1 - u) * first[..., None] - u * last[..., None])
    curve = logs[:, :-1, None] + u * rise[..., None] + bend
    top = curve.max((1, 2))
    curve -= top[:, None, None]
    parts = _mean_exp(curve[..., :-1], curve[..., 1:]) / N_PARTS
    mean = parts.sum(-1)
    centre = np.divide(parts @ (u[1:] + u[:-1]), 2 * mean, out=0 * mean + 0.5, where=mean > 0)
    doubt = np.abs(mean - _mean_exp(curve[..., 0], curve[..., -1]))
    half = np.exp(curve[ends].max(-1)) / 2
    mean[ends], doubt[ends], centre[ends] = half, half, 0.5
    total = (mean * width).sum(1)
    return top + np.log(total), doubt * width / total[:, None], values[:, :-1] + centre * width


def _slopes(width, rise) -> np.ndarray:
    """Slopes of parabolas through three values each, kept small beside a jump."""
    slope = np.divide(rise, width, out=np.zeros_like(rise), where=width > 0)
    left, right = width[:, :-1], width[:, 1:]
    inner = right * slope[:, :-1] + left * slope[:, 1:]
    inner = np.divide(inner, left + right, out=np.zeros_like(inner), where=left + right > 0)
    most = 3 * np.minimum(np.abs(slope[:, :-1]), np.abs(slope[:, 1:]))
    return np.hstack([slope[:, :1], inner.clip(-most, most), slope[:, -1:]])


def _mean_exp(a, b) -> np.ndarray:
    """Mean of exp along the line from a to b."""
    gap = np.maximum(np.abs(b - a), 1e-12)
    return np.exp(np.maximum(a, b)) * -np.expm1(-gap) / gap
