"""What the estimators with fewer latent dimensions than columns share."""

import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skflow.estimators.image_flow import ImageFlow
from skflow.estimators.parameters import ReductionParameters
from skflow.starts.bases import base_for, check_decoder
from skflow.starts.first_axes import set_axes, set_scales_and_axes
from skflow.transforms.noise import fresh_draw, mean_draw


class ReducingFlow(ReductionParameters, ImageFlow):
    """A flow whose latent space is narrower than the data, with a decoder of what is dropped."""

    def _image_shape(self, n_features):
        shape = super()._image_shape(n_features)
        if shape is not None and self.base not in ("auto", "normal"):
            raise ValueError(f"base={self.base!r} is for tables; with image_shape it is 'normal'.")
        return shape

    def _start_options(self):
        start, base = super()._start_options()
        check_decoder(self.decoder, base)
        return start, base_for(self.decoder, base)

    def _initialize(self, flow, rows, generator):
        if self.image_shape is None:
            set_axes(flow, rows)
        else:
            set_scales_and_axes(flow, rows, generator)

    def inverse_transform(self, X, *, mode="mean", random_state=None):
        """Rows in data space of latent rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Latent rows.
        mode : {"mean", "sample"}, default="mean"
            What becomes of what the latent rows leave open: the decoder's mean, which gives one
            typical row, or a draw.
        random_state : int, RandomState instance or None, default=None
            With "sample": an int gives the same rows each time.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features), or DataFrame
            As from `sample`. Where ``exact_``, `transform` of these rows gives the latent rows
            back.
        """
        check_is_fitted(self)
        draw = mean_draw
        if check_mode(mode) == "sample":
            seed = int(check_random_state(random_state).randint(2**31 - 1))
            draw = fresh_draw(torch.Generator(self._device()).manual_seed(seed))
        return self._decode_rows(X, lambda z: self.flow_.decode(z, draw=draw), in_order=True)


def check_mode(mode: str) -> str:
    """How `inverse_transform` is to fill in what latent rows leave open."""
    if mode not in ("mean", "sample"):
        raise ValueError(f"mode={mode!r}; choose 'mean' or 'sample'.")
    return mode
