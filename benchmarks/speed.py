"""Scoring and training speed of skflow beside zuko's spline flow of equal depth and width.

The two alternate in pairs and the median of the pairs' ratios is reported, so that whatever else
the machine does meets both; a piece is such a pair. A ratio above 1 means that skflow is faster.
zuko's NSF is autoregressive and transforms every column in every layer; ``passes=2`` is its
coupling, the nearer relative. zuko scores in the chunks that suit it best.
"""

import copy
import time
from collections.abc import Callable
from functools import cache, partial

import numpy as np
import torch
import zuko

from benchmarks.support.fitting import Clock
from benchmarks.support.peers import evaluate
from benchmarks.support.pieces import Outcome, Piece
from skflow import NormalizingFlow

D, LAYERS, HIDDEN, BINS, BATCH = 16, 3, (128, 128), 8, 512
CHUNKS = (1024, 4096, 16384)
DEFAULT, BARE = "score_samples (its default)", "flow_ in float32"


def add_options(parser) -> None:
    parser.add_argument("--rows", type=int, default=100_000, help="rows to score")
    parser.add_argument("--repeats", type=int, default=5, help="pairs")


def pieces(options):
    score = f"score {options.rows} rows"
    for passes in (None, 2):
        peer = "zuko NSF" if passes is None else "zuko NSF passes=2"
        for ours, bits in ((DEFAULT, 32), (DEFAULT, 64), (BARE, 32)):
            run = partial(scoring_pair, passes, ours, bits, options)
            yield Piece(score, f"{ours} / {peer} float{bits}", run)
        run = partial(training_pair, passes, options)
        yield Piece("5 training steps", f"{BARE} / {peer} float32", run)


def scoring_pair(passes: int | None, ours: str, bits: int, options) -> Outcome:
    clock, model, X = Clock(), fitted_skflow(), generated(options.rows)
    x = torch.from_numpy(X)
    if ours == DEFAULT:
        run_ours = partial(model.score_samples, X)
        run_ours()
    else:
        run_ours = scoring(float32_flow().eval(), x.float())
    peer, z = zuko_nsf(passes), standardised(x)
    run_peer = scoring(peer, z.float()) if bits == 32 else scoring(peer.double(), z)
    return Outcome(clock.seconds(), compared(run_ours, run_peer, options.repeats))


def training_pair(passes: int | None, options) -> Outcome:
    clock, x = Clock(), torch.from_numpy(generated(options.rows))
    run_ours = training(float32_flow().train(), x[:BATCH].float())
    run_peer = training(zuko_nsf(passes).train(), standardised(x)[:BATCH].float())
    return Outcome(clock.seconds(), compared(run_ours, run_peer, options.repeats))


def float32_flow() -> torch.nn.Module:
    return copy.deepcopy(fitted_skflow().flow_).float().requires_grad_(True)


def standardised(x: torch.Tensor) -> torch.Tensor:
    """zuko's domain; ours standardises inside."""
    return (x - x.mean(0)) / x.std(0)


def generated(n: int) -> np.ndarray:
    """Correlated, skewed columns."""
    rng = np.random.default_rng(0)
    return np.sinh(0.5 * rng.normal(size=(n, D)) @ rng.normal(size=(D, D)) / 4)


@cache
def fitted_skflow() -> NormalizingFlow:
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


def compared(ours: Callable[[], object], peer: Callable[[], object], repeats: int) -> dict:
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
