"""The state of a training: all that changes in the loop, as a value that can be kept."""

import math
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor, nn

from skflow.training.optimizer import Average, Optimizer, flat_weights
from skflow.training.settings import Settings
from skflow.training.stopping import StoppingRule

Weights = dict[str, Tensor]


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
    """The history of a training, and how it ended.

    ``paused`` is the state to go on from, where the settings asked for a pause.
    """

    history: list[Epoch] = field(default_factory=list)
    start_score: float = math.nan
    best_score: float = math.nan
    best_epoch: int = 0
    stopped_early: bool = False
    interrupted: bool = False
    n_rollbacks: int = 0
    optimizer_state: dict | None = None
    paused: dict | None = None


def snapshot(module: nn.Module) -> Weights:
    """Copy the present weights."""
    return {name: value.clone() for name, value in module.state_dict().items()}


class TrainState:
    """Weights, their average, the optimizer, random numbers, and what the epochs have shown.

    A loop that loads the `state_dict` of another goes on as that one would have.

    Parameters
    ----------
    flow : Flow
        To be trained in place.
    settings : Settings
    generator : torch.Generator
        On the device of the data.
    rule : StoppingRule
    """

    def __init__(
        self, flow: nn.Module, settings: Settings, generator: torch.Generator, rule: StoppingRule
    ):
        self.flow, self.generator, self.rule = flow, generator, rule
        self.outcome = Outcome()
        self.factor = 1.0  # of the step
        self.weights = flat_weights(flow)
        self.optimizer = Optimizer(self.weights, settings)
        self.average = Average(flow, self.weights)
        self.good = self.best = snapshot(flow)

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.outcome.history)

    def go_back(self, settings: Settings, decay: float) -> None:
        """To the last good weights, with a smaller step and an optimizer without memory."""
        self.flow.load_state_dict(self.good)
        self.optimizer = Optimizer(self.weights, settings)
        self.average.restart()
        self.factor *= decay
        self.outcome.n_rollbacks += 1

    def take_smaller_steps(self, decay: float) -> None:
        """On from the best weights."""
        self.factor *= decay
        self.flow.load_state_dict(self.best)
        self.average.restart()

    def state_dict(self) -> dict:
        """Tensors and plain values: all that a resumed loop needs beside its data."""
        return {
            "flow": snapshot(self.flow),
            "average": snapshot(self.average.module),
            "good": self.good,
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "factor": self.factor,
            "rule": self.rule.state_dict(),
            "outcome": asdict(self.outcome),
        }

    def load_state_dict(self, state: dict) -> None:
        """Take all of a kept state's values."""
        self.flow.load_state_dict(state["flow"])
        self.average.module.load_state_dict(state["average"])
        self.good, self.best = state["good"], state["best"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.factor = state["factor"]
        self.rule.load_state_dict(state["rule"])
        outcome = dict(state["outcome"])
        outcome["history"] = [Epoch(**epoch) for epoch in outcome["history"]]
        self.outcome = Outcome(**outcome)
