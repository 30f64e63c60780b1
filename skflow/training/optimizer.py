"""The optimizer, its rates and the running average of the weights."""

import copy

import torch
from torch import nn

from skflow.training.flat import FlatWeights
from skflow.training.settings import Settings

BETAS = (0.9, 0.99)  # of Adam: its second moment follows a flow that gets steeper as it learns
AVERAGING = 0.99  # of the weights, per step: about the last hundred steps
WARMUP_STEPS = 100  # a sharp start loses at once to a full-sized first step
EPSILON = 1e-6  # of Adam: a gradient below it is rounding, and 1e-8 would make it a full step


def flat_weights(flow: nn.Module) -> FlatWeights:
    """All weights by how they are trained: "matrices" of networks, which decay, and the "rest"."""
    layers = flow.learned.modules()
    matrices = [layer.weight for layer in layers if isinstance(layer, nn.Linear | nn.Conv2d)]
    known = {id(p) for p in matrices}
    rest = [p for p in flow.parameters() if id(p) not in known]
    return FlatWeights({"matrices": matrices, "rest": rest})


def make_optimizer(weights: FlatWeights, settings: Settings) -> torch.optim.AdamW:
    """AdamW. Matrices of networks decay."""
    rate = settings.learning_rate_init
    groups = [
        {
            "params": [flat],
            "weight_decay": settings.weight_decay if kind == "matrices" else 0.0,
            "peak": rate,
            "steps": 0,
        }
        for kind, flat in weights.of_kind.items()
    ]
    return torch.optim.AdamW(
        groups or [{"params": []}], lr=rate, betas=BETAS, eps=EPSILON, fused=True
    )


def resume(optimizer: torch.optim.Optimizer, state: dict) -> None:
    """Load moments and step counts; rates and decay stay those of the present settings."""
    kept = [(group["peak"], group["weight_decay"]) for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, (peak, decay) in zip(optimizer.param_groups, kept, strict=True):
        group["peak"], group["weight_decay"] = peak, decay


def set_rate(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group's step to its peak times ``factor``, less during warm-up."""
    for group in optimizer.param_groups:
        group["steps"] += 1
        group["lr"] = group["peak"] * factor * min(1.0, group["steps"] / WARMUP_STEPS)


class Average:
    """A running average of a module's weights; nothing of it lives on the host.

    Parameters
    ----------
    module : Module
    weights : FlatWeights
        Of the module.
    """

    def __init__(self, module: nn.Module, weights: FlatWeights):
        self.module = copy.deepcopy(module)
        self._weights, self._source = flat_weights(self.module), weights

    def update(self) -> None:
        """Move towards the module's present weights."""
        self._weights.move_towards(self._source, 1 - AVERAGING)

    def restart(self) -> None:
        """Forget the past."""
        self._weights.copy_from(self._source)
