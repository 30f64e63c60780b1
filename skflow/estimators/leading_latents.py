"""Ranked latents: the most informative first, any number of them there and back."""

from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skflow.architectures.multiscale import decode_first
from skflow.data.plain import plain
from skflow.data.rows import Rows
from skflow.estimators.dimension_reduction import ReducingFlow, check_mode
from skflow.starts.dimension_ranking import GeneratorNorms
from skflow.transforms.noise import fresh_draw

MEAN_DRAWS = 64  # that the mean of what a latent row leaves open is taken over
ROUNDING = 1e-9


class LeadingLatents(ReducingFlow):
    """What `MultiscaleFlow` does with its latents once the flow is trained."""

    n_components: int | float | None
    prior: str

    def _rank_latents(self, rows: Rows) -> None:
        """Set the order by explained entropy, and how many latents are given."""
        entropy = GeneratorNorms(self.flow_, rows).explained_entropy()
        order = entropy.argsort(descending=True, stable=True)
        self.latent_order_ = order.cpu().numpy()
        self.explained_entropy_ = entropy[order].cpu().numpy()
        power = np.exp(2 * (self.explained_entropy_ - self.explained_entropy_[0]))
        self.explained_entropy_ratio_ = power / power.sum()
        self.n_components_ = self._n_shown()

    def _n_shown(self) -> int:
        """Latents that `transform` gives."""
        wanted, n_latents = self.n_components, len(self.latent_order_)
        if wanted is None or self._recipe["plan"]["prior"] != "normal":
            return n_latents
        if isinstance(wanted, Integral):
            return min(int(wanted), n_latents)
        explained = self.explained_entropy_ratio_.cumsum()
        return min(int(np.searchsorted(explained, wanted - ROUNDING)) + 1, n_latents)

    def truncate(self, n_components):
        """A copy of the fitted estimator that gives another number of latents.

        Parameters
        ----------
        n_components : int, float or None
            As in the constructor. With a ``prior`` of few dimensions their number stays.

        Returns
        -------
        flow : MultiscaleFlow
            It shares the fitted attributes.

        Raises
        ------
        ValueError
            If there are fewer latents.
        """
        check_is_fitted(self)
        shorter = object.__new__(type(self))
        vars(shorter).update(vars(self))
        shorter.set_params(n_components=n_components)._validate_params()
        n_latents = len(self.latent_order_)
        if isinstance(n_components, Integral) and int(n_components) > n_latents:
            raise ValueError(f"n_components={n_components} is more than the {n_latents} latents.")
        shorter.n_components_ = shorter._n_shown()
        shorter._built_by = {**self._built_by, "n_components": plain(n_components)}
        return shorter

    # -- there and back -----------------------------------------------------------------------

    def transform(self, X):
        """The latents that explain most, the most informative first.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
        """
        check_is_fitted(self)
        Z = self._by_chunks(self.flow_.encode, self._read_rows(X, reset=False))
        return Z[:, self.latent_order_[: self.n_components_]]

    def _check_latent_width(self, width):
        if not 1 <= width <= len(self.latent_order_):
            raise ValueError(
                f"X has {width} columns, but this {type(self).__name__} has 1 to "
                f"{len(self.latent_order_)} latent dimensions to give."
            )

    def inverse_transform(self, X, *, mode="mean", random_state=None):
        """Rows in data space of the first columns of latent rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, k)
            The first k columns of `transform`, for any k from 1 to the number of latents.
        mode : {"mean", "sample"}, default="mean"
            What becomes of what the latent rows leave open, the other latents and what was cut
            off: the mean over 64 draws of it, which aims at the least squared error and is the same
            each time for the same rows, or one draw.
        random_state : int, RandomState instance or None, default=None
            With "sample": an int gives the same rows each time.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features), or DataFrame
            As from `sample`. With all latents and nothing cut off, the rows themselves.
        """
        check_is_fitted(self)
        if check_mode(mode) == "sample":
            seed, n_draws = int(check_random_state(random_state).randint(2**31 - 1)), 1
        else:
            seed, n_draws = self._noise_seed, MEAN_DRAWS
        generator = torch.Generator(self._device()).manual_seed(seed)
        order, draw = (
            torch.as_tensor(self.latent_order_, device=self._device()),
            fresh_draw(generator),
        )
        return self._decode_rows(
            X, lambda z: decode_first(self.flow_, z, order, draw, n_draws), in_order=True
        )
