"""
Dimension reduction with a likelihood
=====================================

`FunnelFlow` beside PCA and factor analysis on the 8 x 8 digits: how well images come back from a
few latent numbers, and how probable the model finds images it has not seen.
"""

# %%
# Rows of 64 grey levels from 0 to 16. Whole numbers have no density, so uniform noise as wide as
# one level is added, once and for all three methods; nothing is scaled. PCA and factor analysis
# are fitted to all 1,397 rows of the training part, the flow to 1,247 of them: by the others it
# chooses its start and when to stop.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skflow import FunnelFlow

levels = load_digits().data
X = levels + np.random.default_rng(0).uniform(-0.5, 0.5, levels.shape)
X_train, X_test = train_test_split(X, test_size=400, random_state=0)
X_fit, X_val = train_test_split(X_train, test_size=150, random_state=0)


# %%
# A few epochs, and a start named in advance, which saves the time of comparing all.


def funnel(n_components):
    flow = FunnelFlow(
        n_components, start="marginal", max_mixture_components=4, max_iter=12, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # twelve epochs are meant
        return flow.fit(X_fit, X_val=X_val)


def factor_means(model, rows):
    """`FactorAnalysis` has no inverse_transform: the mean of a row given its factors."""
    return model.transform(rows) @ model.components_ + model.mean_


# %%
# The two measures, on held-out rows: the squared error per pixel of
# ``inverse_transform(transform(X))``, and the mean log-density in nats. PCA is also shown on
# standardised columns, with its error in grey levels. From a flow an image may come back drawn as
# well: what the latent row leaves open is then filled in by chance.

widths = [2, 4, 8, 16, 32]
flows = {k: funnel(k) for k in widths}
pcas = {k: PCA(k).fit(X_train) for k in widths}
scaled = {k: make_pipeline(StandardScaler(), PCA(k)).fit(X_train) for k in widths}
factors = {k: FactorAnalysis(k).fit(X_train) for k in widths}
latent = {k: flow.transform(X_test) for k, flow in flows.items()}


def back(model):
    return model.inverse_transform(model.transform(X_test))


def drawn(k, seed):
    return flows[k].inverse_transform(latent[k], mode="sample", random_state=seed)


restored = {
    "PCA": [back(p) for p in pcas.values()],
    "PCA, standardised": [back(p) for p in scaled.values()],
    "factor analysis": [factor_means(f, X_test) for f in factors.values()],
    "FunnelFlow": [back(flow) for flow in flows.values()],
    "FunnelFlow, drawn": [drawn(k, 0) for k in widths],
}
errors = {name: [np.mean((r - X_test) ** 2) for r in rows] for name, rows in restored.items()}
scores = {
    "PCA": [p.score(X_test) for p in pcas.values()],
    "factor analysis": [f.score(X_test) for f in factors.values()],
    "FunnelFlow": [flow.score(X_test) for flow in flows.values()],
}
for title, table in {"squared error": errors, "log-density": scores}.items():
    print(f"{title:<22}" + "".join(f"{k:>9}" for k in widths))
    for name, values in table.items():
        print(f"  {name:<20}" + "".join(f"{value:9.2f}" for value in values))

# %%
# On the left lower is better, on the right higher.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
styles = {
    "PCA": {"color": "tab:blue", "marker": "o"},
    "PCA, standardised": {"color": "tab:blue", "marker": "o", "linestyle": ":"},
    "factor analysis": {"color": "tab:green", "marker": "s"},
    "FunnelFlow": {"color": "tab:red", "marker": "^"},
    "FunnelFlow, drawn": {"color": "tab:red", "marker": "^", "linestyle": ":"},
}
for axis, table, label in [
    (left, errors, "squared error per pixel"),
    (right, scores, "log-density per image, nats"),
]:
    for name, values in table.items():
        axis.plot(widths, values, label=name, **styles[name])
    axis.set_xscale("log", base=2)
    axis.set(xlabel="n_components", ylabel=label, xticks=widths, xticklabels=widths)
left.set_yscale("log")
left.legend()
plt.show()

# %%
# PCA reaches the smallest squared error that a linear map can have on the rows it is fitted to.
# Nothing in the fit of a flow asks for a small one: it maximises the likelihood. With 4 and 8
# components its bent coordinates lead nevertheless; with 2, and clearly with 16 and 32, PCA is
# better. One reason is that the flow puts all columns on one scale first, so that pixels which
# hardly vary count as much as the others: see PCA on standardised columns. Another is that the
# default reconstruction takes the mean of the dropped columns inside the flow, which is not the
# mean of the pixels. A draw has nearly twice the error of the mean: it adds the spread of the rest.
#
# On the right all three are densities of the same 64 columns in the same units, so they compare
# with each other and across ``n_components``. PCA's gives everything it drops, in all directions,
# one variance; factor analysis gives each pixel its own; both are one Gaussian. The funnel's
# contains the dropped columns as well, given the latent row: dropping more does not cost
# likelihood by itself, and here it makes next to no difference, so that it is no guide to
# ``n_components``. Most of the distance to factor analysis is there before training: the flow
# begins as a mixture on columns mapped through their quantiles.

flow = flows[8]
print(f"8 components, 150 rows held out: {flow.start_score_:.1f} -> {flow.best_score_:.1f} nats")

# %%
# Digits and what 8 numbers keep of them. PCA's images are pale, and leave the range of grey
# levels more often than the flow's means do. A draw has the contrasts of an image, and details
# that are not those of the original.

rows = {
    "data": X_test,
    "PCA": back(pcas[8]),
    "FunnelFlow": back(flow),
    "a draw": drawn(8, 0),
    "another": drawn(8, 1),
}
for name, images in rows.items():
    outside = (images < -0.5) | (images > 16.5)
    print(f"{name:<12} standard deviation {images.std():.2f}, out of range {outside.mean():.1%}")

figure, axes = plt.subplots(len(rows), 12, figsize=(10, 4.6), layout="constrained")
for line, (name, images) in zip(axes, rows.items(), strict=True):
    for axis, image in zip(line, images[:12], strict=True):
        axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        axis.set(xticks=[], yticks=[])
    line[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()

# %%
# Whatever is drawn, its latent row is the one it was drawn for.

again = flow.transform(rows["a draw"])
print(f"largest difference of latent rows: {np.abs(again - latent[8]).max():.0e}")
