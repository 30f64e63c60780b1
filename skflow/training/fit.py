"""From a flow at its start and the data to a trained flow."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from skflow.data.batches import MemoryBatches
from skflow.data.fit_data import FitData
from skflow.data.noise_floor import spread
from skflow.data.rows import Rows
from skflow.flow import Flow
from skflow.training.loop import train
from skflow.training.one_thread import where_small
from skflow.training.settings import Settings
from skflow.training.state import Epoch, Outcome, TrainState
from skflow.training.stopping import AllEpochs, EarlyStopping
from skflow.transforms import Transform

ENCODED_AT_ONCE = 65_536


@dataclass(frozen=True)
class Fitted:
    """A flow, what it is made of, and how it came about.

    Attributes
    ----------
    flow : Flow
    data : FitData
    recipe : dict
        Plain values that the flow's modules can be built from again.
    outcome : Outcome
        Of its training; without epochs where the flow stands at its start.
    """

    flow: Flow
    data: FitData
    recipe: dict = field(default_factory=dict)
    outcome: Outcome = field(default_factory=Outcome)


class _Encoder:
    """The fixed part of a flow, which the rows pass once, or once an epoch with fresh noise."""

    def __init__(self, fixed: Transform, data: FitData, settings: Settings, generator):
        self.fixed, self.settings, self.generator = fixed, settings, generator
        self.width = torch.as_tensor(data.floor.width, device=settings.device)
        self.redraws = bool((self.width > 0).any())

    @torch.no_grad()
    def __call__(self, rows: Rows) -> tuple[Rows, float]:
        """Rows on the device, encoded in float64, and the mean contribution of that."""
        x = spread(rows.x, self.width, self.generator)
        encoded = [self.fixed(part) for part in x.split(ENCODED_AT_ONCE)]
        z, contribution = (torch.cat(parts) for parts in zip(*encoded, strict=True))
        weight = rows.weight_of_mean_one()
        if weight is not None:
            weight = weight.to(self.settings.dtype)
        encoded_rows = Rows(z.to(self.settings.dtype), weight, rows.context)
        return encoded_rows, rows.mean(contribution)


def fit_flow(
    fitted: Fitted,
    settings: Settings,
    seed: int,
    on_epoch: Callable[[Epoch, Callable[[], Fitted]], bool] = lambda epoch, so_far: False,
    optimizer_state: dict | None = None,
    paused: dict | None = None,
) -> Fitted:
    """Train the learned part of a flow; the fixed part stays in float64.

    Losses and scores in the outcome are in the units of x.

    Parameters
    ----------
    fitted : Fitted
        The flow as training finds it, and its data.
    settings : Settings
    seed : int
    on_epoch : callable
        Called with every `Epoch` and a function that gives the flow that it judged, with the
        history up to there; returning True stops the training.
    optimizer_state : dict, optional
        Of an earlier pass.
    paused : dict, optional
        The state in which a pause left this very training.
    """
    flow, data = fitted.flow.to(settings.device), fitted.data
    trunk = Flow([], copy.deepcopy(flow.learned), copy.deepcopy(flow.base))
    trunk.to(settings.dtype).requires_grad_(True)
    generator = torch.Generator(settings.device).manual_seed(seed)
    encode = _Encoder(flow.fixed, data, settings, generator)
    train_rows = data.train.to(settings.device)
    encoded, train_offset = encode(train_rows)

    def draw_rows(epoch: int) -> Tensor:
        z = encode(train_rows)[0].x if encode.redraws and epoch > 1 else encoded.x
        if settings.noise == 0:
            return z
        eps = torch.randn(z.shape, generator=generator, dtype=z.dtype, device=z.device)
        return z + settings.noise * eps

    rule: EarlyStopping | AllEpochs = AllEpochs()
    held_out_offset = 0.0
    if data.held_out is not None:
        held_out, held_out_offset = encode(data.held_out.to(settings.device))
        rule = EarlyStopping(held_out, settings.n_iter_no_change, settings.tol)
    state = TrainState(trunk, settings, generator, rule)
    if optimizer_state is not None:
        state.optimizer.load_state_dict(optimizer_state)
    if paused is not None:
        state.load_state_dict(paused)
    batches = MemoryBatches(
        draw_rows, len(train_rows), settings.batch_size, encoded.weight, generator
    )

    def in_units_of_x(epoch: Epoch) -> Epoch:
        return replace(
            epoch,
            train_loss=epoch.train_loss - train_offset,
            validation_score=epoch.validation_score + held_out_offset,
        )

    def after_epoch(epoch: Epoch, module: Flow) -> bool:
        epoch = in_units_of_x(epoch)

        def so_far() -> Fitted:
            history = [in_units_of_x(one) for one in state.outcome.history]
            start_score = state.outcome.start_score + held_out_offset
            reached = Outcome(history, start_score, epoch.validation_score, epoch.epoch)
            return replace(fitted, flow=_with_trained(flow, module), outcome=reached)

        return on_epoch(epoch, so_far)

    with where_small(trunk, settings):
        outcome = train(state, batches, settings, after_epoch)
    outcome.history = [in_units_of_x(epoch) for epoch in outcome.history]
    outcome.best_score += held_out_offset
    outcome.start_score += held_out_offset
    return replace(fitted, flow=_with_trained(flow, trunk), outcome=outcome)


def _with_trained(flow: Flow, trunk: Flow) -> Flow:
    """The same fixed part, and copies of the trained ones in float64."""
    # The trained layers themselves, not only their weights: some count what happened to them.
    learned, base = copy.deepcopy(trunk.learned), copy.deepcopy(trunk.base)
    return Flow(flow.fixed, learned.double(), base.double())
