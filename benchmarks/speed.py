"""Training steps, scores and samples of couplings beside three libraries' with equal layers.

Four couplings with perceptrons of (128, 128) and splines of 8 bins, or affine maps. skflow and a
peer alternate in pairs and the median of the pairs' ratios is reported, so that whatever else the
machine does meets both; a piece is such a pair. A ratio above 1 means that skflow is faster.
"products" are the matrix products of skflow's own step alone, on torch's threads. "estimator" is
``score_samples`` at its defaults, which works in float64; everything else is in float32. Scores are
in the chunks that suit each library best.
"""

import time
from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise

import numpy as np
import torch

from benchmarks.support.fitting import Clock
from benchmarks.support.internals import coupling_flow, training_steps
from benchmarks.support.peers import evaluate
from benchmarks.support.pieces import Outcome, Piece
from skflow import NormalizingFlow

LAYERS, HIDDEN, BINS = 4, (128, 128), 8
PEERS = ("zuko", "nflows", "normflows")
BATCH, STEPS = 450, 20
WIDTHS = (8, 16, 43)
CHUNKS = (1024, 4096, 16384)


def add_options(parser) -> None:
    parser.add_argument("--rows", type=int, default=20_000, help="rows to score and to draw")
    parser.add_argument("--repeats", type=int, default=9, help="pairs")


def pieces(options):
    for kind in ("spline", "affine"):
        for d in WIDTHS:
            task = f"step, {kind}, d = {d}"
            for peer in (*PEERS, "products"):
                yield Piece(task, peer, partial(step_pair, kind, d, peer, options))
    for d in WIDTHS:
        for peer in PEERS:
            for ours in ("module", "estimator"):
                run = partial(score_pair, d, peer, ours, options)
                yield Piece(f"score, {ours}, d = {d}", peer, run)
            yield Piece(f"sample, d = {d}", peer, partial(sample_pair, d, peer, options))


def step_pair(kind: str, d: int, peer: str, options) -> Outcome:
    clock, x = Clock(), rows(BATCH, d)
    ours = training_steps(of_skflow(d, kind).train(), x, STEPS)
    alone = peer == "products"
    other = products(d, kind, BATCH) if alone else peer_step(of_peer(peer, d, kind), x)
    return Outcome(clock.seconds(), compared(ours, repeated(other), options.repeats))


def score_pair(d: int, peer: str, ours: str, options) -> Outcome:
    clock, x = Clock(), rows(options.rows, d)
    if ours == "estimator":
        run_ours = partial(fitted(d).score_samples, x.double().numpy())
    else:
        run_ours = scoring(of_skflow(d, "spline").eval().log_prob, x)
    run_peer = scoring(of_peer(peer, d, "spline").eval().log_prob, x)
    return Outcome(clock.seconds(), compared(run_ours, run_peer, options.repeats))


def sample_pair(d: int, peer: str, options) -> Outcome:
    clock = Clock()
    ours, other = of_skflow(d, "spline").eval(), of_peer(peer, d, "spline").eval()
    run_ours, run_peer = (sampling(flow.sample, options.rows) for flow in (ours, other))
    return Outcome(clock.seconds(), compared(run_ours, run_peer, options.repeats))


def of_skflow(d: int, kind: str) -> torch.nn.Module:
    return coupling_flow(d, kind, n_layers=LAYERS, hidden_layer_sizes=HIDDEN, n_bins=BINS)


def of_peer(peer: str, d: int, kind: str) -> torch.nn.Module:
    """Imported here: to list the pieces takes none of the three."""
    from benchmarks.support.couplings import stack_of

    return stack_of(peer, d, kind, n_layers=LAYERS, hidden=HIDDEN, n_bins=BINS)


def products(d: int, kind: str, n: int) -> Callable[[], None]:
    """The matrix products of a training step alone: all layers forward, and back to both sides."""
    n_parameters = 3 * BINS - 1 if kind == "spline" else 2
    sizes = [d // 2, *HIDDEN, n_parameters * (d - d // 2)]
    weights = [[torch.randn(b, a) for a, b in pairwise(sizes)] for _ in range(LAYERS)]
    values = [[torch.randn(a, n) for a in sizes] for _ in range(LAYERS)]

    def run():
        for own, layer in zip(weights, values, strict=True):
            for weight, below in zip(own, layer, strict=False):
                torch.mm(weight, below)
        for own, layer in zip(weights, values, strict=True):
            for weight, below, above in zip(own, layer, layer[1:], strict=False):
                torch.mm(weight.T, above)
                torch.mm(above, below.T)

    return run


def rows(n: int, d: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(0))


@cache
def fitted(d: int) -> NormalizingFlow:
    model = NormalizingFlow(
        base="normal",
        start="standard",
        n_layers=LAYERS,
        hidden_layer_sizes=HIDDEN,
        n_bins=BINS,
        max_iter=1,
        random_state=0,
    )
    return model.fit(rows(2_000, d).double().numpy())


def peer_step(flow: torch.nn.Module, x: torch.Tensor) -> Callable[[], None]:
    """Forward, backward, clip, Adam."""
    optimizer = torch.optim.Adam(flow.parameters(), lr=1e-4)

    def run():
        optimizer.zero_grad()
        (-flow.log_prob(x).mean()).backward()
        torch.nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
        optimizer.step()

    return run


def repeated(step: Callable[[], object]) -> Callable[[], None]:
    def run():
        for _ in range(STEPS):
            step()

    return run


def scoring(log_prob, x: torch.Tensor) -> Callable[[], object]:
    """Score `x` without gradients, in the chunks that suit this flow best."""
    sample = x[: 2 * max(CHUNKS)]
    candidates = [partial(evaluate, log_prob, sample, chunk) for chunk in CHUNKS]
    best = min(candidates, key=lambda run: (seconds(run), seconds(run))[1])  # warm, then timed
    return partial(evaluate, log_prob, x, best.args[2])


def sampling(sample, n: int) -> Callable[[], object]:
    """Draw `n` rows without gradients, 4,096 at a time."""

    def run():
        with torch.no_grad():
            for _ in range(0, n, 4_096):
                sample(4_096)

    return run


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compared(ours: Callable[[], object], peer: Callable[[], object], repeats: int) -> dict:
    """Time the two in alternating order, each warm."""
    seconds(ours), seconds(peer)
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
