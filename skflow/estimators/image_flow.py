"""What the estimators with ``image_shape`` share: levels, bounds and starts of pixels."""

from skflow.data.pixels import check_image_shape, pixel_bounds, pixel_noise_floor
from skflow.estimators.numeric_flow import NumericFlow
from skflow.estimators.parameters import ImageParameters


class ImageFlow(ImageParameters, NumericFlow):
    """A flow for tables and, where ``image_shape`` is given, for images laid out flat."""

    def _image_shape(self, n_features: int) -> list[int] | None:
        if self.image_shape is None:
            return None
        return [int(size) for size in check_image_shape(self.image_shape, n_features)]

    def _check_bounds(self, X):
        self._plan(*X.shape)  # a wrong combination fails before any work
        if self.image_shape is None or self.bounds is not None:
            return super()._check_bounds(X)
        return pixel_bounds(X)

    def _find_noise_floor(self, rows):
        if self.image_shape is None:
            return super()._find_noise_floor(rows)
        return pixel_noise_floor(rows.x.numpy())

    def _start_options(self):
        if self.image_shape is None:
            return super()._start_options()
        start = "columnwise" if self.start == "auto" else self.start
        return start, "normal" if self.base == "auto" else self.base
