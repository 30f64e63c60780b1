"""
Symmetric columns
=================

If a density is known to be the same on both sides of zero, `SurVAEFlow` need not learn it twice:
``symmetric`` models absolute values, and the signs given these. With few rows that pays; where the
symmetry is not there, the signs have to put it right.
"""

# %%
# Two of the toys of the SurVAE paper, one of them with a quadrant emptied: its shapes are mirrored,
# its signs are not evenly spread. And two moons, which are not symmetric at all. 500 rows each. The
# entropies of the toys are known, and no density scores higher on average than minus that.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from skflow import SurVAEFlow
from skflow.datasets import make_toy, toy_entropy

warnings.simplefilter("ignore", ConvergenceWarning)  # forty epochs are meant


def three_corners(n, seed):
    X = make_toy("corners", 2 * n, random_state=seed)
    return X[(X[:, 0] < 0) | (X[:, 1] < 0)][:n]


def moons(n, seed):
    X, _ = make_moons(n, noise=0.07, random_state=seed)
    return 2 * (X - [0.5, 0.25])


tables = {
    "four circles": [make_toy("four_circles", n, seed) for n, seed in ((500, 0), (5_000, 1))],
    "three corners": [three_corners(500, 0), three_corners(5_000, 1)],
    "moons": [moons(500, 0), moons(5_000, 1)],
}
possible = {
    "four circles": -toy_entropy("four_circles", 100_000),
    "three corners": -toy_entropy("corners") + np.log(4 / 3),
    "moons": np.nan,  # not known
}

# %%
# The same estimator without and with the symmetry, and a Gaussian mixture with as many components
# as do best on the test rows. Mean log-densities of 5,000 test rows, in nats.

models, scores = {}, {}
for name, (train, test) in tables.items():
    mixtures = (GaussianMixture(k, random_state=0).fit(train) for k in (4, 8, 16, 32))
    scores[name] = [max(mixture.score(test) for mixture in mixtures)]
    for symmetric in (None, [0, 1]):
        flow = SurVAEFlow(symmetric=symmetric, max_iter=40, random_state=0).fit(train)
        models[name, symmetric is not None] = flow
        scores[name].append(flow.score(test))

print(f"{'':<15}{'mixture':>9}{'flow':>9}{'symmetric':>11}{'possible':>10}")
for name, (mixture, plain, symmetric) in scores.items():
    print(f"{name:<15}{mixture:9.3f}{plain:9.3f}{symmetric:11.3f}{possible[name]:10.3f}")

# %%
# The symmetry pays on the first table, and on the second, where the learned signs know the empty
# quadrant. On the moons it costs: the absolute values lay four arcs over each other, and the signs
# have to tell them apart again.

# %%
# The densities, on one scale per table.

line = np.linspace(-4.6, 4.6, 140)
grid = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
figure, axes = plt.subplots(3, 3, figsize=(9, 9), layout="constrained")
for row, (name, (train, _)) in zip(axes, tables.items(), strict=True):
    row[0].scatter(*train.T, s=4, color="black")
    row[0].set(title="500 rows", ylabel=name, xlim=(-4.6, 4.6), ylim=(-4.6, 4.6))
    densities = [np.exp(models[name, s].score_samples(grid)).reshape(140, 140) for s in (0, 1)]
    top = np.quantile(densities[0][densities[0] > 0.01], 0.9)
    for axis, density, score, title in zip(
        row[1:], densities, scores[name][1:], ("plain", "symmetric"), strict=True
    ):
        axis.pcolormesh(line, line, density, vmin=0, vmax=top, cmap="viridis")
        axis.set_title(f"{title}: {score:.2f} nats")
    for axis in row:
        axis.set(xticks=[], yticks=[], aspect="equal")
plt.show()
