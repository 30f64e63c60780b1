"""When training stops, and which of its weights are kept: early stopping decides here."""

import math
from typing import Protocol

import torch
from torch import nn

from skflow.data.rows import Rows
from skflow.transforms.noise import fresh_noise

MAX_DECAYS = 2  # of the step, when the held-out score stalls; a further stall ends the training
SHORTER = 3  # times, patience after a cut: what a smaller step can do shows at once
EVALUATION_ROWS = 4096
EVALUATION_SEED = 0


@torch.no_grad()
def mean_log_prob(flow: nn.Module, rows: Rows) -> float:
    """Weighted mean log-density of ``rows``, in chunks and in evaluation mode.

    A bound is evaluated at the same draws every time, so that two states of a flow compare.
    """
    training = flow.training
    flow.eval()
    noise = fresh_noise(torch.Generator(rows.x.device).manual_seed(EVALUATION_SEED))
    chunks = rows.split(EVALUATION_ROWS)
    scores = torch.cat([flow(part.x, part.context, noise=noise) for part in chunks]).double()
    flow.train(training)
    return rows.mean(scores)


class StoppingRule(Protocol):
    """Judges the weights after every epoch."""

    judges: bool  # whether weights are compared; if not, the last ones are kept
    best_score: float
    best_epoch: int

    def score(self, flow: nn.Module) -> float:
        """What the weights are judged by: nan where nothing is."""

    def improved(self, epoch: int, score: float) -> bool:
        """Take note of an epoch's finite score; whether its weights are the best so far."""

    def verdict(self) -> str:
        """What to do now: "go on", "smaller step" (from the best weights) or "stop"."""

    def state_dict(self) -> dict:
        """All that it remembers."""

    def load_state_dict(self, state: dict) -> None:
        """Remember that."""


class EarlyStopping:
    """The best weights on held-out rows; the step is cut where they stall, and then it ends.

    Parameters
    ----------
    held_out : Rows
        As the flow takes them.
    n_iter_no_change : int
        Epochs without improvement after which the step is cut; a third of them after a cut.
    tol : float
        Smallest improvement that counts, in nats.
    """

    judges = True

    def __init__(self, held_out: Rows, n_iter_no_change: int, tol: float):
        self._held_out = held_out
        self._n_iter_no_change = n_iter_no_change
        self._tol = tol
        self.best_score, self.best_epoch = -math.inf, 0
        self._stalled, self._n_decays, self._improved = 0, 0, False  # since the last cut

    def score(self, flow: nn.Module) -> float:
        """Mean log-density of the held-out rows."""
        return mean_log_prob(flow, self._held_out)

    def improved(self, epoch: int, score: float) -> bool:
        """Take note of an epoch's score; epoch 0 is the flow before training."""
        if epoch == 0:
            self.best_score = score
            return True
        self._stalled += 1
        if not score > self.best_score + self._tol:
            return False
        self.best_score, self.best_epoch, self._stalled = score, epoch, 0
        self._improved = True
        return True

    def verdict(self) -> str:
        """A cut that brought nothing is the last."""
        shorter = SHORTER if self._n_decays else 1
        if self._stalled < math.ceil(self._n_iter_no_change / shorter):
            return "go on"
        if self._n_decays == MAX_DECAYS or (self._n_decays and not self._improved):
            return "stop"
        self._n_decays, self._stalled, self._improved = self._n_decays + 1, 0, False
        return "smaller step"

    def state_dict(self) -> dict:
        """Best score and epoch, epochs since, cuts so far, and whether the last one helped."""
        names = ("best_score", "best_epoch", "_stalled", "_n_decays", "_improved")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: dict) -> None:
        """Go on as if nothing had come between."""
        vars(self).update(state)


class AllEpochs:
    """No early stopping: every epoch counts, and the last weights are kept."""

    judges = False
    best_score = math.nan

    def __init__(self):
        self.best_epoch = 0

    def score(self, flow: nn.Module) -> float:
        """Nothing to judge by."""
        return math.nan

    def improved(self, epoch: int, score: float) -> bool:
        """The last epoch is the best."""
        self.best_epoch = epoch
        return False

    def verdict(self) -> str:
        """Never stops."""
        return "go on"

    def state_dict(self) -> dict:
        """The last epoch."""
        return {"best_epoch": self.best_epoch}

    def load_state_dict(self, state: dict) -> None:
        """Go on from there."""
        vars(self).update(state)
