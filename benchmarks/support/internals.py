"""All that the benchmarks use of skflow beyond its public names."""

from skflow.estimators.fitting import train_flow
from skflow.estimators.set_layers import initialize_set_flow, set_flow, set_plan
from skflow.estimators.starts import Rows
from skflow.estimators.survae_image_layers import image_flow, image_plan, initialize_image_flow
from skflow.flow import Flow
from skflow.training.loop import Settings
from skflow.transforms.noise import fresh_noise

__all__ = [
    "Rows",
    "Settings",
    "fresh_noise",
    "image_flow",
    "image_plan",
    "initialize_image_flow",
    "initialize_set_flow",
    "initialized_flow",
    "lattice_steps",
    "set_flow",
    "set_plan",
    "train_flow",
]


def lattice_steps(model) -> list[float]:
    """The step of every column that a fitted `SurVAEFlow` holds for a lattice, else 0."""
    return [plan.step or 0.0 for plan in model.flow_.transform.steps[0].plans]


def initialized_flow(transforms: list, base, x) -> Flow:
    """Transforms of our own choice, in the precision of the rows that they are opened with."""
    flow = Flow(transforms, base).to(x.dtype)
    flow.transform.initialize(x)
    return flow
