"""Scoring and training speed of skflow beside zuko's spline flow of equal depth and width.

    PYTHONPATH=. python benchmarks/speed.py --out benchmarks/results/speed.csv

The two alternate in pairs and the median of the pairs' ratios is reported, so that whatever else
the machine does meets both. A ratio above 1 means that skflow is faster. zuko's NSF is
autoregressive and transforms every column in every layer; ``passes=2`` is its coupling, the nearer
relative. zuko scores in the chunks that suit it best.
"""

import argparse
import copy
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import zuko
from peers import evaluate
from report import simple_table

D, LAYERS, HIDDEN, BINS, BATCH = 16, 3, (128, 128), 8, 512
CHUNKS = (1024, 4096, 16384)


def generated(n: int) -> np.ndarray:
    """Correlated, skewed columns."""
    rng = np.random.default_rng(0)
    return np.sinh(0.5 * rng.normal(size=(n, D)) @ rng.normal(size=(D, D)) / 4)


def fitted_skflow():
    from skflow import NormalizingFlow

    model = NormalizingFlow(
        base="normal",
        start="standard",
        n_layers=LAYERS,
        hidden_layer_sizes=HIDDEN,
        n_bins=BINS,
        max_iter=1,
        random_state=0,
    )
    return model.fit(generated(2_000))


def zuko_nsf(passes: int | None) -> zuko.flows.NSF:
    torch.manual_seed(0)
    return zuko.flows.NSF(D, bins=BINS, transforms=LAYERS, hidden_features=HIDDEN, passes=passes)


def log_prob_of(flow: torch.nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """The log-density of a zuko flow, which is called first, or of one that has it as a method."""
    return flow.log_prob if hasattr(flow, "log_prob") else lambda x: flow().log_prob(x)


def scoring(flow, x: torch.Tensor) -> Callable[[], object]:
    """Score `x` without gradients, in the chunks that suit this flow best."""
    log_prob = log_prob_of(flow)
    sample = x[: 2 * max(CHUNKS)]
    candidates = [partial(evaluate, log_prob, sample, chunk) for chunk in CHUNKS]
    best = min(candidates, key=lambda run: (seconds(run), seconds(run))[1])  # warm, then timed
    return partial(evaluate, log_prob, x, best.args[2])


def training(flow, x: torch.Tensor, steps: int = 5) -> Callable[[], None]:
    """Some steps on one batch: forward, backward, clip, Adam."""
    log_prob = log_prob_of(flow)
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-4)

    def run():
        for _ in range(steps):
            optimizer.zero_grad()
            (-log_prob(x).mean()).backward()
            torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
            optimizer.step()

    run()
    return run


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compare(ours: Callable[[], object], peer: Callable[[], object], repeats: int) -> dict:
    """Time the two in alternating order."""
    pairs = []
    for repeat in range(repeats):
        if repeat % 2:
            b, a = seconds(peer), seconds(ours)
        else:
            a, b = seconds(ours), seconds(peer)
        pairs.append((a, b))
    ours_seconds, peer_seconds = np.array(pairs).T
    low, ratio, high = np.quantile(peer_seconds / ours_seconds, [0.25, 0.5, 0.75])
    return {
        "ours_seconds": np.median(ours_seconds),
        "peer_seconds": np.median(peer_seconds),
        "ratio": ratio,
        "ratio_q25": low,
        "ratio_q75": high,
    }


def tasks(rows: int):
    """Yield (task, ours, peer, run_ours, run_peer)."""
    model = fitted_skflow()
    ours32 = copy.deepcopy(model.flow_).float().requires_grad_(True).train()
    X = generated(rows)
    x = torch.from_numpy(X)
    z = (x - x.mean(0)) / x.std(0)  # zuko's domain; ours standardises inside

    public = partial(model.score_samples, X)
    public()
    ours32.eval()
    bare = scoring(ours32, x.float())
    for passes in (None, 2):
        peer = "zuko NSF" if passes is None else "zuko NSF passes=2"
        flow = zuko_nsf(passes)
        score32 = scoring(flow, z.float())
        score64 = scoring(copy.deepcopy(flow).double(), z)
        task = f"score {rows} rows"
        yield task, "score_samples (its default)", f"{peer} float32", public, score32
        yield task, "score_samples (its default)", f"{peer} float64", public, score64
        yield task, "flow_ in float32", f"{peer} float32", bare, score32

        step_ours = training(copy.deepcopy(ours32).train(), x[:BATCH].float())
        step_peer = training(flow.train(), z[:BATCH].float())
        yield "5 training steps", "flow_ in float32", f"{peer} float32", step_ours, step_peer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000, help="rows to score")
    parser.add_argument("--repeats", type=int, default=15, help="pairs")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/speed.csv")
    args = parser.parse_args()

    results = []
    for task, ours, peer, run_ours, run_peer in tasks(args.rows):
        result = compare(run_ours, run_peer, args.repeats)
        results.append({"task": task, "ours": ours, "peer": peer, **result})
        print(f"{task}: {ours} / {peer}: {result['ratio']:.2f}x", flush=True)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(results).to_csv(args.out, index=False, float_format="%.4g")
    lines = [list(result.values()) for result in results]
    text = simple_table(list(results[0]), lines)
    args.out.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
