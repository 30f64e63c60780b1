"""What skflow is compared with: classical densities and the flows of zuko and nflows.

A peer is a function ``fit(X_train, X_val, max_seconds) -> (score, note)``. It makes all its choices
on the validation rows; ``score(X)`` is the log-density of each row in the units of X, the
log-Jacobian of its scaling included.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
import zuko
from sklearn.covariance import LedoitWolf
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

Score = Callable[[np.ndarray], np.ndarray]
Peer = Callable[[np.ndarray, np.ndarray, float], tuple[Score, str]]

COMPONENTS = (1, 2, 4, 8, 16, 32)
BANDWIDTHS = np.geomspace(0.02, 1.5, 20)  # in standard deviations
BATCH_SIZE, LEARNING_RATE, PATIENCE = 256, 1e-3, 20
TUTORIAL_EPOCHS, TUTORIAL_BATCH = 8, 64


# ------------------------------------------------------------------------------ scaling


class Affine:
    """z = (x - mean) W, with W the standardising or the whitening matrix of the rows given."""

    def __init__(self, X: np.ndarray, whiten: bool = False):
        self.mean = X.mean(axis=0)
        scale = X.std(axis=0)
        self.matrix = np.diag(1 / scale)
        if whiten:
            values, vectors = np.linalg.eigh(np.cov((X - self.mean) / scale, rowvar=False))
            self.matrix = self.matrix @ vectors / np.sqrt(values)
        self.log_det = np.linalg.slogdet(self.matrix)[1]

    def __call__(self, X: np.ndarray) -> np.ndarray:
        return (X - self.mean) @ self.matrix


def scaled(fit: Peer, whiten: bool = False) -> Peer:
    """Run `fit` on scaled columns and give its densities back in the units of X."""

    def fit_scaled(X_train, X_val, max_seconds):
        space = Affine(X_train, whiten)
        score, note = fit(space(X_train), space(X_val), max_seconds)
        return lambda X: score(space(X)) + space.log_det, note

    return fit_scaled


# ----------------------------------------------------------------------------- classics


def mixture(Z_train, Z_val, max_seconds, reg_covars=(1e-4,)):
    """Full-covariance Gaussian mixture; components and regularisation by validation."""
    path = [m for reg in reg_covars for m in _doubling(Z_train, Z_val, reg)]
    _, best = max(path, key=lambda scored: scored[0])
    return best.score_samples, f"k={best.n_components} reg={best.reg_covar:g}"


def _doubling(Z_train, Z_val, reg_covar) -> Iterator[tuple[float, GaussianMixture]]:
    """Mixtures with their validation scores, until two in a row do not improve."""
    best, worse = -np.inf, 0
    for k in COMPONENTS:
        model = GaussianMixture(k, reg_covar=reg_covar, random_state=0).fit(Z_train)
        score = model.score(Z_val)
        yield score, model
        worse = 0 if score > best else worse + 1
        best = max(best, score)
        if worse == 2:
            return


def shrunk_gaussian(Z_train, Z_val, max_seconds):
    """One Gaussian, its covariance shrunk as Ledoit and Wolf propose; nothing to choose."""
    model = LedoitWolf().fit(Z_train)
    constant = np.linalg.slogdet(model.precision_)[1] - Z_train.shape[1] * np.log(2 * np.pi)
    return lambda Z: 0.5 * (constant - model.mahalanobis(Z)), f"shrinkage {model.shrinkage_:.2g}"


def gaussian_log_density(X, *, standardise: bool) -> Score:
    """The density of the Gaussian with Ledoit and Wolf's covariance, in the units of X."""
    mean, scale = X.mean(0), X.std(0) if standardise else np.ones(X.shape[1])
    model = LedoitWolf().fit((X - mean) / scale)
    log_det = np.linalg.slogdet(model.precision_)[1]
    constant = 0.5 * log_det - X.shape[1] / 2 * np.log(2 * np.pi) - np.log(scale).sum()
    return lambda rows: constant - 0.5 * model.mahalanobis((rows - mean) / scale)


def gaussian_score(X, X_test, *, standardise: bool) -> float:
    """Its mean over the test rows."""
    return float(gaussian_log_density(X, standardise=standardise)(X_test).mean())


def kernel_density(Z_train, Z_val, max_seconds):
    """Gaussian kernel density, bandwidth by validation."""
    models = [KernelDensity(bandwidth=h).fit(Z_train) for h in BANDWIDTHS]
    best = max(models, key=lambda model: model.score(Z_val))
    return best.score_samples, f"h={best.bandwidth:.3g}"


# -------------------------------------------------------------------------------- flows


def zuko_nsf(d: int):
    """Autoregressive neural spline flow, bins=8 as by default."""
    flow = zuko.flows.NSF(d, transforms=3, hidden_features=(128, 128))
    return flow, lambda z: flow().log_prob(z)


def zuko_tutorial(Z_train, Z_val, max_seconds):
    """The network, batch and number of epochs of zuko's own tutorial, "Train from data"."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        flow = zuko.flows.NSF(Z_train.shape[1], transforms=3, hidden_features=(64, 64))
        optimizer = torch.optim.Adam(flow.parameters(), lr=LEARNING_RATE)
        train = torch.from_numpy(Z_train).float()
        for _ in range(TUTORIAL_EPOCHS):
            for batch in torch.randperm(len(train)).split(TUTORIAL_BATCH):
                (-flow().log_prob(train[batch]).mean()).backward()
                optimizer.step()
                optimizer.zero_grad()
    flow.double()
    score = partial(evaluate, lambda z: flow().log_prob(z))
    return lambda Z: score(torch.from_numpy(Z)).numpy(), f"{TUTORIAL_EPOCHS} epochs"


def zuko_maf(d: int):
    """Masked autoregressive flow."""
    flow = zuko.flows.MAF(d, transforms=5, hidden_features=(128, 128))
    return flow, lambda z: flow().log_prob(z)


def nflows_nsf(d: int):
    """RQ-NSF (C): five spline couplings with residual networks, LU linear maps between."""
    from nflows.distributions import StandardNormal
    from nflows.flows import Flow
    from nflows.nn.nets import ResidualNet
    from nflows.transforms import (
        CompositeTransform,
        LULinear,
        PiecewiseRationalQuadraticCouplingTransform,
        RandomPermutation,
    )
    from nflows.utils import create_alternating_binary_mask

    def linear():
        return [RandomPermutation(d), LULinear(d, identity_init=True)]

    def coupling(step):
        return PiecewiseRationalQuadraticCouplingTransform(
            create_alternating_binary_mask(d, even=step % 2 == 0),
            partial(ResidualNet, hidden_features=128, num_blocks=2),
            num_bins=8,
            tails="linear",
            tail_bound=5.0,
        )

    layers = [layer for step in range(5) for layer in (*linear(), coupling(step))]
    flow = Flow(CompositeTransform(layers + linear()), StandardNormal([d]))
    return flow, flow.log_prob


def trained(build) -> Peer:
    """Make a peer of a flow: `build(d)` gives the module and its log_prob.

    Trained in float32, as these libraries are used; scored in float64, so that rounding neither
    costs nor gains likelihood.
    """

    def fit(Z_train, Z_val, max_seconds):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            flow, log_prob = build(Z_train.shape[1])
            train, val = (torch.from_numpy(Z).float() for Z in (Z_train, Z_val))
            note = train_flow(flow, log_prob, train, val, max_seconds)
        flow.double()
        return lambda Z: evaluate(log_prob, torch.from_numpy(Z)).numpy(), note

    return fit


def train_flow(flow, log_prob, train, val, max_seconds, on_best=lambda score: None) -> str:
    """Fit by Adam, stop early on the validation rows, leave the best weights in `flow`.

    `on_best` is called with every best validation score, when it is there.
    """
    optimizer = torch.optim.Adam(flow.parameters(), lr=LEARNING_RATE)
    deadline = time.perf_counter() + max_seconds
    best, best_epoch, epoch, weights = -np.inf, 0, 0, None
    while epoch - best_epoch < PATIENCE and time.perf_counter() < deadline:
        epoch += 1
        flow.train()
        for batch in torch.randperm(len(train)).split(BATCH_SIZE):
            optimizer.zero_grad()
            (-log_prob(train[batch]).mean()).backward()
            optimizer.step()
            if time.perf_counter() > deadline:
                break
        flow.eval()
        score = evaluate(log_prob, val).mean().item()
        if score > best:
            best, best_epoch = score, epoch
            on_best(score)
            weights = {key: value.clone() for key, value in flow.state_dict().items()}
    if weights is None:
        raise FloatingPointError("no epoch with a finite validation likelihood")
    flow.load_state_dict(weights)
    capped = ", capped" if epoch - best_epoch < PATIENCE else ""
    return f"{epoch} epochs, best {best_epoch}{capped}"


@torch.no_grad()
def evaluate(log_prob, z: torch.Tensor, chunk: int = 4096) -> torch.Tensor:
    """Log-densities of all rows, a chunk at a time."""
    return torch.cat([log_prob(part) for part in z.split(chunk)])


CLASSICS: dict[str, Peer] = {
    "gaussian": scaled(shrunk_gaussian),
    "gmm": scaled(partial(mixture, reg_covars=(1e-4, 1e-6))),
    "gmm-white": scaled(mixture, whiten=True),
    "kde": scaled(kernel_density),
    "kde-white": scaled(kernel_density, whiten=True),
}
FLOWS: dict[str, Peer] = {
    "zuko-nsf": scaled(trained(zuko_nsf)),
    "zuko-tutorial": scaled(zuko_tutorial),
    "zuko-maf": scaled(trained(zuko_maf)),
    "nflows-nsf": scaled(trained(nflows_nsf)),
}
PEERS = CLASSICS | FLOWS
