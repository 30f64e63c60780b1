"""The four toys of the SurVAE paper: couplings alone, behind absolute values, and our estimators.

Test negative log-density in nats beside the entropy, below which no model can be.

* The first two models have the paper's budget: 128,000 rows to train on and as many to test, four
  affine couplings with the order reversed after each, perceptrons of 200 and 100 units, Adam from
  1e-3, 10 epochs of batches of 128 rows. Unlike in the paper the rate falls along a cosine,
  absolute values are opened by the inverse softplus in units of their median (not by the logit of
  a quarter), and the signs have a learned distribution on every toy. On the checkerboard only the
  first column loses its sign, and both are opened on the square's sides by logits.
* The estimators have their defaults, but for a limit on their time.
"""

import math
from functools import partial

import torch

from benchmarks.support.fitting import Clock, fitted
from benchmarks.support.internals import initialized_flow
from benchmarks.support.pieces import Outcome, Piece
from skflow import NormalizingFlow, SurVAEFlow
from skflow.datasets import TOYS, make_toy, toy_entropy
from skflow.distributions import StandardNormal
from skflow.flow import Flow
from skflow.transforms import Abs, Affine, Bound, Coupling, Permutation, Transform

HIDDEN = (200, 100)
N_COUPLINGS, BATCH_SIZE, RATE = 4, 128, 1e-3
CHUNK = 16_000
SIDE = 4.0  # the checkerboard's, from its middle

ESTIMATORS = {
    "NormalizingFlow()": NormalizingFlow,
    "SurVAEFlow()": SurVAEFlow,
    "SurVAEFlow(symmetric=[0, 1])": partial(SurVAEFlow, symmetric=[0, 1]),
}
MODELS = ("couplings", "AbsFlow", *ESTIMATORS)


def add_options(parser) -> None:
    parser.add_argument("--rows", type=int, default=128_000, help="to train on, and to test on")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--max-time", type=float, default=240, help="seconds for an estimator")


def pieces(options):
    for toy in TOYS:
        for name in MODELS:
            for seed in options.seeds or (0,):
                yield Piece(toy, name, partial(outcome, toy, name, seed, options), seed)


def outcome(toy: str, name: str, seed: int, options) -> Outcome:
    X, X_test = (make_toy(toy, options.rows, random_state=part) for part in (0, 1))
    clock = Clock()
    if name in ESTIMATORS:
        model = ESTIMATORS[name](random_state=seed, max_time=options.max_time)
        nll = -fitted(model, X)[0].score(X_test)
    else:
        nll = flow_nll(toy, X, X_test, name == "AbsFlow", seed, options.epochs)
    entropy = toy_entropy(toy)
    return Outcome(clock.seconds(), {"test_nll": nll, "entropy": entropy, "excess": nll - entropy})


def couplings(generator: torch.Generator) -> list[Transform]:
    return [
        step
        for _ in range(N_COUPLINGS)
        for step in (
            Coupling(2, Affine(), hidden_layer_sizes=HIDDEN, generator=generator),
            Permutation(2, reverse=True),
        )
    ]


def without_signs(toy: str, generator: torch.Generator) -> list[Transform]:
    options = {"hidden_layer_sizes": HIDDEN, "generator": generator}
    if toy != "checkerboard":
        return [Abs(2, **options)]
    sides = torch.tensor([math.inf, SIDE])
    return [Abs(2, [0], limit=SIDE, **options), Bound(-sides, sides)]


def train(flow: Flow, X: torch.Tensor, epochs: int, generator: torch.Generator) -> None:
    optimizer = torch.optim.Adam(flow.parameters(), RATE, fused=True)
    n_batches = max(1, len(X) // BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * n_batches)
    for _ in range(epochs):
        for rows in torch.randperm(len(X), generator=generator).tensor_split(n_batches):
            loss = -flow(X[rows]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def flow_nll(toy: str, X, X_test, symmetric: bool, seed: int, epochs: int) -> float:
    generator = torch.Generator().manual_seed(seed)
    front = without_signs(toy, generator) if symmetric else []
    X = torch.tensor(X, dtype=torch.float32)
    flow = initialized_flow([*front, *couplings(generator)], StandardNormal(2), X)
    train(flow, X, epochs, generator)
    flow = flow.double().eval()
    with torch.no_grad():
        scores = [flow.log_prob(part) for part in torch.tensor(X_test).split(CHUNK)]
    return -float(torch.cat(scores).mean())
