"""
Images through a funnel
=======================

`FunnelFlow` with ``image_shape`` keeps 8 numbers of an 8 x 8 digit and still has an exact density
of all 64 pixels. The density comes in parts, and they tell where an image is odd.
"""

# %%
# Grey levels from 0 to 16, as they are: with ``image_shape`` the estimator dequantises them
# itself. Every 2 x 2 patch becomes four channels, convolutional layers mix them, and a funnel
# keeps some of them; twice here.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from skflow import FunnelFlow
from skflow.inspection import bits_per_dimension

X_train, X_test = train_test_split(load_digits().data, test_size=400, random_state=0)
flow = FunnelFlow(
    n_components=8, image_shape=(1, 8, 8), max_iter=40, learning_rate_init=3e-3, random_state=0
)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)  # forty epochs are meant
    flow.fit(X_train)
print(f"exact: {flow.exact_}; {bits_per_dimension(flow, X_test):.2f} bits per pixel")

# %%
# Samples, and what comes back
# ----------------------------
# Two rows of samples; then held-out digits, their mean reconstructions from 8 numbers, and one
# draw of what the numbers leave open.

Z = flow.transform(X_test)
pca = PCA(8).fit(X_train)
mean, drawn = flow.inverse_transform(Z), flow.inverse_transform(Z, mode="sample", random_state=0)
for name, images in {
    "mean": mean,
    "drawn": drawn,
    "PCA": pca.inverse_transform(pca.transform(X_test)),
}.items():
    print(f"squared error per pixel, {name:<6}{np.mean((images - X_test) ** 2):6.2f}")

samples = flow.sample(24, random_state=0)


def show(rows):
    size = (10, 0.92 * len(rows))
    _, axes = plt.subplots(len(rows), 12, figsize=size, layout="constrained")
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        for axis, image in zip(line, images[:12], strict=True):
            axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    plt.show()


show({"samples": samples[:12], "more": samples[12:], "data": X_test, "mean": mean, "draw": drawn})

# %%
# PCA has a smaller squared error with as many numbers: it is made for that. The funnel is fitted
# to make the images probable, and describes by its decoder what it does not keep. Some digits,
# the second one here, come back as another one.

# %%
# Where an image is odd
# ---------------------
# ``score_components`` splits the log-density into that of the latent row, that of the dropped
# part given the latent row, and the log-volume of the maps. Held-out digits, and the same with
# one block of 3 x 3 pixels replaced by noise.

rng = np.random.default_rng(0)
corrupted = X_test.reshape(-1, 8, 8).copy()
for image in corrupted:
    i, j = rng.integers(0, 6, 2)
    image[i : i + 3, j : j + 3] = rng.integers(0, 17, (3, 3))
corrupted = corrupted.reshape(-1, 64)
show({"digits": X_test, "corrupted": corrupted})

parts = {"digits": flow.score_components(X_test), "corrupted": flow.score_components(corrupted)}
is_digit = np.repeat([1, 0], len(X_test))
print(f"{'':<12}{'digits':>10}{'corrupted':>11}{'AUROC':>8}")
for name in ("latent", "dropped", "jacobian"):
    both = [parts[kind][name] for kind in parts]
    auroc = roc_auc_score(is_digit, np.concatenate(both))
    print(f"{name:<12}{both[0].mean():10.1f}{both[1].mean():11.1f}{auroc:8.3f}")
whole = np.concatenate([flow.score_samples(X_test), flow.score_samples(corrupted)])
print(f"{'all':<12}{whole[:400].mean():10.1f}{whole[400:].mean():11.1f}", end="")
print(f"{roc_auc_score(is_digit, whole):8.3f}")

# %%
# The latent rows of most corrupted digits are nearly as usual as those of others. What does not
# go with them is the rest of the image: "dropped" alone finds the corruption as well as the whole
# density does, "latent" much less.

figure, axis = plt.subplots(figsize=(6, 4.2), layout="constrained")
for kind, values in parts.items():
    axis.scatter(values["latent"], values["dropped"], s=8, label=kind)
axis.set(xlabel="latent: log p(z), nats", ylabel="dropped: log p(dropped | z), nats")
axis.legend()
plt.show()
