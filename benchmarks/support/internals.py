"""All that the benchmarks use of skflow beyond its public names."""

from skflow.architectures.point_set import PointSetPlan
from skflow.architectures.survae_image import ImagePlan
from skflow.data.fit_data import FitData
from skflow.data.rows import Rows
from skflow.flow import Flow
from skflow.starts.point_set import initialize_set_flow
from skflow.starts.survae_image import initialize_image_flow
from skflow.training.fit import Fitted, fit_flow
from skflow.training.settings import Settings
from skflow.transforms.noise import fresh_noise

__all__ = [
    "ImagePlan",
    "PointSetPlan",
    "Settings",
    "fresh_noise",
    "initialize_image_flow",
    "initialize_set_flow",
    "initialized_flow",
    "lattice_steps",
    "trained_flow",
]


def lattice_steps(model) -> list[float]:
    """The step of every column that a fitted `SurVAEFlow` holds for a lattice, else 0."""
    return [plan.step or 0.0 for plan in model.flow_.fixed.plans]


def initialized_flow(transforms: list, base, x) -> Flow:
    """Transforms of our own choice, in the precision of the rows that they are opened with."""
    flow = Flow([], transforms, base).to(x.dtype)
    flow.learned.initialize(x)
    return flow


def trained_flow(flow: Flow, x, x_val, settings: Settings, seed: int = 0) -> tuple[Flow, int]:
    """The flow after training in single precision, and the epochs that took."""
    fitted = fit_flow(Fitted(flow, FitData.plain(Rows(x), Rows(x_val))), settings, seed)
    return fitted.flow.eval(), len(fitted.outcome.history)
