"""Sets of 50 points drawn from MNIST digits: both symmetries beside independent points.

    PYTHONPATH=. python benchmarks/point_clouds.py --data DIR --max-time 600

Log-likelihood per point of test sets in nats, log p(set) / 50, with its standard error. "permute"
is an importance-weighted bound over 10 orders ("elbo": over one), "sort" is exact. Beside them
scikit-learn's Gaussian mixture of single points, fitted to all points of all sets to train on, its
components chosen on held-out sets: what is known of a point that does not know its set.

"per_point" is in the units of the file, in which an image reaches from -1 to 1. "pixels" is the
same in those of a 28 x 28 image: coordinates are 14 times as large, a log-density is lower by
2 log 14 = 5.28. With that factor, and with no other that was tried, all 300,000 points to train on
lie in inked pixels of the images in MNIST that the file names.

Nielsen et al. (2020) report -5.30 (permute) and -5.53 (sort), as a secondary source has it, for
50,000 sets of SpatialMNIST. These are 6,000 other sets of other points: set beside each other the
numbers show an order of magnitude, no more.
"""

import argparse
import math
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from report import write_rows
from sklearn.mixture import GaussianMixture

from skflow.data.fit_data import FitData
from skflow.data.rows import Rows
from skflow.estimators.set_layers import initialize_set_flow, set_flow, set_plan
from skflow.flow import Flow
from skflow.training.fit import Fitted, fit_flow
from skflow.training.settings import Settings
from skflow.transforms.noise import fresh_noise

SHAPE = 50, 2
SYMMETRIES = "permute", "sort"
COMPONENTS = (8, 16, 32, 64, 128)
N_HELD_OUT = 500
N_DRAWS = 10
HALF_SIDE = 14.0  # of an image, in pixels
# Step by step smaller, each for a share of the time: nothing stalls so early that the loop's own
# decay would do it.
STAGES = ((0.65, 5e-3), (0.25, 1.5e-3), (0.1, 4e-4))
N_PICTURES = 12


def load(data: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sets to train on, to validate and to test, laid out flat."""
    file = np.load(Path(data) / "pointcloud/mnist_points.npz")
    X, X_test = (file[name].reshape(-1, math.prod(SHAPE)) for name in ("X_train", "X_test"))
    order = np.random.default_rng(0).permutation(len(X))
    X = X.astype(float)[order]
    return X[N_HELD_OUT:], X[:N_HELD_OUT], X_test.astype(float)


def row(model: str, scores: np.ndarray, **more) -> dict:
    per_point = scores / SHAPE[0]
    return {
        "model": model,
        "per_point": float(per_point.mean()),
        "error": float(per_point.std() / math.sqrt(len(scores))),
        "pixels": float(per_point.mean() - 2 * math.log(HALF_SIDE)),
        **more,
    }


def independent_row(parts) -> dict:
    """The mixture of single points with the components that do best on held-out sets."""
    start = time.perf_counter()
    X, X_val, X_test = (part.reshape(-1, SHAPE[1]) for part in parts)
    fits = [GaussianMixture(k, random_state=0).fit(X) for k in COMPONENTS]
    best = max(fits, key=lambda fit: fit.score(X_val))
    scores = best.score_samples(X_test).reshape(len(parts[2]), -1).sum(1)
    seconds = time.perf_counter() - start
    return row(f"independent, {best.n_components} components", scores, seconds=seconds)


@torch.no_grad()
def scores_of(flow: Flow, x: torch.Tensor, n_draws: int) -> np.ndarray:
    noise = fresh_noise(torch.Generator().manual_seed(1))
    chunks = x.split(250)
    return torch.cat(
        [flow.log_prob(part, n_importance_samples=n_draws, noise=noise) for part in chunks]
    ).numpy()


def fitted_row(symmetry: str, parts, max_time: float) -> tuple[dict, np.ndarray]:
    """A flow's scores of the test sets, and sets drawn from it."""
    torch.set_num_threads(1)
    X, X_val, X_test = (torch.as_tensor(part) for part in parts)
    start = time.perf_counter()
    plan = set_plan(SHAPE, symmetry=symmetry, n_rows=len(X))
    flow = set_flow(plan, torch.Generator().manual_seed(0))
    initialize_set_flow(flow, X, None, torch.Generator().manual_seed(0))
    at_start = scores_of(flow.eval(), X_test, 1).mean() / SHAPE[0]
    epochs = 0
    for seed, (share, rate) in enumerate(STAGES):
        fitted = fit_flow(
            Fitted(flow, FitData.plain(Rows(X), Rows(X_val))),
            Settings(10_000, 64, rate, 1e-4, 8, 1e-4, share * max_time),
            seed,
            lambda epoch, _: print(
                f"{symmetry} {epoch.epoch} {-epoch.train_loss / SHAPE[0]:.4f} "
                f"{epoch.validation_score / SHAPE[0]:.4f} {epoch.seconds:.0f} s",
                flush=True,
            ),
        )
        flow = fitted.flow
        epochs += len(fitted.outcome.history)
    seconds = time.perf_counter() - start
    flow.eval()
    samples = flow.sample(N_PICTURES, generator=torch.Generator().manual_seed(0))
    made = row(
        symmetry,
        scores_of(flow, X_test, N_DRAWS),
        elbo=None if flow.exact else float(scores_of(flow, X_test, 1).mean() / SHAPE[0]),
        start=float(at_start),
        epochs=epochs,
        seconds=seconds,
    )
    return made, samples.detach().numpy()


def save_pictures(sets: dict[str, np.ndarray], path: Path) -> None:
    """One line of sets for every name."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    size = (N_PICTURES, 1.15 * len(sets))
    figure, axes = plt.subplots(len(sets), N_PICTURES, figsize=size, squeeze=False)
    for line, (name, rows) in zip(axes, sets.items(), strict=True):
        for axis, points in zip(line, rows.reshape(-1, *SHAPE), strict=True):
            axis.scatter(points[:, 0], points[:, 1], s=3, color="black")
            axis.set(xlim=(-1, 1), ylim=(-1, 1), xticks=[], yticks=[], aspect="equal")
        line[0].set_ylabel(name)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder that holds pointcloud/")
    parser.add_argument("--max-time", type=float, default=600, help="seconds to train a flow")
    parser.add_argument("--symmetries", nargs="+", choices=SYMMETRIES, default=SYMMETRIES)
    parser.add_argument("--jobs", type=int, default=1, help="flows to train side by side")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results/point_clouds.csv"
    )
    args = parser.parse_args()
    parts = load(args.data)
    with ProcessPoolExecutor(args.jobs, get_context("spawn")) as pool:
        fits = [pool.submit(fitted_row, s, parts, args.max_time) for s in args.symmetries]
        rows = [independent_row(parts)]
        print(rows[0], flush=True)
        fitted = [fit.result() for fit in fits]
    print(write_rows([*rows, *(made for made, _ in fitted)], args.out), flush=True)
    sets = {"data": parts[2][:N_PICTURES]}
    sets |= {s: samples for s, (_, samples) in zip(args.symmetries, fitted, strict=True)}
    save_pictures(sets, args.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
