"""
Quickstart
==========

Density, anomalies, samples, latent coordinates and a parameter search, on two tables that come with
scikit-learn. Takes less than a minute on two cores, prints what it finds and draws
``quickstart.png`` beside this script.
"""

# %%
# Two tables of measurements: 178 wines, and 569 cell samples of which 357 are benign.

import time
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, KFold, train_test_split
from sklearn.neighbors import KernelDensity
from sklearn.preprocessing import StandardScaler

from skflow import NormalizingFlow

began = time.perf_counter()
wine = load_wine(as_frame=True)
cells = load_breast_cancer(as_frame=True)
cell_means = cells.data.filter(like="mean ")

# %%
# Density
# -------
# A flow needs no standardised columns: its log-density is in the units of the table. The two
# classical estimators get them, so the log-volume of the scaling is added to their scores.


def classical(model, X_train, X_test):
    """Log-density of the test rows, in the units of X, of a model of standardised columns."""
    scaler = StandardScaler().fit(X_train)
    model.fit(scaler.transform(X_train))
    return model.score_samples(scaler.transform(X_test)) - np.log(scaler.scale_).sum()


def mixture_by_bic(X_train):
    Z = StandardScaler().fit_transform(X_train)
    candidates = [
        GaussianMixture(k, covariance_type=kind, random_state=0)
        for k in range(1, 9)
        for kind in ("full", "diag")
    ]
    return min(candidates, key=lambda mixture: mixture.fit(Z).bic(Z))


def kernel_by_cross_validation(X_train):
    Z = StandardScaler().fit_transform(X_train)
    grid = {"bandwidth": np.geomspace(0.05, 2, 20)}
    return GridSearchCV(KernelDensity(), grid, cv=5).fit(Z).best_estimator_


print("1. Density: mean log-density of held-out rows (nats, higher is better; ± standard error)\n")
print(f"   {'table':<14}{'rows':>6}{'columns':>9}   {'flow':^14}{'mixture':^14}{'kernel':^14}")
flows = {}
for name, X in {"wine": wine.data, "cell means": cell_means}.items():
    X_train, X_test = train_test_split(X, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataConversionWarning)
        flows[name] = NormalizingFlow(random_state=0).fit(X_train)
    scores = [
        flows[name].score_samples(X_test),
        classical(mixture_by_bic(X_train), X_train, X_test),
        classical(kernel_by_cross_validation(X_train), X_train, X_test),
    ]
    cells_of_row = [f"{s.mean():7.2f} ± {s.std() / len(s) ** 0.5:.2f}" for s in scores]
    print(f"   {name:<14}{len(X):>6}{X.shape[1]:>9}   " + "".join(f"{c:^14}" for c in cells_of_row))

# %%
# Both tables are rounded, and the flow says so. A value that occurs many times has no density, so
# the flow spreads such columns by noise as wide as the rounding; this bounds the density.

n_rounded = {name: int((flow.noise_floor_ > 0).sum()) for name, flow in flows.items()}
print(f"\n   Columns that repeat their values: {n_rounded}. The flow warned, once per fit:")
print(f'   "{str(caught[0].message)[:82]}..."')
print("   These are rounded measurements, so that is as it should be; not shown again below.")
warnings.simplefilter("ignore", DataConversionWarning)

for name, flow in flows.items():
    kept = "the start itself" if flow.best_iter_ == 0 else f"epoch {flow.best_iter_}"
    print(
        f"   {name}: start with a {flow.start_['base']} base, {flow.n_iter_} epochs, kept {kept}; "
        f"validation {flow.start_score_:.2f} -> {flow.best_score_:.2f}"
    )

# %%
# Anomalies
# ---------
# Both detectors see half of the benign samples, and no others. The other half and all malignant
# samples are then scored.

benign = cells.target == 1
known, unseen = train_test_split(cells.data[benign], test_size=0.5, random_state=0)
malignant = cells.data[~benign]
is_malignant = np.r_[np.zeros(len(unseen)), np.ones(len(malignant))]

detector = NormalizingFlow(contamination=0.05, random_state=0).fit(known)
forest = IsolationForest(random_state=0).fit(known)
flow_scores = [detector.score_samples(rows) for rows in (unseen, malignant)]
forest_scores = [forest.score_samples(rows) for rows in (unseen, malignant)]
auroc = {
    "flow": roc_auc_score(is_malignant, -np.concatenate(flow_scores)),
    "isolation forest": roc_auc_score(is_malignant, -np.concatenate(forest_scores)),
}
print(f"\n2. Anomalies: both fitted on {len(known)} benign samples, all {known.shape[1]} columns\n")
for name, value in auroc.items():
    print(f"   {name:<18} AUROC {value:.3f}")
flagged = [(detector.predict(rows) == -1).mean() for rows in (unseen, malignant)]
print(
    f"   contamination=0.05 flags {flagged[0]:.0%} of the unseen benign samples "
    f"and {flagged[1]:.0%} of the malignant ones"
)

# %%
# New rows
# --------
# ``sample`` gives a DataFrame of the same columns and dtypes.

flow = NormalizingFlow(start="standard", random_state=0).fit(wine.data)
drawn = flow.sample(178, random_state=0)
print("\n3. New rows: three drawn wines, some of the columns\n")
few = drawn[["alcohol", "malic_acid", "flavanoids", "color_intensity", "proline"]].head(3)
print("   " + few.to_string(index=False, float_format="{:.2f}".format).replace("\n", "\n   "))

# %%
# Latent coordinates
# ------------------
# ``transform`` gives as many latent columns as the table has. Two principal components of them
# are a picture of the wines, and every point of it has a row. This is why ``start="standard"`` was
# asked for above: in whitened latents no two directions hold more than any others.

Z = flow.set_output(transform="pandas").transform(wine.data)
pca = PCA(2).fit(Z.to_numpy())
plane = pca.transform(Z.to_numpy())
back = flow.inverse_transform(pca.inverse_transform(plane))
whole = flow.inverse_transform(Z)
scaler = StandardScaler().fit(wine.data)
linear = PCA(2).fit(scaler.transform(wine.data))
flat = linear.inverse_transform(linear.transform(scaler.transform(wine.data)))
print(f"\n4. Latent coordinates: {Z.columns[0]} ... {Z.columns[-1]}\n")
error = np.abs(whole - wine.data).to_numpy().max()
kept = pca.explained_variance_ratio_.sum()
explained = r2_score(wine.data, back)
explained_linear = r2_score(scaler.transform(wine.data), flat)
print(f"   all {Z.shape[1]} and back: largest error {error:.0e}")
print(f"   2 principal components of them keep {kept:.0%} of the latent variance;")
print(
    f"   mapped back to rows they explain {explained:.0%} of a column on average "
    f"(PCA of the columns: {explained_linear:.0%})"
)

# %%
# A search
# --------
# ``score`` is the mean log-density, so any of scikit-learn's searches works. The wines are sorted
# by cultivar: without shuffling, each fold would hold wines unlike those fitted. The few epochs
# are meant: they are enough to compare.

grid = {"architecture": ["affine_coupling", "spline_coupling"], "n_layers": [2, 4]}
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)
    search = GridSearchCV(
        NormalizingFlow(max_iter=20, start="standard", random_state=0),
        grid,
        cv=KFold(3, shuffle=True, random_state=0),
        n_jobs=2,
    ).fit(wine.data)
print("\n5. A search over architecture and n_layers (20 epochs, 3 folds)\n")
for parameters, mean, rank in zip(
    search.cv_results_["params"],
    search.cv_results_["mean_test_score"],
    search.cv_results_["rank_test_score"],
    strict=True,
):
    best = "  <- best" if rank == 1 else ""
    label = f"{parameters['architecture']:<16} n_layers={parameters['n_layers']}"
    print(f"   {label} {mean:8.2f}{best}")

# %%
# The picture.

figure, axes = plt.subplots(1, 3, figsize=(14, 4.4), layout="constrained")
x, y = "flavanoids", "color_intensity"
axes[0].scatter(wine.data[x], wine.data[y], s=18, label="real", color="tab:blue", alpha=0.8)
axes[0].scatter(drawn[x], drawn[y], s=22, label="drawn", color="tab:orange", marker="x")
axes[0].set(xlabel=x, ylabel=y, title="Wines: 178 real rows, 178 drawn ones")
axes[0].legend()

for label, color in enumerate(["tab:purple", "tab:green", "tab:red"]):
    rows = wine.target == label
    axes[1].scatter(*plane[rows].T, s=18, color=color, alpha=0.8, label=f"cultivar {label}")
axes[1].set(
    xlabel="first component", ylabel="second component", title="Wines: PCA of the latent rows"
)
axes[1].legend()

# Distance in log-density below the densest sample, on a logarithmic axis.
top = max(map(np.max, flow_scores)) + 1
bins = np.geomspace(1, top - min(map(np.min, flow_scores)), 40)
for values, label, color in [
    (flow_scores[0], "unseen benign", "tab:blue"),
    (flow_scores[1], "malignant", "tab:red"),
]:
    axes[2].hist(top - values, bins, alpha=0.6, label=label, color=color)
axes[2].axvline(top - detector.offset_, color="black", linestyle="--", label="threshold")
axes[2].set(
    xscale="log",
    xlabel="nats below the densest sample (plus 1)",
    ylabel="samples",
    title=f"Cells: fitted on benign, AUROC {auroc['flow']:.3f}",
)
axes[2].legend()

if "__file__" in globals():  # the gallery has none, and takes the figure itself
    picture = Path(__file__).with_suffix(".png")
    figure.savefig(picture, dpi=110)
    print(f"\nPicture: {picture}")
print(f"{time.perf_counter() - began:.0f} seconds.")
