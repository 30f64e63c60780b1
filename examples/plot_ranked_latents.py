"""
One fit for every number of components
======================================

`MultiscaleFlow` on the 8 x 8 digits: how well images come back from the first latents of one fit,
beside a PCA for each number, and how probable it finds images it has not seen, beside factor
analysis. Then, which pixels carry the likelihood.
"""

# %%
# The rows are 64 grey levels from 0 to 16. Whole numbers have no density, so uniform noise as wide
# as one level is added for all methods.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from skflow import MultiscaleFlow
from skflow.inspection import DimensionContributionsDisplay

levels = load_digits().data
X = levels + np.random.default_rng(0).uniform(-0.5, 0.5, levels.shape)
X_train, X_test = train_test_split(X, test_size=100, random_state=0)

# %%
# A few epochs, from whitened columns. Left to itself the flow would choose a start that maps every
# pixel to a normal first: about twenty nats more likelihood, and less of the images in few latents.

flow = MultiscaleFlow(start="whiten", max_mixture_components=4, max_iter=15, random_state=0)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)  # fifteen epochs are meant
    flow.fit(X_train)
Z = flow.transform(X_test)
print(f"{Z.shape[1]} latents, the first 8 explain {flow.explained_entropy_ratio_[:8].sum():.0%}")

# %%
# From the first k latents an image comes back as the mean of all images that have those. PCA is
# fitted anew for every k.

widths = [2, 4, 8, 16, 32]
back = {k: flow.inverse_transform(Z[:, :k]) for k in widths}
ours = [((back[k] - X_test) ** 2).mean() for k in widths]
theirs, factors = [], []
for k in widths:
    pca = PCA(k).fit(X_train)
    theirs.append(((pca.inverse_transform(pca.transform(X_test)) - X_test) ** 2).mean())
    factors.append(FactorAnalysis(k).fit(X_train).score(X_test))

_, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
left.plot(widths, ours, "o-", label="MultiscaleFlow, one fit")
left.plot(widths, theirs, "s--", label="PCA, five fits")
left.set(xlabel="components", ylabel="squared error per pixel", xscale="log")
right.axhline(flow.score(X_test), color="tab:blue", label="MultiscaleFlow")
right.plot(widths, factors, "s--", color="tab:green", label="FactorAnalysis")
right.set(xlabel="components", ylabel="held-out log-density, nats", xscale="log")
for ax in (left, right):
    ax.set_xticks(widths, widths)
    ax.legend()

# %%
# The same images from more and more latents.

shown = [X_test[:10], *(back[k][:10] for k in widths[::-1])]
_, axes = plt.subplots(len(shown), 10, figsize=(8, 5), layout="constrained")
for line, images, name in zip(axes, shown, ["image", *widths[::-1]], strict=True):
    for ax, image in zip(line, images, strict=True):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(name)

# %%
# What each pixel adds to the mean log-density over that of independent normals. Where strokes pass,
# the other pixels say much about it; the margins are blank but for the noise, and nothing says
# anything about that.

DimensionContributionsDisplay.from_estimator(flow, image_shape=(1, 8, 8))
plt.show()
