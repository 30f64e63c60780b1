"""What rankings are worth: MultiscaleFlow against random cuts, PCA and factor analysis.

    PYTHONPATH=. python benchmarks/multiscale.py columns digits priors
    PYTHONPATH=. python benchmarks/multiscale.py --data DIR mnist mnist_components

* columns: 32 columns, of which 8 depend on each other in curved ways and 24 are correlated normals;
  half are cut off after 4 of 8 couplings. Which ranking keeps the 8, and the likelihood that
  it gives; paired over seeds. "reversed" keeps what "likelihood" would cut off.
* digits: one fit, reconstructions from 2 to 32 components beside PCA's, and the likelihood of
  dequantised rows beside factor analysis of each size.
* priors: "lowrank", "vae" and "flow" behind the same layers on digits.
* mnist: bits per dimension of the ranked cut beside random ones, paired over seeds. "blocks" ranks
  every 2 x 2 block at random, "channels" takes the same random order in every block.
* mnist_components: as digits, on MNIST in 14 x 14 pixels (means of 2 x 2); writes a picture of test
  images, reconstructions and the pixels' contributions beside the CSV.
"""

import argparse
import time
import warnings
from itertools import product
from pathlib import Path

import numpy as np
from report import write_rows
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.model_selection import train_test_split

from skflow import MultiscaleFlow
from skflow.inspection import bits_per_dimension

LEVELS = 17  # of a digits pixel


def fitted(model, X, X_val=None):
    """Fit quietly; also the seconds it took."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", DataConversionWarning)
        model.fit(X, X_val=X_val)
    return model, time.perf_counter() - start


def reported(row: dict) -> dict:
    print(row, flush=True)
    return row


def paired(differences) -> dict:
    """Mean of paired differences and its standard error."""
    d = np.asarray(differences)
    return {"mean": float(d.mean()), "standard_error": float(d.std(ddof=1) / len(d) ** 0.5)}


# ------------------------------------------------------------------------------- columns

CURVED, PLAIN = 8, 24


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


def columns(args) -> list[dict]:
    rows = []
    for seed in range(args.seeds):
        X, curved = curved_and_plain(20_000, seed)
        X, X_val, X_test = X[:10_000], X[10_000:12_000], X[12_000:]
        shared = {
            "architecture": "coupling", "start": "standard", "base": "normal",
            "hidden_layer_sizes": (64, 64), "batch_size": 128, "random_state": seed,
        }  # fmt: skip
        pretraining = int(np.ceil(0.2 * args.epochs))

        def run(name, decoder, epochs, X=X, X_val=X_val, X_test=X_test, curved=curved,
                shared=shared, seed=seed, **options):  # fmt: skip
            options = {"n_scales": 2, "n_layers": 4, **options}
            if decoder != "-":
                options["decoder"] = decoder
            model = MultiscaleFlow(max_iter=epochs, **options, **shared)
            model, seconds = fitted(model, X, X_val)
            half = X.shape[1] // 2
            kept = None
            if options["n_scales"] == 2:
                kept = int(np.isin(model.ranking_[:half], curved).sum())
            rows.append(
                reported(
                    {
                        "seed": seed, "ranking": name, "decoder": decoder, "kept": kept,
                        "nll": -model.score(X_test), "epochs": model.n_iter_, "seconds": seconds,
                    }
                )
            )  # fmt: skip
            return model

        # The others have the epochs of the pre-training too.
        longer = args.epochs + pretraining
        for decoder in ("standard", "gaussian"):
            ranked = run("likelihood", decoder, args.epochs, factor_out="likelihood")
            run("random", decoder, longer, factor_out="random")
            if decoder == "standard":
                run("reversed", decoder, longer, factor_out=ranked.ranking_[::-1])
        run("none", "-", longer, n_scales=1, n_layers=8, factor_out="random")
    return [*rows, *_summary(rows, "nll")]


def _summary(rows: list[dict], measure: str) -> list[dict]:
    """Mean over seeds of every variant, and paired differences to "likelihood"."""
    variants = list(dict.fromkeys((row["ranking"], row["decoder"]) for row in rows))
    values = {
        variant: np.array(
            [row[measure] for row in rows if (row["ranking"], row["decoder"]) == variant]
        )
        for variant in variants
    }
    lines = []
    for ranking, decoder in variants:
        kept = [
            row["kept"] for row in rows
            if (row["ranking"], row["decoder"]) == (ranking, decoder)
            and row.get("kept") is not None
        ]  # fmt: skip
        line = {"seed": "mean", "ranking": ranking, "decoder": decoder}
        line["kept"] = float(np.mean(kept)) if kept else None
        line[measure] = float(values[ranking, decoder].mean())
        lines.append(line)
    for ranking, decoder in variants:
        for ours in (v for v in variants if v[0] == "likelihood"):
            if ranking != "likelihood" and decoder in (ours[1], "-"):
                difference = paired(values[ours] - values[ranking, decoder])
                name = f"likelihood - {ranking}"
                line = {"seed": "paired", "ranking": name, "decoder": ours[1], "kept": None}
                line |= {
                    measure: difference["mean"],
                    "standard_error": difference["standard_error"],
                }
                lines.append(line)
    for line in lines:
        print(line, flush=True)
    return lines


# -------------------------------------------------------------------------------- digits


def split_digits(seed: int):
    """Rows on their levels, and test rows dequantised within their cells."""
    X, X_test = train_test_split(load_digits().data, test_size=347, random_state=seed)
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, X_test.shape)
    return X, X_test, X_test + noise


def digits(args) -> list[dict]:
    rows = []
    for seed in range(args.seeds):
        X, X_test, X_spread = split_digits(seed)
        spread = X + np.random.default_rng(100 + seed).uniform(-0.5, 0.5, X.shape)
        models = [fitted(MultiscaleFlow(start=s, random_state=seed), X) for s in ("auto", "whiten")]
        for (model, seconds), k in product(models, (2, 4, 8, 16, 32)):
            Z = model.transform(X_test)
            pca = PCA(k, random_state=0).fit(X)
            theirs = _squared_error(pca.inverse_transform(pca.transform(X_test)), X_test)
            ours = _squared_error(model.inverse_transform(Z[:, :k]), X_test)
            rows.append(
                reported(
                    {
                        "seed": seed, "start": model.start, "n_components": k,
                        "error": ours, "pca_error": theirs, "ratio": ours / theirs,
                        "score": model.score(X_spread),
                        "factor_analysis": float(FactorAnalysis(k).fit(spread).score(X_spread)),
                        "seconds": seconds,
                    }
                )
            )  # fmt: skip
    return rows


def _squared_error(reconstructed, X) -> float:
    return float(((reconstructed - X) ** 2).sum(1).mean())


def priors(args) -> list[dict]:
    rows = []
    for seed in range(args.seeds):
        X, X_test, X_spread = split_digits(seed)
        for prior in ("lowrank", "vae", "flow"):
            model = MultiscaleFlow(8, prior=prior, n_scales=1, random_state=seed)
            model, seconds = fitted(model, X)
            error = _squared_error(model.inverse_transform(model.transform(X_test)), X_test)
            rows.append(
                reported(
                    {
                        "seed": seed, "prior": prior, "score": model.score(X_spread),
                        "start": model.start_score_, "bound_gap": model.bound_gap_,
                        "exact": model.exact_, "error": error, "seconds": seconds,
                    }
                )
            )  # fmt: skip
    return rows


# --------------------------------------------------------------------------------- mnist


def mnist(args) -> list[dict]:
    data = np.load(Path(args.data) / "image" / "mnist.npz", allow_pickle=False)
    images, test = (data[k].reshape(-1, 784).astype(float) for k in ("X_train", "X_test"))
    rows = []
    pretraining = int(np.ceil(0.2 * args.image_epochs))
    for seed in range(args.image_seeds):
        rng = np.random.default_rng(seed)
        chosen = rng.permutation(len(images))[: args.images + 1_000]
        X, X_val = images[chosen[1_000:]], images[chosen[:1_000]]
        # The others have the epochs of the pre-training too.
        longer = args.image_epochs + pretraining
        variants = {
            "likelihood": ("likelihood", args.image_epochs),
            "blocks": ("random", longer),
            "channels": (same_order_everywhere(rng), longer),
        }
        for name, (factor_out, epochs) in variants.items():
            model = MultiscaleFlow(
                image_shape=(1, 28, 28), factor_out=factor_out, decoder=args.decoder,
                max_iter=epochs, n_iter_no_change=epochs, batch_size=64, random_state=seed,
            )  # fmt: skip
            model, seconds = fitted(model, X, X_val)
            rows.append(
                reported(
                    {
                        "seed": seed, "ranking": name, "decoder": args.decoder,
                        "bits": bits_per_dimension(model, test[:2_000]),
                        "epochs": model.n_iter_, "seconds": seconds,
                    }
                )
            )  # fmt: skip
    return [*rows, *_summary(rows, "bits")]


def same_order_everywhere(rng) -> np.ndarray:
    """Pixels of a 28 x 28 image, sorted by one random order of the places in a 2 x 2 block."""
    rank = rng.permutation(4).reshape(2, 2)
    return np.argsort(np.tile(rank, (14, 14)).ravel(), kind="stable")


def mnist_components(args) -> list[dict]:
    data = np.load(Path(args.data) / "image" / "mnist.npz", allow_pickle=False)
    rng = np.random.default_rng(0)

    def small(images):  # 196 pixels, with the noise of their grey levels
        blocks = images.reshape(-1, 14, 2, 14, 2).mean((2, 4)).reshape(-1, 196)
        return blocks + rng.uniform(-0.5, 0.5, blocks.shape)

    X, X_test = small(data["X_train"][:5_000]), small(data["X_test"][:500])
    model = MultiscaleFlow(start="whiten", n_scales=2, max_iter=30, random_state=0)
    model, seconds = fitted(model, X)
    Z, rows, pictures = model.transform(X_test), [], [X_test[:12]]
    for k in (2, 4, 8, 16, 32, 64):
        back = model.inverse_transform(Z[:, :k])
        pictures.append(back[:12])
        pca = PCA(k, random_state=0).fit(X)
        ours = _squared_error(back, X_test)
        theirs = _squared_error(pca.inverse_transform(pca.transform(X_test)), X_test)
        rows.append(
            reported(
                {
                    "n_components": k, "error": ours, "pca_error": theirs, "ratio": ours / theirs,
                    "score": model.score(X_test),
                    "factor_analysis": float(FactorAnalysis(k).fit(X).score(X_test)),
                    "seconds": seconds,
                }
            )
        )  # fmt: skip
    contributions = model.dimension_contributions_
    scaled = 255 * (contributions - contributions.min()) / np.ptp(contributions)
    pictures.append(np.tile(scaled, (12, 1)))
    save_picture(pictures, 14, args.out.with_name(f"{args.out.stem}_mnist_components.png"))
    return rows


def save_picture(pictures: list[np.ndarray], size: int, path: Path) -> None:
    """One line of images for every array of them."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    grid = np.stack(pictures).reshape(len(pictures), -1, size, size).transpose(0, 2, 1, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = grid.reshape(len(pictures) * size, -1).clip(0, 255)
    plt.imsave(path, image.repeat(2, 0).repeat(2, 1), cmap="gray_r", dpi=100)


TASKS = {f.__name__: f for f in (columns, digits, priors, mnist, mnist_components)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="+", choices=list(TASKS))
    parser.add_argument("--data", help="folder that holds image/mnist.npz")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=24, help="of columns")
    parser.add_argument("--images", type=int, default=2_500, help="MNIST images to train on")
    parser.add_argument("--image-epochs", type=int, default=10)
    parser.add_argument("--image-seeds", type=int, default=3)
    parser.add_argument("--decoder", default="standard", help="of mnist")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results/multiscale.csv"
    )
    args = parser.parse_args()
    for task in args.tasks:
        rows = TASKS[task](args)
        text = write_rows(rows, args.out.with_name(f"{args.out.stem}_{task}.csv"))
        print(text, flush=True)


if __name__ == "__main__":
    main()
