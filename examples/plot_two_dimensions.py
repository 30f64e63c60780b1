"""
Densities in two dimensions
===========================

Three shapes with curved ridges, each fitted from 1,000 rows by a flow, by a Gaussian mixture with
the number of components chosen by BIC, and by a kernel density with a cross-validated bandwidth.
The titles give the mean log-density of 2,000 further rows, in nats: higher is better. None of the
three wins everywhere.
"""

# %%
# The data.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_circles, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity

from skflow import NormalizingFlow


def make_spiral(n_samples, noise, random_state):
    rng = np.random.default_rng(random_state)
    angle = 3 * np.pi * np.sqrt(rng.uniform(0.05, 1, n_samples))
    X = np.c_[np.cos(angle), np.sin(angle)] * angle[:, None] / (3 * np.pi)
    return X + noise * rng.standard_normal(X.shape)


shapes = {
    "moons": lambda n, seed: make_moons(n, noise=0.06, random_state=seed)[0],
    "circles": lambda n, seed: make_circles(n, noise=0.05, factor=0.5, random_state=seed)[0],
    "spiral": lambda n, seed: make_spiral(n, noise=0.03, random_state=seed),
}


# %%
# The three estimators. Sixty epochs are enough for these pictures, so the warning that more would
# help a little is not shown.


def flow(X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return NormalizingFlow(max_iter=60, random_state=0).fit(X)


def mixture(X):
    candidates = [GaussianMixture(k, random_state=0).fit(X) for k in range(1, 31)]
    return min(candidates, key=lambda candidate: candidate.bic(X))


def kernel(X):
    grid = {"bandwidth": np.geomspace(0.01, 0.5, 20)}
    return GridSearchCV(KernelDensity(), grid, cv=5).fit(X).best_estimator_


# %%
# Density, not its logarithm, is what is drawn: each row of pictures has one scale.

figure, axes = plt.subplots(3, 4, figsize=(13, 9.6), layout="constrained")
for row, (name, make) in zip(axes, shapes.items(), strict=True):
    X_train, X_test = make(1000, 0), make(2000, 1)
    low, high = X_train.min(0) - 0.25, X_train.max(0) + 0.25
    grid_x, grid_y = np.meshgrid(*np.linspace(low, high, 150).T)
    points = np.c_[grid_x.ravel(), grid_y.ravel()]

    row[0].scatter(*X_train.T, s=3, color="black")
    row[0].set_title(f"{name}: 1,000 rows")
    models = {"flow": flow(X_train), "mixture": mixture(X_train), "kernel": kernel(X_train)}
    densities = [np.exp(model.score_samples(points)) for model in models.values()]
    top = np.quantile(np.concatenate(densities), 0.995)
    for axis, label, density in zip(row[1:], models, densities, strict=True):
        image = density.reshape(grid_x.shape)
        axis.pcolormesh(grid_x, grid_y, image, vmin=0, vmax=top, cmap="magma", rasterized=True)
        axis.set_title(f"{label}: {models[label].score_samples(X_test).mean():.3f}")
    for axis in row:
        axis.set(
            xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal", xticks=[], yticks=[]
        )
plt.show()
