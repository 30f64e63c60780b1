"""The optimizer, its rates and the running average of the weights."""

import copy

import torch
from torch import nn
from torch.optim.adamw import adamw

from skflow.training.flat import FlatWeights
from skflow.training.settings import Settings

BETAS = (0.95, 0.99)  # of Adam: its second moment follows a flow that gets steeper as it learns
AVERAGING = 0.98  # of the weights, per step: about the last fifty steps
WARMUP_STEPS = 100  # a sharp start loses at once to a full-sized first step
STEEP = 3.0  # times the usual length: what a gradient is shortened to; rare batches are far steeper
USUAL = 5.0  # length of a gradient, at first
KNOWN_BY = 0.05  # weight of the present gradient's length in the usual one
EPSILON = 1e-6  # of Adam: a gradient below it is rounding, and 1e-8 would make it a full step


def flat_weights(flow: nn.Module) -> FlatWeights:
    """All weights by how they are trained: "matrices" of networks, which decay, and the "rest"."""
    layers = flow.learned.modules()
    matrices = [layer.weight for layer in layers if isinstance(layer, nn.Linear | nn.Conv2d)]
    known = {id(p) for p in matrices}
    rest = [p for p in flow.parameters() if id(p) not in known]
    return FlatWeights({"matrices": matrices, "rest": rest})


class Optimizer:
    """AdamW on flat weights, with a warm-up; steep gradients are shortened, matrices decay.

    The steps are torch's. Its class for them would import a compiler at the first fit, which takes
    longer than fitting a small table does.

    Parameters
    ----------
    weights : FlatWeights
    settings : Settings
    """

    def __init__(self, weights: FlatWeights, settings: Settings):
        self._weights, self._settings = weights, settings
        self.n_steps, self.rate = 0, 0.0
        self._usual = torch.full_like(weights.gradient_norm(), USUAL)
        self._moments = {
            kind: [torch.zeros_like(flat.detach()) for _ in range(2)]
            for kind, flat in weights.of_kind.items()
        }

    def _shorten_gradient(self) -> None:
        """To a few times the usual length where it is longer."""
        norm = self._weights.gradient_norm()
        longest = STEEP * self._usual
        self._weights.scale_gradient((longest / (norm + 1e-12)).clamp_(max=1.0))
        self._usual.lerp_(torch.minimum(norm, longest), KNOWN_BY)

    def step(self, factor: float) -> None:
        """Move by ``factor`` times the peak rate, less during warm-up."""
        self.n_steps += 1
        self._shorten_gradient()
        warm = min(1.0, self.n_steps / WARMUP_STEPS)
        self.rate = self._settings.learning_rate_init * factor * warm
        for kind, flat in self._weights.of_kind.items():
            first, second = self._moments[kind]
            # The function counts the step that it makes.
            count = torch.tensor(self.n_steps - 1.0, device=flat.device)
            adamw(
                [flat.detach()], [flat.grad], [first], [second], [], [count],
                foreach=False, fused=True, amsgrad=False, beta1=BETAS[0], beta2=BETAS[1],
                lr=self.rate, eps=EPSILON, maximize=False,
                weight_decay=self._settings.weight_decay if kind == "matrices" else 0.0,
            )  # fmt: skip

    def state_dict(self) -> dict:
        """Steps done, the moments of the gradients by kind of weight, and their usual length."""
        moments = {kind: [m.clone() for m in both] for kind, both in self._moments.items()}
        return {"n_steps": self.n_steps, "moments": moments, "usual": self._usual.clone()}

    def load_state_dict(self, state: dict) -> None:
        """Go on from there, at the rates and decay of the present settings."""
        self.n_steps = state["n_steps"]
        self._usual.copy_(state["usual"])
        for kind, both in state["moments"].items():
            for own, kept in zip(self._moments[kind], both, strict=True):
                own.copy_(kept)


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
