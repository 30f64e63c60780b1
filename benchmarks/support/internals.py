"""All that the benchmarks use of skflow beyond its public names."""

import torch

from skflow.architectures.couplings import coupling_stack, make_family
from skflow.architectures.point_set import PointSetPlan
from skflow.architectures.survae_image import ImagePlan
from skflow.data.fit_data import FitData
from skflow.data.rows import Rows
from skflow.distributions import StandardNormal
from skflow.flow import Flow
from skflow.starts.point_set import initialize_set_flow
from skflow.starts.survae_image import initialize_image_flow
from skflow.training.fit import Fitted, fit_flow
from skflow.training.loop import negative_log_likelihood
from skflow.training.one_thread import where_small
from skflow.training.settings import Settings
from skflow.training.state import TrainState
from skflow.training.stopping import AllEpochs
from skflow.transforms.noise import fresh_noise

__all__ = [
    "ImagePlan",
    "PointSetPlan",
    "Settings",
    "coupling_flow",
    "fresh_noise",
    "initialize_image_flow",
    "initialize_set_flow",
    "initialized_flow",
    "lattice_steps",
    "trained_flow",
    "training_steps",
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


def coupling_flow(d: int, kind: str, *, n_layers: int, hidden_layer_sizes, n_bins: int) -> Flow:
    """Couplings under a standard normal."""
    layers = coupling_stack(
        d, n_layers, make_family(kind, n_bins), hidden_layer_sizes, torch.Generator().manual_seed(0)
    )
    return Flow([], layers, StandardNormal(d))


def training_steps(flow: Flow, x: torch.Tensor, n_steps: int):
    """Steps of the training loop on one batch, on its threads, averaging included."""
    settings = Settings(max_iter=1, batch_size=len(x), learning_rate_init=1e-4)
    state = TrainState(flow, settings, torch.Generator().manual_seed(0), AllEpochs())

    def run():
        with where_small(flow, settings):
            for _ in range(n_steps):
                state.weights.zero_gradient()
                loss = negative_log_likelihood(flow, Rows(x), fresh_noise(state.generator))
                loss.mean().backward()
                state.optimizer.step(state.factor)
                state.average.update()

    return run
