"""The four toys of the SurVAE paper: couplings alone, behind absolute values, and our estimators.

    PYTHONPATH=. OMP_NUM_THREADS=1 python benchmarks/survae_toys.py
    PYTHONPATH=. OMP_NUM_THREADS=1 python benchmarks/survae_toys.py --only corners --models AbsFlow

Test negative log-density in nats beside the entropy, below which no model can be.

* The first two models have the paper's budget: 128,000 rows to train on and as many to test, four
  affine couplings with the order reversed after each, perceptrons of 200 and 100 units, Adam from
  1e-3, 10 epochs of batches of 128 rows. Unlike in the paper the rate falls along a cosine,
  absolute values are opened by the inverse softplus in units of their median (not by the logit of
  a quarter), and the signs have a learned distribution on every toy. On the checkerboard only the
  first column loses its sign, and both are opened on the square's sides by logits.
* The estimators have their defaults, but for a limit on their time.
"""

import argparse
import math
import time
import warnings
from pathlib import Path

import torch
from report import write_rows
from sklearn.exceptions import ConvergenceWarning

from skflow import NormalizingFlow
from skflow.datasets import TOYS, make_toy, toy_entropy
from skflow.distributions import StandardNormal
from skflow.estimators.survae_flow import SurVAEFlow
from skflow.flow import Flow
from skflow.transforms import Abs, Affine, Bound, Coupling, Permutation, Transform

HIDDEN = (200, 100)
N_COUPLINGS, BATCH_SIZE, RATE = 4, 128, 1e-3
CHUNK = 16_000
SIDE = 4.0  # the checkerboard's, from its middle


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


def flow_nll(toy: str, X, X_test, *, symmetric: bool, args) -> float:
    generator = torch.Generator().manual_seed(args.seed)
    front = without_signs(toy, generator) if symmetric else []
    flow = Flow([], [*front, *couplings(generator)], StandardNormal(2)).float()
    X = torch.tensor(X, dtype=torch.float32)
    flow.learned.initialize(X)
    train(flow, X, args.epochs, generator)
    flow = flow.double().eval()
    with torch.no_grad():
        scores = [flow.log_prob(part) for part in torch.tensor(X_test).split(CHUNK)]
    return -float(torch.cat(scores).mean())


def estimator_nll(model, X, X_test, args) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the limit on time
        model.set_params(random_state=args.seed, max_time=args.max_time).fit(X)
    return -model.score(X_test)


ESTIMATORS = {
    "NormalizingFlow()": NormalizingFlow,
    "SurVAEFlow()": SurVAEFlow,
    "SurVAEFlow(symmetric=[0, 1])": lambda: SurVAEFlow(symmetric=[0, 1]),
}
MODELS = ["couplings", "AbsFlow", *ESTIMATORS]


def result(toy: str, name: str, args) -> dict:
    X, X_test = (make_toy(toy, args.rows, random_state=seed) for seed in (0, 1))
    start = time.perf_counter()
    if name in ESTIMATORS:
        nll = estimator_nll(ESTIMATORS[name](), X, X_test, args)
    else:
        nll = flow_nll(toy, X, X_test, symmetric=name == "AbsFlow", args=args)
    seconds, entropy = time.perf_counter() - start, toy_entropy(toy)
    row = {"toy": toy, "model": name, "test_nll": nll, "entropy": entropy, "excess": nll - entropy}
    print(row | {"seconds": seconds}, flush=True)
    return row | {"seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=128_000, help="to train on, and to test on")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=list(TOYS), default=list(TOYS))
    parser.add_argument("--models", nargs="*", choices=MODELS, default=MODELS)
    parser.add_argument("--max-time", type=float, default=240, help="seconds for an estimator")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results/survae_toys.csv"
    )
    args = parser.parse_args()
    rows = [result(toy, name, args) for name in args.models for toy in args.only]
    print(write_rows(rows, args.out), flush=True)


if __name__ == "__main__":
    main()
