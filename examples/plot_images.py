"""
Images by self-normalizing convolutions
=======================================

The 8 x 8 digits of scikit-learn, rows of 64 grey levels from 0 to 16. Three architectures of
`SelfNormalizingFlow` and a Gaussian mixture, compared in bits per pixel of held-out images (lower
is better), and samples of each.
"""

# %%
# Every row is an image; ``image_shape`` says how to fold it.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split

from skflow import SelfNormalizingFlow
from skflow.inspection import bits_per_dimension

X_train, X_test = train_test_split(load_digits().data, test_size=400, random_state=0)

# %%
# A few epochs of each. They would go on improving, of which `fit` warns.

models = {}
for architecture in ("dense", "conv", "glow"):
    flow = SelfNormalizingFlow(
        architecture, image_shape=(1, 8, 8), max_iter=15, learning_rate_init=3e-3, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        models[architecture] = flow.fit(X_train)
bits = {name: bits_per_dimension(flow, X_test) for name, flow in models.items()}

# %%
# The mixture needs the same dequantisation to be comparable: levels are cells of width one.

rng = np.random.default_rng(0)
noisy_train, noisy_test = (X + rng.uniform(-0.5, 0.5, X.shape) for X in (X_train, X_test))
mixtures = [
    GaussianMixture(k, reg_covar=r, random_state=0).fit(noisy_train)
    for k in (5, 10, 20)
    for r in (0.01, 0.1)
]
mixture = max(mixtures, key=lambda m: m.score(noisy_test))
bits["mixture"] = -mixture.score(noisy_test) / 64 / np.log(2)
print({name: round(value, 3) for name, value in bits.items()})

# %%
# Data in the first row, samples below. The mixture's look at least as good as any: what it loses in
# bits it loses on the grey levels of single pixels, which the eye does not judge.

rows = {"data": X_test[:12]}
rows |= {name: flow.sample(12, random_state=0) for name, flow in models.items()}
rows["mixture"] = mixture.sample(12)[0]
figure, axes = plt.subplots(len(rows), 12, figsize=(10, 4.6), layout="constrained")
for line, (name, images) in zip(axes, rows.items(), strict=True):
    for axis, image in zip(line, images, strict=True):
        axis.imshow(image.reshape(8, 8).clip(0, 16), cmap="gray_r", vmin=0, vmax=16)
        axis.set(xticks=[], yticks=[])
    label = name if name == "data" else f"{name}\n{bits[name]:.2f} bits"
    line[0].set_ylabel(label, rotation=0, ha="right", va="center")
plt.show()
