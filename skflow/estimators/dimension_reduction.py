"""What the estimators with fewer latent dimensions than columns share."""

import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skflow.estimators.image_flow import ImageFlow
from skflow.estimators.parameters import ReductionParameters
from skflow.kernels.moments import ledoit_wolf_intensity, weighted_mean
from skflow.starts.bases import base_for, check_decoder
from skflow.transforms import OrthogonalTransform
from skflow.transforms.noise import fresh_draw, fresh_noise, mean_draw

INITIAL_ROWS = 5_000  # images that the layers take their first scales and axes from


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
        if self.image_shape is None:  # the layers continue the start, but for the axes of a normal
            for layer in flow.learned.modules():
                if isinstance(layer, OrthogonalTransform) and layer.by_data:
                    layer.initialize(flow.fixed(rows.x)[0], rows.weight)
            return
        n = len(rows)
        order = torch.randperm(n, generator=generator).repeat(-(-INITIAL_ROWS // n))
        some = rows[order[:INITIAL_ROWS]]
        fixed, learned = flow.fixed, flow.learned
        z, _ = fixed(some.x)
        # Few images span few directions. With noise the rows have the covariance that Ledoit and
        # Wolf estimate, and no direction is without spread.
        mean = weighted_mean(z, some.weight)
        encoded, weight = fixed(rows.x)[0], rows.weight
        intensity = ledoit_wolf_intensity(encoded - weighted_mean(encoded, weight), weight)
        spread = (z - mean).square().mean().sqrt()
        noise = fresh_noise(generator)
        z = mean + (1 - intensity) ** 0.5 * (z - mean)
        z = z + intensity**0.5 * spread * noise(z, z.shape[1])
        learned.initialize(z, some.weight, noise=noise)

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
        return self._decode_rows(X, lambda z: self.flow_.decode(z, draw=draw))


def check_mode(mode: str) -> str:
    """How `inverse_transform` is to fill in what latent rows leave open."""
    if mode not in ("mean", "sample"):
        raise ValueError(f"mode={mode!r}; choose 'mean' or 'sample'.")
    return mode
