"""The optimizer, its rates and the running average of the weights."""

import copy

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from skflow.distributions.base import own_parameters
from skflow.training.settings import Settings

AVERAGING = 0.99  # of the weights, per step: about the last hundred steps
WARMUP_STEPS = 100  # a sharp start loses at once to a full-sized first step
BASE_RATE = 0.1  # step of the distributions against that of the rest: fitted ones move slowly
EPSILON = 1e-6  # of Adam: a gradient below it is rounding, and 1e-8 would make it a full step


def make_optimizer(flow: nn.Module, settings: Settings) -> torch.optim.AdamW:
    """AdamW. Matrices of networks decay; what distributions hold themselves takes small steps."""
    base = own_parameters(flow)
    layers = flow.learned.modules()
    matrices = [layer.weight for layer in layers if isinstance(layer, nn.Linear | nn.Conv2d)]
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
    groups = [group for group in groups if group["params"]] or groups[:1]
    return torch.optim.AdamW(groups, lr=rate, eps=EPSILON, fused=True)


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
