"""Scores of fixed fits of all six estimators, a line each: what a move in the code must not change.

    python -m tests.contract.fixed_fits > before.txt     # then the change, then again, and diff

A line has the mean score, then digests of scores, samples and latent rows. The digests hold for one
machine, one version of the libraries and one number of threads; the script takes one thread.
"""

import hashlib
import sys
import warnings

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_moons

from skflow import (
    FlowifiedMLP,
    FunnelFlow,
    MultiscaleFlow,
    NormalizingFlow,
    SelfNormalizingFlow,
    SurVAEFlow,
)

SHORT = {"max_iter": 3, "random_state": 0}
SMALL = {**SHORT, "hidden_layer_sizes": (16, 16)}
FULL_BATCH = {**SHORT, "early_stopping": False, "batch_size": 10**6, "dtype": "float64"}


def clusters(n=3_500, d=4, seed=0):
    """Three clusters, enough rows for one held-out part in place of folds."""
    rng = np.random.default_rng(seed)
    centres = 4 * rng.normal(size=(3, d))
    return centres[rng.integers(3, size=n)] + rng.normal(size=(n, d)) @ rng.normal(size=(d, d))


def mixed(n=600, seed=0):
    """Categories, counts, rounded numbers, atoms, missing cells."""
    rng = np.random.default_rng(seed)
    colour = rng.choice(["red", "green", "blue"], n)
    size = rng.normal(np.where(colour == "red", 3.0, 0.0))
    frame = pd.DataFrame(
        {
            "colour": colour,
            "size": size,
            "count": rng.poisson(3, n),
            "rounded": size.round(1) + 2,
            "atom": np.where(rng.uniform(size=n) < 0.3, 0.0, rng.gamma(2.0, size=n)),
        }
    )
    frame.loc[::7, "size"] = np.nan
    return frame


def fits():
    """Name -> a function that fits, and the rows to score."""
    wine, cancer = load_wine().data, load_breast_cancer().data[:, :12]
    moons, table, frame = make_moons(400, noise=0.1, random_state=0)[0], clusters(), mixed()
    digits = load_digits().data[:400]
    weight = np.random.default_rng(1).uniform(size=len(moons))
    sets = np.random.default_rng(2).normal(size=(200, 10))
    shape = {"image_shape": (1, 8, 8)}
    plain = {
        "normalizing": (NormalizingFlow(**SHORT), wine),
        "normalizing, 3,500 rows": (NormalizingFlow(**SMALL), table),
        "normalizing, whole numbers": (NormalizingFlow(**SMALL), np.rint(table)),
        "normalizing, autoregressive": (
            NormalizingFlow("affine_autoregressive", **SMALL, start="marginal"),
            moons,
        ),
        "normalizing, student_t, bounds": (
            NormalizingFlow(**SMALL, base="student_t", start="whiten", bounds={0: (-9, 9)}),
            moons,
        ),
        "normalizing, full batch": (NormalizingFlow(**FULL_BATCH, start="standard"), moons),
        "normalizing, threshold": (NormalizingFlow(**SMALL, contamination=0.1), moons),
        "self-normalizing": (SelfNormalizingFlow(**SHORT), cancer),
        "self-normalizing, self": (SelfNormalizingFlow(**SHORT, logdet_gradient="self"), moons),
        "self-normalizing, leaky": (
            SelfNormalizingFlow(**SHORT, activation="smooth_leaky_relu"),
            moons,
        ),
        "self-normalizing, conv": (SelfNormalizingFlow(**SHORT, **shape), digits),
        "self-normalizing, glow": (SelfNormalizingFlow("glow", **SHORT, **shape), digits),
        "funnel": (FunnelFlow(**SMALL), cancer),
        "funnel, auto": (FunnelFlow("auto", **SMALL, funnel="dense"), cancer),
        "funnel, spline decoder": (FunnelFlow(**SMALL, decoder="spline", base="normal"), moons),
        "funnel, images": (FunnelFlow(8, **SMALL, **shape), digits),
        "flowified": (FlowifiedMLP((6, 3), **SHORT), cancer),
        "flowified, student_t": (FlowifiedMLP((6, 3), **SHORT, decoder="student_t"), cancer),
        "flowified, widening": (
            FlowifiedMLP((4, 2), **SHORT, augment="gaussian", n_importance_samples=4),
            moons,
        ),
        "flowified, images": (FlowifiedMLP((16, 8), **SHORT, **shape), digits),
        "multiscale": (MultiscaleFlow(**SMALL), cancer),
        "multiscale, likelihood": (
            MultiscaleFlow(**SMALL, factor_out="likelihood", n_scales=2, start="standard"),
            cancer,
        ),
        "multiscale, vae": (MultiscaleFlow(2, **SMALL, prior="vae"), cancer),
        "multiscale, flow, couplings": (
            MultiscaleFlow(3, **SMALL, prior="flow", architecture="coupling", n_scales=2),
            cancer,
        ),
        "multiscale, images": (MultiscaleFlow(**SMALL, **shape), digits),
        "survae": (SurVAEFlow(**SMALL), frame),
        "survae, sides": (
            SurVAEFlow(**SMALL, symmetric=[0], exchangeable=[[1, 2]], periodic={3: 30.0}),
            table,
        ),
        "survae, images": (SurVAEFlow(**SHORT, **shape, n_layers=2), digits),
        "survae, max-pool": (
            SurVAEFlow(**SHORT, **shape, n_layers=1, pooling="max", dequantization="uniform"),
            digits,
        ),
        "survae, sets": (SurVAEFlow(**SHORT, input_shape=(5, 2), n_layers=1), sets),
        "survae, sorted sets": (
            SurVAEFlow(**SHORT, input_shape=(5, 2), n_layers=1, symmetry="sort"),
            sets,
        ),
    }
    named = {name: (lambda est=est, X=X: est.fit(X), X) for name, (est, X) in plain.items()}
    named["weights"] = lambda: NormalizingFlow(**SMALL).fit(moons, sample_weight=weight), moons
    named["X_val"] = lambda: NormalizingFlow(**SMALL).fit(moons[:300], X_val=moons[300:]), moons
    warm = NormalizingFlow(**SMALL, warm_start=True)
    named["warm start"] = lambda: warm.fit(moons).fit(moons), moons
    for cls in (NormalizingFlow, FunnelFlow, MultiscaleFlow, SelfNormalizingFlow):
        own = SHORT if cls is SelfNormalizingFlow else SMALL
        flow = cls(**own)
        name = f"partial fit, {cls.__name__}"
        named[name] = lambda f=flow: f.partial_fit(cancer).partial_fit(cancer[::2]), cancer
    named["partial fit, SurVAEFlow"] = (
        lambda: SurVAEFlow(**SMALL).partial_fit(frame).partial_fit(frame[::2]),
        frame,
    )
    return named


def digest(values) -> str:
    """Eight hexadecimal digits of an array or a frame."""
    if isinstance(values, pd.DataFrame):
        values = values.to_csv().encode()
    else:
        values = np.ascontiguousarray(values).tobytes()
    return hashlib.sha256(values).hexdigest()[:8]


def main() -> None:
    """Print one line per fit; arguments choose those whose names hold one of them."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    for name, (fit, X) in fits().items():
        if sys.argv[1:] and not any(word in name for word in sys.argv[1:]):
            continue
        flow = fit()
        scores = flow.score_samples(X)
        digests = digest(scores), digest(flow.sample(50, random_state=1)), digest(flow.transform(X))
        print(f"{name:34} {scores.mean():14.8f} {' '.join(digests)}", flush=True)


if __name__ == "__main__":
    main()
