"""The training loop: one for all flows.

It reads top to bottom. No step of the loop waits for the device: the loss is summed where it is
computed and read once an epoch. The untrained flow counts as epoch 0, so training can only
replace it by something better on the held-out rows.
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from skflow.distributions import Distribution
from skflow.transforms.noise import fresh_noise

CLIP = 5.0  # gradient norm: spline couplings meet rare steep batches
AVERAGING = 0.99  # of the weights, per step: about the last hundred steps
WARMUP_STEPS = 100  # a sharp start loses at once to a full-sized first step
BASE_RATE = 0.1  # step of the distributions against that of the rest: fitted ones move slowly
EPSILON = 1e-6  # of Adam: a gradient below it is rounding, and 1e-8 would make it a full step
DECAY = 0.3  # of the step, when validation stalls
MAX_DECAYS = 2  # then a further stall ends the training
ROLLBACK_DECAY = 0.3
MAX_ROLLBACKS = 10
EVALUATION_ROWS = 4096
EVALUATION_SEED = 0


@dataclass(frozen=True)
class Settings:
    """How to train; the names are those of `skflow.NormalizingFlow`."""

    max_iter: int
    batch_size: int
    learning_rate_init: float
    weight_decay: float
    n_iter_no_change: int
    tol: float
    max_time: float | None


@dataclass(frozen=True)
class Epoch:
    """What one epoch leaves in the history; loss and score in nats per row."""

    epoch: int
    train_loss: float
    validation_score: float
    learning_rate: float
    seconds: float


@dataclass
class Outcome:
    """The history of a training, and how it ended."""

    history: list[Epoch] = field(default_factory=list)
    start_score: float = math.nan
    best_score: float = math.nan
    best_epoch: int = 0
    stopped_early: bool = False
    n_rollbacks: int = 0
    optimizer_state: dict | None = None


class Average:
    """A running average of a module's weights; nothing of it lives on the host."""

    def __init__(self, module: nn.Module):
        self.module = copy.deepcopy(module)
        self.source, self.target = list(module.parameters()), list(self.module.parameters())
        self.move = get_ema_multi_avg_fn(AVERAGING)

    def update(self) -> None:
        """Move towards the module's present weights."""
        self.move(self.target, self.source, None)

    def restart(self) -> None:
        """Forget the past."""
        for target, source in zip(self.target, self.source, strict=True):
            target.detach().copy_(source.detach())


@torch.no_grad()
def mean_log_prob(flow: nn.Module, x: Tensor, weight: Tensor | None) -> float:
    """Weighted mean log-density of the rows ``x``, in chunks and in evaluation mode.

    A bound is evaluated at the same draws every time, so that two states of a flow compare.
    """
    training = flow.training
    flow.eval()
    noise = fresh_noise(torch.Generator(x.device).manual_seed(EVALUATION_SEED))
    chunks = x.split(EVALUATION_ROWS)
    scores = torch.cat([flow(chunk, noise=noise) for chunk in chunks]).double()
    flow.train(training)
    if weight is None:
        return float(scores.mean())
    return float((scores * weight).sum() / weight.sum())


def make_optimizer(flow: nn.Module, settings: Settings) -> torch.optim.AdamW:
    """AdamW. Matrices of networks decay; what distributions hold themselves takes small steps."""
    base = [
        parameter
        for module in flow.modules()
        if isinstance(module, Distribution)
        for parameter in module.parameters(recurse=False)
    ]
    matrices = [m.weight for m in flow.transform.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    known = {id(p) for p in [*base, *matrices]}
    rest = [p for p in flow.parameters() if id(p) not in known]
    rate = settings.learning_rate_init
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay, "peak": rate},
        {"params": rest, "weight_decay": 0.0, "peak": rate},
        {"params": base, "weight_decay": 0.0, "peak": rate * BASE_RATE},
    ]
    for group in groups:
        group["steps"] = 0
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=rate, eps=EPSILON, fused=True)


def resume(optimizer: torch.optim.Optimizer, state: dict) -> None:
    """Load moments and step counts; rates and decay stay those of the present settings."""
    kept = [(group["peak"], group["weight_decay"]) for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, (peak, decay) in zip(optimizer.param_groups, kept, strict=True):
        group["peak"], group["weight_decay"] = peak, decay


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    """Copy the present weights."""
    return {name: value.clone() for name, value in module.state_dict().items()}


def set_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group's step to its peak times ``factor``, less during warm-up."""
    for group in optimizer.param_groups:
        group["steps"] += 1
        group["lr"] = group["peak"] * factor * min(1.0, group["steps"] / WARMUP_STEPS)


@torch.enable_grad()
def train(
    flow: nn.Module,
    draw_epoch: Callable[[int], Tensor],
    weight: Tensor | None,
    validation: Tensor | None,
    validation_weight: Tensor | None,
    settings: Settings,
    generator: torch.Generator,
    on_epoch: Callable[[Epoch], bool],
    optimizer_state: dict | None = None,
) -> Outcome:
    """Fit ``flow`` in place.

    Parameters
    ----------
    flow : Flow
        Its forward gives log-densities, or one draw of a bound on them, in training mode with the
        gradients to learn from.
    draw_epoch : callable
        From the number of the epoch to its rows (n, d): the same data, perhaps with fresh noise.
    weight : Tensor of shape (n,) or None
        Of mean 1: the loss of a batch is the mean of ``-weight * score``.
    validation, validation_weight : Tensor or None
        Held-out rows. With None the last weights stand, else the best ones on these rows.
    settings : Settings
    generator : torch.Generator
        On the device of the data; draws the batches, and what layers draw.
    on_epoch : callable
        Called with each `Epoch`; returning True stops the training.
    optimizer_state : dict, optional
        Of an earlier call, to go on from.

    Returns
    -------
    Outcome
    """
    started = time.monotonic()
    outcome = Outcome()
    flow.train()
    if validation is not None:
        outcome.start_score = outcome.best_score = mean_log_prob(
            flow, validation, validation_weight
        )
    parameters = list(flow.parameters())
    if not parameters:
        return outcome
    optimizer = make_optimizer(flow, settings)
    if optimizer_state is not None:
        resume(optimizer, optimizer_state)
    average = Average(flow)
    noise = fresh_noise(generator)
    good = best = snapshot(flow)
    factor, n_decays, stalled = 1.0, 0, 0
    out_of_time = False
    for epoch in range(1, settings.max_iter + 1):
        x = draw_epoch(epoch)
        before = snapshot(flow)
        flow.eval().train()  # layers that hold numbers of their present weights renew them
        n_batches = max(1, round(len(x) / settings.batch_size))
        # One batch is the whole table: drawing its order would only change the rounding.
        order = (
            torch.randperm(len(x), generator=generator, device=x.device)
            if n_batches > 1
            else torch.arange(len(x), device=x.device)
        )
        total = torch.zeros((), dtype=torch.float64, device=x.device)
        for batch in order.tensor_split(n_batches):
            set_rate(optimizer, factor)
            row_loss = -flow(x[batch], noise=noise)
            for term in flow.take_training_terms():
                row_loss = row_loss + term
            loss = row_loss.mean() if weight is None else (row_loss * weight[batch]).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, CLIP)
            optimizer.step()
            average.update()
            total += loss.detach() / n_batches
            if settings.max_time is not None and time.monotonic() - started > settings.max_time:
                out_of_time = True
                break
        candidate = flow if validation is None else average.module
        train_loss = float(total)
        score_now = (
            math.nan
            if validation is None
            else mean_log_prob(candidate, validation, validation_weight)
        )
        rate = optimizer.param_groups[0]["lr"]
        record = Epoch(epoch, train_loss, score_now, rate, time.monotonic() - started)
        outcome.history.append(record)
        if math.isfinite(train_loss) and (validation is None or math.isfinite(score_now)):
            # The loss has seen the weights the epoch began with, not those its last step left.
            good = before
            stalled += 1
            if validation is None:
                outcome.best_epoch = epoch
            elif score_now > outcome.best_score + settings.tol:
                outcome.best_score, outcome.best_epoch, stalled = score_now, epoch, 0
                best = snapshot(candidate)
        else:
            flow.load_state_dict(good)
            optimizer = make_optimizer(flow, settings)
            average.restart()
            factor *= ROLLBACK_DECAY
            outcome.n_rollbacks += 1
        if on_epoch(record) or out_of_time or outcome.n_rollbacks == MAX_ROLLBACKS:
            break
        if validation is not None and stalled >= settings.n_iter_no_change:
            # A start that a whole round of epochs did not improve gets one smaller step, no more.
            if n_decays == (MAX_DECAYS if outcome.best_epoch else 1):
                outcome.stopped_early = True
                break
            factor, n_decays, stalled = factor * DECAY, n_decays + 1, 0
            flow.load_state_dict(best)
            average.restart()
    if validation is not None:
        flow.load_state_dict(best)
    elif not math.isfinite(mean_log_prob(flow, x, weight)):
        flow.load_state_dict(good)
        outcome.n_rollbacks += 1
    outcome.optimizer_state = optimizer.state_dict()
    return outcome
