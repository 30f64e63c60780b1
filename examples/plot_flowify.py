"""
A classifier read backwards
===========================

`flowify` gives every layer of an ordinary network a stochastic inverse and a likelihood
contribution. Here the network is the trunk of a small classifier of digits: which images have these
features, and how probable is an image?
"""

# %%
# The classifier
# --------------
# Grey levels from 0 to 16, dequantised by one level in every step. Each layer is narrower than
# the one before, so that no noise has to be added and the likelihood is exact; leaky ReLUs,
# because a ReLU has no inverse. The trunk is everything before the last linear layer.

import copy

import matplotlib.pyplot as plt
import torch
from sklearn.covariance import LedoitWolf
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture as FittedMixture
from sklearn.model_selection import train_test_split
from torch import nn

from skflow import flowify
from skflow.distributions import Decoder, GaussianMixture
from skflow.flow import Flow
from skflow.transforms.noise import fresh_draw, mean_draw, no_noise

generator = torch.Generator().manual_seed(0)
torch.manual_seed(0)  # of the network's initial weights

images, labels = load_digits(return_X_y=True)
parts = train_test_split(images, labels, test_size=400, stratify=labels, random_state=0)
levels_train, levels_test, y_train, y_test = (torch.tensor(part) for part in parts)


def dequantised(levels):
    return levels.float() + torch.rand(levels.shape, generator=generator) - 0.5


def batches(n_epochs, size=64):
    """Rows and labels, in a new order and with new noise in every epoch."""
    for _ in range(n_epochs):
        for batch in torch.randperm(len(y_train), generator=generator).split(size):
            yield dequantised(levels_train[batch]), y_train[batch]


def step(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


X_train, X_test = dequantised(levels_train), dequantised(levels_test)
trunk = nn.Sequential(
    nn.Linear(64, 32),
    nn.BatchNorm1d(32),
    nn.LeakyReLU(0.5),
    nn.Linear(32, 16),
    nn.BatchNorm1d(16),
    nn.LeakyReLU(0.5),
)
head = nn.Linear(16, 10)
classifier = nn.Sequential(trunk, head)
optimizer = torch.optim.Adam(classifier.parameters(), lr=3e-3)
for x, y in batches(15):
    step(optimizer, nn.functional.cross_entropy(classifier(x), y))
classifier.eval().requires_grad_(False)
accuracy = (classifier(X_test).argmax(1) == y_test).float().mean()
print(f"accuracy on 400 held-out digits: {accuracy:.3f}")

# %%
# The same network as a transform
# -------------------------------
# On the mean path nothing has changed.

flowified = flowify(trunk, example_input=X_train[:1], random_state=0)
features = trunk(X_test)
difference = (flowified(X_test, noise=no_noise)[0] - features).abs().max()
print(f"exact likelihood: {flowified.exact}; largest difference from the trunk {difference:.0e}")

# %%
# A flow needs a density of the features too. A mixture with one component for each digit, begun
# at that digit's mean, also says which features belong to which digit.

with torch.no_grad():
    z_train = trunk(X_train).double()
means = torch.stack([z_train[y_train == digit].mean(0) for digit in range(10)])
mixture = FittedMixture(10, means_init=means, reg_covar=0.1, random_state=0).fit(z_train)
base = GaussianMixture(10, 16)
base.copy_fitted(mixture)
flow = Flow([], [flowified], base)
log_density = {}


def record(name, flow):
    with torch.no_grad():
        log_density[name] = float(flow.eval().log_prob(X_test).mean())


# %%
# ``initialize`` gives the two decoders, of the 32 and the 16 dimensions that the linear layers
# drop, a linear regression on what is kept.

flowified.initialize(X_train)
record("initialised", flow)

# %%
# Training the decoders and the base leaves the trunk as it is.

trained = nn.ModuleList([*(m for m in flow.modules() if isinstance(m, Decoder)), base])
flow.requires_grad_(False)
trained.requires_grad_(True)
optimizer = torch.optim.AdamW(trained.parameters(), lr=1e-3)
for x, _ in batches(60):
    step(optimizer, -flow.log_prob(x).mean())
record("decoders trained", flow)
difference = (flowified(X_test)[0] - features).abs().max()
print(f"largest difference from the trunk after training {difference:.0e}")

# %%
# Training everything gives a better density, of a trunk that is no longer that of the classifier.

freed = copy.deepcopy(flow).requires_grad_(True).train()
optimizer = torch.optim.AdamW(freed.parameters(), lr=1e-3)
for x, _ in batches(30):
    step(optimizer, -freed.log_prob(x).mean())
record("all trained", freed)
log_density["Gaussian (Ledoit-Wolf)"] = LedoitWolf().fit(X_train.numpy()).score(X_test.numpy())
moved = freed.encode(X_test)
agree = (head(moved).argmax(1) == classifier(X_test).argmax(1)).float().mean()
print(f"the head gives {agree:.1%} of the digits the same label on the trunk that has moved")
print("log-density of held-out digits, nats:")
for name, value in log_density.items():
    print(f"  {name:<24}{value:8.1f}")

# %%
# With the features of the classifier the density is little better than that of one Gaussian: they
# were made to tell digits apart, and the decoders have to say the rest. Who wants a density in
# the first place takes `FlowifiedMLP`, which begins at a classical one.

# %%
# Which images have these features?
# ---------------------------------
# A held-out digit of each class, the mean image for its 16 features, four draws; then three
# images for features drawn from the base's component of that class. A digit, its mean image and
# its draws have the same features, so the classifier cannot tell them apart. The images of a
# class are coarser: ten Gaussians are a rough model of the features.


def drawn(z):
    return flowified.inverse(z, draw=fresh_draw(generator))


first = torch.stack([(y_test == digit).nonzero()[0, 0] for digit in range(10)])
z = features[first]
with torch.no_grad():
    columns = [X_test[first], flowified.inverse(z, draw=mean_draw), *(drawn(z) for _ in range(4))]
    error = max(float((trunk(x) - z).abs().max()) for x in columns)
    whole = drawn(features)
    agree = (classifier(whole).argmax(1) == classifier(X_test).argmax(1)).float().mean()
    print(f"features of these images differ by {error:.0e} at most")
    print(f"share of digits and draws that the classifier gives the same label: {agree:.3f}")
    for _ in range(3):
        noise = torch.randn(10, 16, 1, generator=generator)
        steps = torch.linalg.solve_triangular(base.factor().mT, noise, upper=False)
        columns.append(drawn(base.means + steps[..., 0]))

titles = ["digit", "mean", *["draw"] * 4, *["of class"] * 3]
figure, axes = plt.subplots(10, len(columns), figsize=(7.6, 8.4), layout="constrained")
for column, (title, x) in enumerate(zip(titles, columns, strict=True)):
    axes[0, column].set_title(title, fontsize=9)
    for axis, image in zip(axes[:, column], x.numpy(), strict=True):
        axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
        axis.set(xticks=[], yticks=[])
plt.show()

# %%
# How probable is an image?
# -------------------------
# Held-out digits, and the same images with their pixels in random order, a different one for
# each.

orders = torch.rand(X_test.shape, generator=generator).argsort(1)
shuffled = X_test.gather(1, orders)
is_digit = [1] * len(X_test) + [0] * len(shuffled)
with torch.no_grad():
    scores = {
        name: flow.log_prob(x) for name, x in {"digits": X_test, "shuffled": shuffled}.items()
    }
    rows = torch.cat([X_test, shuffled])
    measures = {
        "log p(x)": torch.cat([*scores.values()]),
        "log p(features)": base.log_prob(trunk(rows)),
        "largest probability": classifier(rows).softmax(1).amax(1),
    }
for name, values in measures.items():
    print(f"{name:<20} AUROC {roc_auc_score(is_digit, values):.3f}")

# %%
# The density separates them, and so, nearly, does that of the features alone. The classifier's
# confidence does so least: it was only ever asked which digit. The case is an easy one, and a
# high density is no proof that an image is a digit: see :doc:`/when_not`.

figure, axis = plt.subplots(figsize=(7, 3.6), layout="constrained")
bins = -measures["log p(x)"].sort(descending=True).values[[0, -1]]
bins = torch.logspace(*bins.log10().tolist(), 60).tolist()
for name, values in scores.items():
    axis.hist((-values).tolist(), bins, alpha=0.7, label=name)
axis.set(xscale="log", xlabel="-log p(x), nats", ylabel="images")
axis.legend()
plt.show()
