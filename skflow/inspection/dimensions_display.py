"""What the columns contribute to a density: bars, or an image of pixels."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skflow.inspection.bars import draw_bars, new_axes


class DimensionContributionsDisplay:
    """``dimension_contributions_`` of a fitted `MultiscaleFlow`.

    Parameters
    ----------
    contributions : ndarray of shape (n_features,)
        In nats.
    feature_names : ndarray of shape (n_features,)
    image_shape : (int, int, int), default=None
        Where the columns are pixels: they are shown as an image, summed over the channels.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skflow import MultiscaleFlow
    >>> from skflow.inspection import DimensionContributionsDisplay
    >>> X, _ = make_blobs(200, n_features=4, random_state=0)
    >>> flow = MultiscaleFlow(max_iter=2, random_state=0).fit(X)
    >>> display = DimensionContributionsDisplay.from_estimator(flow)
    >>> display.ax_.get_xlabel()
    'nats above independent normals'
    """

    def __init__(self, contributions, feature_names, *, image_shape=None):
        self.contributions = contributions
        self.feature_names = feature_names
        self.image_shape = image_shape

    @classmethod
    def from_estimator(cls, estimator, *, n_features=20, image_shape=None, ax=None, **kwargs):
        """Plot the contributions of a fitted estimator.

        Parameters
        ----------
        estimator : fitted MultiscaleFlow
        n_features : int, default=20
            Most bars; the columns beyond are summed in the last one.
        image_shape : (int, int, int), default=None
            Shape of the images that the rows are; by default the estimator's own ``image_shape``.
        ax : matplotlib Axes, default=None
            Where to plot; by default a new figure.
        **kwargs : dict
            Passed to ``ax.barh`` or ``ax.imshow``.

        Returns
        -------
        display : DimensionContributionsDisplay
        """
        check_is_fitted(estimator)
        contributions = estimator.dimension_contributions_
        names = getattr(estimator, "feature_names_in_", None)
        if names is None:
            names = np.array([f"x{i}" for i in range(len(contributions))], dtype=object)
        shape = estimator.image_shape if image_shape is None else image_shape
        return cls(contributions, names, image_shape=shape).plot(
            ax, n_features=n_features, **kwargs
        )

    def plot(self, ax=None, *, n_features=20, **kwargs):
        """Draw the bars or the image.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; by default a new figure.
        n_features : int, default=20
            Most bars; the columns beyond are summed in the last one.
        **kwargs : dict
            Passed to ``ax.barh`` or ``ax.imshow``.

        Returns
        -------
        display : DimensionContributionsDisplay
        """
        label = "nats above independent normals"
        ax = new_axes() if ax is None else ax
        if self.image_shape is None:
            draw_bars(ax, self.contributions, self.feature_names, n_features, **kwargs)
            ax.set_xlabel(label)
        else:
            image = np.reshape(self.contributions, self.image_shape).sum(0)
            drawn = ax.imshow(image, **{"cmap": "viridis", **kwargs})
            ax.figure.colorbar(drawn, ax=ax, label=label)
        self.ax_, self.figure_ = ax, ax.figure
        return self
