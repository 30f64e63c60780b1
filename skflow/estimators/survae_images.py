"""SurVAEFlow of images."""

import numpy as np

from skflow.architectures.survae_image import ImagePlan
from skflow.data.grids import on_grid
from skflow.data.noise_floor import NoiseFloor
from skflow.data.pixels import check_image_shape, pixel_bounds, pixel_step, pixels_per_unit
from skflow.estimators.survae_model import SurVAEModel
from skflow.starts.survae_image import initialize_image_flow


class ImageModel(SurVAEModel):
    """Levels with noise, scales of couplings."""

    rows_are = "images"
    plan = ImagePlan

    def read(self, X, *, reset, min_rows):
        """Levels of pixels."""
        if self.estimator.input_shape is not None:
            raise ValueError("rows are images (image_shape) or sets (input_shape), not both.")
        return super().read(X, reset=reset, min_rows=min_rows)

    def written(self, values):
        """The levels to the last bit."""
        return on_grid(values, self.estimator._recipe["plan"].get("per_unit", 0))

    def noise_floor(self, rows):
        """One step, the same for all pixels; equal images are told apart by their noise."""
        X, (n, d) = rows.x.numpy(), rows.x.shape
        return NoiseFloor(np.full(d, pixel_step(X)), ("continuous",) * d, np.arange(n))

    def start(self, data, rng, generator, clock):
        """Marginal maps of the pixels, a Gaussian on top."""
        said, fit, values = self.estimator, data.train, data.rows.x.numpy()
        shape = check_image_shape(said.image_shape, values.shape[1])
        step = pixel_step(values)
        if not step:
            raise ValueError(
                "images must be on a lattice of levels, such as 0, 1, ..., 255; round them first."
            )
        low, high = pixel_bounds(values)
        plan = ImagePlan(
            shape,
            step=step,
            lowest=low[0],
            n_levels=round((high[0] - low[0]) / step) + 1,
            per_unit=pixels_per_unit(values),
            dequantization=said.dequantization,
            pooling=said.pooling,
            n_layers=4 if said.n_layers == "auto" else said.n_layers,
        ).for_rows(fit.n_effective)
        flow = plan.flow(generator)
        initialize_image_flow(flow, fit.x, fit.weight, generator)
        return flow, self.recipe(plan)
