"""SurVAEFlow of sets of points."""

from skflow.architectures.point_set import PointSetPlan, check_input_shape
from skflow.data.noise_floor import find_noise_floor
from skflow.estimators.survae_model import SurVAEModel
from skflow.starts.point_set import initialize_set_flow


class SetModel(SurVAEModel):
    """Points sorted, or in a random order, each given those before it."""

    rows_are = "sets"
    plan = PointSetPlan

    def noise_floor(self, rows):
        """As of any table of numbers."""
        return find_noise_floor(rows.x.numpy())

    def start(self, data, rng, generator, clock):
        """Points independent of each other, all of one mixture."""
        said, fit = self.estimator, data.train
        plan = PointSetPlan(
            check_input_shape(said.input_shape, fit.x.shape[1]),
            symmetry=said.symmetry,
            n_layers=3 if said.n_layers == "auto" else said.n_layers,
        ).for_rows(fit.n_effective)
        flow = plan.flow(generator)
        initialize_set_flow(flow, fit.x, fit.weight, generator)
        return flow, self.recipe(plan)
