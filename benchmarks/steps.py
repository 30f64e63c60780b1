"""Time of one training step of a dense layer for every gradient of its log-determinant.

A step is the layer's pass in both directions (the input's gradient included, as inside a stack),
the reconstruction loss where the mode has one, and Adam's update. "floor" is the same with no
log-determinant at all. Modes alternate, so a piece is one size with all of them; ``ms MODE`` is the
median of the repeats in milliseconds. The table has the slope of log time against log d over the
largest sizes: 3 for work like d^3, 2 for B d^2.
"""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from benchmarks.support.fitting import Clock
from benchmarks.support.pieces import Outcome, Piece
from skflow.transforms import (
    DenseLinear,
    LULinear,
    NewtonLinear,
    RelativeLinear,
    SelfNormalizingLinear,
    random_rotation,
)

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)


class Floor(torch.nn.Module):
    """A plain linear layer, as if determinants were free."""

    def __init__(self, n_features: int, weight: torch.Tensor):
        super().__init__()
        self.weight = torch.nn.Parameter(weight.clone())
        self.bias = torch.nn.Parameter(torch.zeros(n_features))

    def forward(self, x):
        return torch.addmm(self.bias, x, self.weight.T), x.new_zeros(len(x))


MODES = {
    "floor": Floor,
    "exact": DenseLinear,
    "newton": NewtonLinear,
    "relative": RelativeLinear,
    "lu": LULinear,
    "self": SelfNormalizingLinear,
}


def add_options(parser) -> None:
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)


def pieces(options):
    for d in SIZES:
        task = f"{options.device}, batch {options.batch}"
        yield Piece(task, f"d = {d}", partial(measure, d, options))


def measure(d: int, options) -> Outcome:
    """Median step of every mode at one size, in milliseconds."""
    clock = Clock()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(options.batch, d, generator=generator).to(options.device).requires_grad_()
    weight = random_rotation(d, generator).float()
    steps = {}
    for name, build in MODES.items():
        steps[name] = training_step(build(d, weight=weight).to(options.device), x)
        milliseconds(steps[name], 2)
    n_steps = int(np.clip(100 / milliseconds(steps["floor"], 5), 1, 50))
    times = {name: [] for name in MODES}
    for _ in range(options.repeats):
        for name, step in steps.items():
            times[name].append(milliseconds(step, n_steps))
    metrics = {f"ms {name}": np.median(t) for name, t in times.items()}
    return Outcome(clock.seconds(), metrics)


def training_step(layer: torch.nn.Module, x: torch.Tensor) -> Callable[[], None]:
    """One step of maximum likelihood under a standard normal."""
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01 / x.shape[1], fused=True)

    def step():
        z, contribution = layer(x)
        loss = (0.5 * (z * z).sum(1) - contribution).mean()
        if isinstance(layer, SelfNormalizingLinear):
            loss = loss + layer.reconstruction.take().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if x.device.type == "cuda":
            torch.cuda.synchronize()

    return step


def milliseconds(step: Callable[[], None], n_steps: int) -> float:
    start = time.perf_counter()
    for _ in range(n_steps):
        step()
    return 1e3 * (time.perf_counter() - start) / n_steps
