"""The training loop: one for all flows.

It reads top to bottom. No step of the loop waits for the device: the loss is summed where it is
computed and read once an epoch. The untrained flow counts as epoch 0, so training can only
replace it by something better on the held-out rows.
"""

import math
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from skflow.data.batches import Batches
from skflow.data.rows import Rows
from skflow.training.settings import Settings
from skflow.training.state import Epoch, Outcome, TrainState, snapshot
from skflow.training.stopping import mean_log_prob
from skflow.transforms.noise import Noise, fresh_noise

DECAY = 0.3  # of the step, when validation stalls
ROLLBACK_DECAY = 0.3
MAX_ROLLBACKS = 10

Loss = Callable[[nn.Module, Rows, Noise], Tensor]
"""From a flow and a batch to the loss of every row."""


def negative_log_likelihood(flow: nn.Module, batch: Rows, noise: Noise) -> Tensor:
    """Minus the log-density of every row, and what layers ask for beside it: shape (n,)."""
    loss = -flow(batch.x, batch.context, noise=noise)
    for term in flow.take_training_terms():
        loss = loss + term
    return loss


@torch.enable_grad()
def train(
    state: TrainState,
    batches: Batches,
    settings: Settings,
    on_epoch: Callable[[Epoch, nn.Module], bool],
    loss: Loss = negative_log_likelihood,
) -> Outcome:
    """Fit ``state.flow`` in place.

    Parameters
    ----------
    state : TrainState
        The flow, whose forward gives log-densities, or one draw of a bound on them, in training
        mode with the gradients to learn from; and the rule by which training stops. A state that
        has epochs behind it is gone on from.
    batches : Batches
    settings : Settings
    on_epoch : callable
        Called with each `Epoch` and the module whose weights it judged; returning True stops the
        training.
    loss : callable
        From the flow, a batch and the noise of its layers to the loss of every row, whose weighted
        mean is minimised.

    Returns
    -------
    Outcome
        An interrupt (Ctrl-C) ends the training as ``max_time`` does: the best weights so far are
        kept.
    """
    flow, rule, outcome = state.flow, state.rule, state.outcome
    started = time.monotonic() - (outcome.history[-1].seconds if outcome.history else 0.0)
    flow.train()
    if state.epoch == 0 and rule.judges:
        outcome.start_score = rule.score(flow)
        rule.improved(0, outcome.start_score)
    weights, device = state.weights, state.generator.device
    noise = fresh_noise(state.generator)
    before, epoch = state.good, state.epoch
    try:
        for epoch in range(state.epoch + 1, settings.max_iter + 1) if weights.of_kind else ():
            verdict = rule.verdict()
            if verdict == "stop":
                outcome.stopped_early = True
                break
            if verdict == "smaller step":
                state.take_smaller_steps(DECAY)
            before = snapshot(flow)
            flow.eval().train()  # layers that hold numbers of their present weights renew them
            out_of_time, total = False, torch.zeros((), dtype=torch.float64, device=device)
            for batch in batches.epoch(epoch):
                row_loss = loss(flow, batch, noise)
                weighted = row_loss if batch.weight is None else row_loss * batch.weight
                mean_loss = weighted.mean()
                weights.zero_gradient()
                mean_loss.backward()
                state.optimizer.step(state.factor)
                state.average.update()
                total = total + mean_loss.detach() / len(batches)
                if settings.max_time and time.monotonic() - started > settings.max_time:
                    out_of_time = True
                    break
            candidate = state.average.module if rule.judges else flow
            train_loss, score = float(total), rule.score(candidate)
            seconds = time.monotonic() - started
            record = Epoch(epoch, train_loss, score, state.optimizer.rate, seconds)
            outcome.history.append(record)
            if math.isfinite(train_loss) and (math.isfinite(score) or not rule.judges):
                # The loss has seen the weights the epoch began with, not those its last step left.
                state.good = before
                if rule.improved(epoch, score):
                    state.best = snapshot(candidate)
            else:
                state.go_back(settings, ROLLBACK_DECAY)
            if on_epoch(record, candidate) or out_of_time or outcome.n_rollbacks == MAX_ROLLBACKS:
                break
            if epoch == settings.pause_after:
                break
    except KeyboardInterrupt:
        outcome.interrupted = True
        if state.epoch < epoch:  # cut short, maybe within a step
            flow.load_state_dict(before)
    paused = None if settings.pause_after is None else state.state_dict()
    if rule.judges:
        flow.load_state_dict(state.best)
    elif state.epoch and not math.isfinite(mean_log_prob(flow, batches.recent)):
        flow.load_state_dict(state.good)
        outcome.n_rollbacks += 1
    outcome.best_score, outcome.best_epoch = rule.best_score, rule.best_epoch
    outcome.optimizer_state, outcome.paused = state.optimizer.state_dict(), paused
    return outcome
