"""
Outliers
========

With ``contamination`` set, a flow is an outlier detector: ``predict`` gives +1 for inliers and -1
for outliers, ``decision_function`` the log-density above the threshold.
"""

# %%
# In two dimensions
# -----------------
# Two moons, and one row in twenty scattered anywhere. The detector is told that share, not which
# rows they are.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, make_moons
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.inspection import DecisionBoundaryDisplay
from sklearn.metrics import RocCurveDisplay, roc_auc_score
from sklearn.model_selection import train_test_split

from skflow import NormalizingFlow

rng = np.random.default_rng(0)
moons, _ = make_moons(760, noise=0.07, random_state=0)
scattered = rng.uniform([-2, -1.5], [3, 2], (40, 2))
X = np.r_[moons, scattered]

detectors = {
    "flow": NormalizingFlow(contamination=0.05, max_iter=60, random_state=0),
    "isolation forest": IsolationForest(contamination=0.05, random_state=0),
}
figure, axes = plt.subplots(1, 2, figsize=(11, 4.4), layout="constrained")
for axis, (name, detector) in zip(axes, detectors.items(), strict=True):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # sixty epochs are meant
        labels = detector.fit_predict(X)
    found = (labels[len(moons) :] == -1).sum()
    wrong = (labels[: len(moons)] == -1).sum()
    DecisionBoundaryDisplay.from_estimator(
        detector, X, response_method="predict", grid_resolution=200, cmap="Pastel1", ax=axis
    )
    axis.scatter(*moons.T, s=6, color="black", label="moons")
    axis.scatter(*scattered.T, s=28, color="tab:red", marker="x", label="scattered")
    axis.set_title(f"{name}: {found} of 40 scattered rows and {wrong} others flagged")
    axis.set(xticks=[], yticks=[])
axes[0].legend(loc="lower left")
plt.show()

# %%
# The threshold ``offset_`` is the quantile ``contamination`` of the scores of the rows given to
# ``fit``, so the share flagged among those is what was asked for. How far a row is above it:

flow = detectors["flow"]
print(f"threshold {flow.offset_:.2f} nats; flagged {np.mean(flow.predict(X) == -1):.1%}")
print("decision_function of the first rows:", flow.decision_function(X[:4]).round(2))

# %%
# On measurements
# ---------------
# Half of the benign samples of the breast cancer table are known; the other half and all malignant
# ones are scored. Five different halves. Columns of this table repeat values, of which the flow
# warns: they are rounded measurements, so its noise floor is what is wanted.

warnings.simplefilter("ignore", DataConversionWarning)
data, target = load_breast_cancer(return_X_y=True)
benign, malignant = data[target == 1], data[target == 0]
auroc = {"flow": [], "isolation forest": []}
for seed in range(5):
    known, unseen = train_test_split(benign, test_size=0.5, random_state=seed)
    rows = np.r_[unseen, malignant]
    is_malignant = np.r_[np.zeros(len(unseen)), np.ones(len(malignant))]
    scores = {
        "flow": NormalizingFlow(random_state=0).fit(known).score_samples(rows),
        "isolation forest": IsolationForest(random_state=0).fit(known).score_samples(rows),
    }
    for name, score in scores.items():
        auroc[name].append(roc_auc_score(is_malignant, -score))

for name, values in auroc.items():
    print(f"{name:<18} AUROC {np.mean(values):.3f}  ({min(values):.3f} to {max(values):.3f})")

# %%
# The curves of the last half.

figure, axis = plt.subplots(figsize=(5, 4.6), layout="constrained")
for name, score in scores.items():
    RocCurveDisplay.from_predictions(is_malignant, -score, name=name, ax=axis)
axis.set_title("Malignant against unseen benign samples")
plt.show()
