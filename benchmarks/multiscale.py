"""What rankings are worth: MultiscaleFlow against random cuts, PCA and factor analysis.

* columns: 32 columns, of which 8 depend on each other in curved ways and 24 are correlated normals;
  half are cut off after 4 of 8 couplings. Which ranking keeps the 8, and the likelihood that
  it gives; paired over seeds. "reversed" keeps what "likelihood" would cut off, so it trains that
  one first.
* digits: one fit, reconstructions from 2 to 32 components beside PCA's, and the likelihood of
  dequantised rows beside factor analysis of each size.
* priors: "lowrank", "vae" and "flow" behind the same layers on digits.
* mnist: bits per dimension of the ranked cut beside random ones, paired over seeds. "blocks" ranks
  every 2 x 2 block at random, "channels" takes the same random order in every block.
* mnist_components: as digits, on MNIST in 14 x 14 pixels (means of 2 x 2); writes a picture of test
  images, reconstructions and the pixels' contributions beside the CSV.
"""

from functools import cache, partial

import numpy as np
from sklearn.decomposition import PCA, FactorAnalysis

from benchmarks.support.digits import split_digits
from benchmarks.support.fitting import fitted
from benchmarks.support.images import SHAPE, save_grid
from benchmarks.support.images import mnist as mnist_images
from benchmarks.support.pieces import Outcome, Piece
from skflow import MultiscaleFlow
from skflow.inspection import bits_per_dimension

SEEDS = {"columns": range(6), "digits": range(3), "priors": range(1), "mnist": range(3)}
CURVED, PLAIN = 8, 24
RANKINGS = (  # of columns: ranking, decoder
    ("likelihood", "standard"),
    ("random", "standard"),
    ("reversed", "standard"),
    ("likelihood", "gaussian"),
    ("random", "gaussian"),
    ("none", "-"),
)


def add_options(parser) -> None:
    parser.add_argument("--rows", type=int, default=10_000, help="of columns, to train on")
    parser.add_argument("--epochs", type=int, default=24, help="of columns")
    parser.add_argument("--max-iter", type=int, help="epochs of digits and priors, if not theirs")
    parser.add_argument("--images", type=int, default=2_500, help="MNIST images to train on")
    parser.add_argument("--image-epochs", type=int, default=10)
    parser.add_argument("--decoder", default="standard", help="of mnist")


def pieces(options):
    shorter = {} if options.max_iter is None else {"max_iter": options.max_iter}

    def seeds(task):
        return options.seeds or SEEDS[task]

    for seed in seeds("columns"):
        for ranking, decoder in RANKINGS:
            run = partial(columns, ranking, decoder, seed, options)
            yield Piece("columns", f"{ranking}, {decoder}", run, seed)
    for seed in seeds("digits"):
        for start in ("auto", "whiten"):
            yield Piece("digits", start, partial(digits, start, seed, shorter), seed)
    for seed in seeds("priors"):
        for prior in ("lowrank", "vae", "flow"):
            yield Piece("priors", prior, partial(priors, prior, seed, shorter), seed)
    if options.data is not None:
        for seed in seeds("mnist"):
            for ranking in ("likelihood", "blocks", "channels"):
                yield Piece("mnist", ranking, partial(mnist, ranking, seed, options), seed)
        yield Piece("mnist_components", "whiten", partial(mnist_components, shorter, options))


# ------------------------------------------------------------------------------- columns


def curved_and_plain(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Standardised, shuffled columns; also the positions of the curved ones."""
    rng = np.random.default_rng(seed)
    # Waves over two hidden coordinates: on a curved surface, but for a little noise.
    angles, phases = rng.uniform(0, 2 * np.pi, (2, CURVED))
    directions = np.stack([np.cos(angles), np.sin(angles)])
    waves = np.sin(1.5 * rng.normal(size=(n, 2)) @ directions + phases)
    curved = waves + 0.1 * rng.normal(size=(n, CURVED))
    # Each plain column is correlated with the one before it.
    plain = rng.normal(size=(n, PLAIN))
    for j in range(1, PLAIN):
        plain[:, j] = 0.5 * plain[:, j - 1] + 0.75**0.5 * plain[:, j]
    X = np.concatenate([curved, plain], 1)
    order = rng.permutation(X.shape[1])
    X = (X - X.mean(0)) / X.std(0)
    return X[:, order], np.flatnonzero(order < CURVED)


def columns(ranking: str, decoder: str, seed: int, options) -> Outcome:
    X, X_val, X_test, curved = column_rows(options.rows, seed)
    if ranking == "likelihood":
        model, seconds = ranked_columns(decoder, seed, options.rows, options.epochs)
    else:
        parameters = {"n_scales": 2, "n_layers": 4, "decoder": decoder, "factor_out": "random"}
        if ranking == "none":
            parameters = {"n_scales": 1, "n_layers": 8, "factor_out": "random"}
        elif ranking == "reversed":
            ranked, _ = ranked_columns(decoder, seed, options.rows, options.epochs)
            parameters["factor_out"] = ranked.ranking_[::-1]
        model = column_model(seed, longer(options.epochs), **parameters)
        model, seconds = fitted(model, X, X_val)
    metrics = {"nll": -model.score(X_test), "epochs": model.n_iter_}
    if ranking != "none":
        metrics["kept"] = np.isin(model.ranking_[: X.shape[1] // 2], curved).sum()
    return Outcome(seconds, metrics)


def column_rows(n: int, seed: int):
    X, curved = curved_and_plain(2 * n, seed)
    return X[:n], X[n : n + n // 5], X[n + n // 5 :], curved


@cache
def ranked_columns(decoder: str, seed: int, n: int, epochs: int):
    """The model ranked by likelihood, and its seconds."""
    X, X_val, _, _ = column_rows(n, seed)
    parameters = {"n_scales": 2, "n_layers": 4, "decoder": decoder, "factor_out": "likelihood"}
    return fitted(column_model(seed, epochs, **parameters), X, X_val)


def column_model(seed: int, epochs: int, **parameters) -> MultiscaleFlow:
    return MultiscaleFlow(
        architecture="coupling",
        start="standard",
        base="normal",
        hidden_layer_sizes=(64, 64),
        batch_size=128,
        random_state=seed,
        max_iter=epochs,
        **parameters,
    )


def longer(epochs: int) -> int:
    """Those that need no pre-training have its epochs to train instead."""
    return epochs + int(np.ceil(0.2 * epochs))


# -------------------------------------------------------------------------------- digits


def digits(start: str, seed: int, shorter: dict) -> Outcome:
    X, X_test, X_spread = split_digits(seed)
    spread = X + np.random.default_rng(100 + seed).uniform(-0.5, 0.5, X.shape)
    model, seconds = fitted(MultiscaleFlow(start=start, random_state=seed, **shorter), X)
    components = (2, 4, 8, 16, 32)
    metrics, _ = reconstructions(model, X, X_test, spread, X_spread, components)
    return Outcome(seconds, metrics)


def reconstructions(model, X, X_test, spread, X_spread, components) -> tuple[dict, list]:
    """Errors of k latents beside PCA, scores beside factor analysis; and the rows given back."""
    metrics, Z = {"score": model.score(X_spread)}, model.transform(X_test)
    reconstructed = [model.inverse_transform(Z[:, :k]) for k in components]
    for k, back in zip(components, reconstructed, strict=True):
        ours = squared_error(back, X_test)
        pca = PCA(k, random_state=0).fit(X)
        theirs = squared_error(pca.inverse_transform(pca.transform(X_test)), X_test)
        metrics[f"error {k}"], metrics[f"pca_error {k}"] = ours, theirs
        metrics[f"ratio {k}"] = ours / theirs
        metrics[f"factor_analysis {k}"] = FactorAnalysis(k).fit(spread).score(X_spread)
    return metrics, reconstructed


def squared_error(reconstructed, X) -> float:
    return float(((reconstructed - X) ** 2).sum(1).mean())


def priors(prior: str, seed: int, shorter: dict) -> Outcome:
    X, X_test, X_spread = split_digits(seed)
    model = MultiscaleFlow(8, prior=prior, n_scales=1, random_state=seed, **shorter)
    model, seconds = fitted(model, X)
    metrics = {
        "score": model.score(X_spread),
        "start": model.start_score_,
        "bound_gap": model.bound_gap_,
        "exact": model.exact_,
        "error": squared_error(model.inverse_transform(model.transform(X_test)), X_test),
    }
    return Outcome(seconds, metrics)


# --------------------------------------------------------------------------------- mnist


def mnist(ranking: str, seed: int, options) -> Outcome:
    images, test = mnist_images(options.data)
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(images))[: options.images + 1_000]
    X, X_val = images[chosen[1_000:]], images[chosen[:1_000]]
    epochs = options.image_epochs if ranking == "likelihood" else longer(options.image_epochs)
    factor_out = {
        "likelihood": "likelihood",
        "blocks": "random",
        "channels": same_order_everywhere(rng),
    }[ranking]
    model = MultiscaleFlow(
        image_shape=SHAPE,
        factor_out=factor_out,
        decoder=options.decoder,
        max_iter=epochs,
        n_iter_no_change=epochs,
        batch_size=64,
        random_state=seed,
    )
    model, seconds = fitted(model, X, X_val)
    bits = bits_per_dimension(model, test[:2_000])
    return Outcome(seconds, {"bits": bits, "epochs": model.n_iter_})


def same_order_everywhere(rng) -> np.ndarray:
    """Pixels of a 28 x 28 image, sorted by one random order of the places in a 2 x 2 block."""
    rank = rng.permutation(4).reshape(2, 2)
    return np.argsort(np.tile(rank, (14, 14)).ravel(), kind="stable")


def mnist_components(shorter: dict, options) -> Outcome:
    images, test = mnist_images(options.data)
    rng = np.random.default_rng(0)

    def small(images):  # 196 pixels, with the noise of their grey levels
        blocks = images.reshape(-1, 14, 2, 14, 2).mean((2, 4)).reshape(-1, 196)
        return blocks + rng.uniform(-0.5, 0.5, blocks.shape)

    X, X_test = small(images[:5_000]), small(test[:500])
    parameters = {"start": "whiten", "n_scales": 2, "max_iter": 30, **shorter}
    model, seconds = fitted(MultiscaleFlow(**parameters, random_state=0), X)
    components = (2, 4, 8, 16, 32, 64)
    metrics, back = reconstructions(model, X, X_test, X, X_test, components)
    contributions = model.dimension_contributions_
    scaled = 255 * (contributions - contributions.min()) / np.ptp(contributions)
    path = options.out / "multiscale_mnist_components.png"
    save_grid(
        [X_test[:12], *(rows[:12] for rows in back), np.tile(scaled, (12, 1))], 14, path, zoom=2
    )
    return Outcome(seconds, metrics)
