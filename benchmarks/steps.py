"""Time of one training step of a dense layer for every gradient of its log-determinant.

    PYTHONPATH=. python benchmarks/steps.py --out benchmarks/results/steps.csv

A step is the layer's pass in both directions (the input's gradient included, as inside a stack),
the reconstruction loss where the mode has one, and Adam's update. "floor" is the same with no
log-determinant at all. Modes alternate, the median of the repeats is reported, and with it the
slope of log time against log d over the largest sizes: 3 for work like d^3, 2 for B d^2.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from report import simple_table

from skflow.transforms import (
    DenseLinear,
    LULinear,
    NewtonLinear,
    RelativeLinear,
    SelfNormalizingLinear,
    random_rotation,
)

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
SLOPE_FROM = 512


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


def measure(d: int, batch: int, repeats: int, device: str) -> dict[str, float]:
    """Median step of every mode at one size, in milliseconds."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, d, generator=generator).to(device).requires_grad_()
    weight = random_rotation(d, generator).float()
    steps = {}
    for name, build in MODES.items():
        steps[name] = training_step(build(d, weight=weight).to(device), x)
        milliseconds(steps[name], 2)
    n_steps = int(np.clip(100 / milliseconds(steps["floor"], 5), 1, 50))
    times = {name: [] for name in MODES}
    for _ in range(repeats):
        for name, step in steps.items():
            times[name].append(milliseconds(step, n_steps))
    return {name: float(np.median(t)) for name, t in times.items()}


def slope(rows: list[dict], mode: str) -> float:
    large = [row for row in rows if row["d"] >= SLOPE_FROM]
    if len(large) < 2:
        return float("nan")
    return float(
        np.polyfit(np.log([r["d"] for r in large]), np.log([r[mode] for r in large]), 1)[0]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--largest", type=int, default=max(SIZES))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/steps.csv")
    args = parser.parse_args()

    rows = []
    for d in (d for d in SIZES if d <= args.largest):
        row = {"d": d, **measure(d, args.batch, args.repeats, args.device)}
        exact = [m for m in MODES if m not in ("floor", "self", "relative")]
        row["fastest exact"] = min(exact, key=lambda mode: row[mode])
        rows.append(row)
        print(row, flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_csv(args.out, index=False, float_format="%.4g")
    ratios = [[r["d"], *(r[mode] / r["floor"] for mode in MODES if mode != "floor")] for r in rows]
    text = "\n\n".join(
        [
            f"Milliseconds per step, batch {args.batch}, {args.device}, "
            f"{torch.get_num_threads()} threads",
            simple_table(list(rows[0]), [list(row.values()) for row in rows]),
            "In units of the floor",
            simple_table(["d", *(mode for mode in MODES if mode != "floor")], ratios),
            f"Slope of log time against log d from d = {SLOPE_FROM} on",
            simple_table(list(MODES), [[slope(rows, mode) for mode in MODES]]),
        ]
    )
    args.out.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
