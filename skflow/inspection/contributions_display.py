"""Bars of what makes one row likely or unlikely."""

import numpy as np

from skflow.inspection.bars import draw_bars, new_axes
from skflow.inspection.contributions import likelihood_contributions


class LikelihoodContributionsDisplay:
    """Bars of one row's deviations from typical contributions, the largest on top.

    Made by `from_estimator` or by `LikelihoodContributions.display`.

    Parameters
    ----------
    deviations : ndarray of shape (n_features,)
        In nats.
    feature_names : ndarray of shape (n_features,)
    score : float, default=None
        Log-density of the row, for the title.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    bars_ : matplotlib BarContainer

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.mixture import GaussianMixture
    >>> from skflow.inspection import LikelihoodContributionsDisplay
    >>> iris = load_iris(as_frame=True).data
    >>> density = GaussianMixture(2, random_state=0).fit(iris)
    >>> display = LikelihoodContributionsDisplay.from_estimator(density, iris, row=41)
    >>> display.ax_.get_xlabel()
    'nats above or below typical rows'
    """

    def __init__(self, deviations, feature_names, *, score=None):
        self.deviations = deviations
        self.feature_names = feature_names
        self.score = score

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        row=0,
        reference=None,
        random_state=0,
        n_features=10,
        ax=None,
        **kwargs,
    ):
        """Plot a row of ``X`` under a fitted density.

        Parameters
        ----------
        estimator : fitted density
        X : array-like or DataFrame of shape (n_samples, n_features)
        row : int, default=0
            Position of the row.
        reference : array-like or DataFrame, default=None
            As in `likelihood_contributions`.
        random_state : int, RandomState instance or None, default=0
            As in `likelihood_contributions`.
        n_features : int, default=10
            Most bars; the columns beyond are summed in the last one.
        ax : matplotlib Axes, default=None
            Where to plot; by default a new figure.
        **kwargs : dict
            Passed to ``ax.barh``.

        Returns
        -------
        display : LikelihoodContributionsDisplay
        """
        X = X.iloc[[row]] if hasattr(X, "iloc") else np.asarray(X)[[row]]
        contributions = likelihood_contributions(
            estimator, X, reference=reference, random_state=random_state
        )
        return contributions.display().plot(ax, n_features=n_features, **kwargs)

    def plot(self, ax=None, *, n_features=10, **kwargs):
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; by default a new figure.
        n_features : int, default=10
            Most bars; the columns beyond are summed in the last one.
        **kwargs : dict
            Passed to ``ax.barh``.

        Returns
        -------
        display : LikelihoodContributionsDisplay

        Raises
        ------
        ImportError
            Without matplotlib.
        ValueError
            If ``n_features`` is below 1, or the density of the row is zero.
        """
        impossible = ~np.isfinite(self.deviations)
        if impossible.any():
            raise ValueError(
                "the density of this row is zero, because of "
                f"{[str(name) for name in self.feature_names[impossible]]}: no bar is that long."
            )
        ax = new_axes() if ax is None else ax
        self.bars_ = draw_bars(ax, self.deviations, self.feature_names, n_features, **kwargs)
        ax.set_xlabel("nats above or below typical rows")
        if self.score is not None:
            ax.set_title(f"log-density {self.score:.4g}")
        self.ax_, self.figure_ = ax, ax.figure
        return self
