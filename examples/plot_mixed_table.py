"""
A mixed table, as it comes
==========================

`SurVAEFlow` takes a DataFrame of categories, counts, rounded and exact numbers with missing cells,
and gives one density of all of it: to score rows, to say which cell makes a row odd, to fill in
what is missing.
"""

# %%
# Orders of an outdoor shop, made up. Boots and tents are heavier than shirts, discounts are mostly
# zero, the counter is open by day, and what is carried home from it has no delivery distance. Some
# distances and sizes were never written down.

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import OrdinalEncoder

from skflow import SurVAEFlow

SIZES = ["S", "M", "L", "XL"]


def make_orders(n, seed):
    rng = np.random.default_rng(seed)
    product = rng.choice(["shirt", "boots", "tent"], n, p=[0.55, 0.3, 0.15])
    channel = rng.choice(["web", "counter", "phone"], n, p=[0.5, 0.4, 0.1])
    size = np.clip(np.round(rng.normal(1.4 + 0.5 * (product == "tent"), 0.9, n)), 0, 3).astype(int)
    items = 1 + rng.poisson(np.where(product == "shirt", 1.8, 0.2))
    each = pd.Series(product).map({"shirt": 0.2, "boots": 1.4, "tent": 3.0}).to_numpy()
    weight = items * each * (1 + 0.15 * size) * rng.lognormal(0, 0.06, n)
    discount = np.where(rng.random(n) < 0.65, 0.0, items * rng.lognormal(1.2, 0.4, n))
    hour = np.where(channel == "web", rng.normal(21, 3, n), rng.normal(13.5, 2, n)).astype(int) % 24
    distance = np.where(channel == "counter", np.nan, rng.lognormal(3, 0.7, n))
    frame = pd.DataFrame(
        {
            "product": product,
            "channel": channel,
            "size": pd.Categorical.from_codes(size, SIZES, ordered=True),
            "items": items,
            "weight": weight.round(1),
            "discount": discount,
            "hour": hour,
            "distance": distance,
        }
    )
    frame.loc[rng.random(n) < 0.05, "distance"] = np.nan
    frame.loc[rng.random(n) < 0.1, "size"] = np.nan
    return frame


orders, new_orders = make_orders(3_000, seed=0), make_orders(1_000, seed=1)
print(orders.head())

# %%
# Nothing is encoded, scaled or imputed beforehand. The estimator says what it takes each column
# for; that the hour goes round is all it has to be told.

flow = SurVAEFlow(periodic={"hour": 24}, max_iter=30, random_state=0)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)  # thirty epochs are meant
    flow.fit(orders)
for name, kind in flow.column_kinds_.items():
    print(f"{name:<10}{kind}")
print(f"\nbefore training {flow.start_score_:.2f}, after {flow.best_score_:.2f} nats per row;")
print(f"new orders {flow.score(new_orders):.2f}; exact: {flow.exact_}")

# %%
# Odd rows, and why
# -----------------
# Every value of the odd orders below occurs in the table, each in many rows. What is wrong is the
# combination: a delivery from the counter, a counter open at night, a weight that belongs to
# another product, or a large discount on a single item.


REASONS = ["counter, delivered", "counter, at night", "weight of another", "discount for one"]


def spoil(rows, seed):
    rng = np.random.default_rng(seed)
    odd, reason = rows.copy(), rng.integers(0, 4, len(rows))
    odd.loc[reason == 0, "channel"] = "counter"
    odd.loc[reason == 0, "distance"] = rng.lognormal(3, 0.7, (reason == 0).sum())
    odd.loc[reason == 1, "channel"], odd.loc[reason == 1, "distance"] = "counter", np.nan
    odd.loc[reason == 1, "hour"] = rng.choice([22, 23, 0, 1], (reason == 1).sum())
    other = rows["product"].map({"shirt": "tent", "tent": "shirt", "boots": "shirt"})
    odd.loc[reason == 2, "product"] = other[reason == 2]
    odd.loc[reason == 3, "items"] = 1
    odd.loc[reason == 3, "discount"] = rng.lognormal(3, 0.2, (reason == 3).sum())
    return odd, reason


odd_orders, reason = spoil(make_orders(1_000, seed=2), seed=3)

columns = ["product", "channel", "size"]
encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
encoder.set_output(transform="pandas").fit(orders[columns])


def codes(rows):
    coded = rows.assign(**encoder.transform(rows[columns]))
    return coded.fillna(-1.0)


forest = IsolationForest(n_estimators=300, random_state=0).fit(codes(orders))
parts = flow.score_columns(orders)
mean, deviation = parts.mean(0), parts.std(0)


def by_cell(rows):
    return (flow.score_columns(rows) - mean) / deviation


detectors = {
    "density of the row": flow.score_samples,
    "oddest cell": lambda rows: by_cell(rows).min(1),
    "isolation forest on codes": lambda rows: forest.score_samples(codes(rows)),
}
print(f"{'AUROC':<26}{'all':>7}" + "".join(f"{name:>20}" for name in REASONS))
for name, score in detectors.items():
    usual, odd = score(new_orders), score(odd_orders)
    line = f"{name:<26}"
    for which in (reason >= 0, *(reason == i for i in range(4))):
        is_odd = np.r_[np.zeros(len(usual)), np.ones(which.sum())]
        auroc = roc_auc_score(is_odd, -np.r_[usual, odd[which]])
        line += f"{auroc:{7 if which.all() else 20}.3f}"
    print(line)

# %%
# A forest cuts one column at a time, and each of these values is usual by itself. But the density
# of the row is not the best detector of such errors either: an order without a distance has one
# density factor less, and so a higher score, than one with. ``score_columns`` splits the score of
# a row over its cells, and what is usual differs by column. Measured against that, the oddest cell
# finds the rows that one error spoils.
#
# It also tells where to look. Each cell is given those before it in the order of the factorisation
# (what is missing, categories, whole and rounded numbers, the others), so of two that do not go
# together the later one gets the blame: a distance being there makes the channel odd.

chosen = [np.flatnonzero(reason == i)[1] for i in range(4)]
figure, axes = plt.subplots(1, 4, figsize=(12, 3.4), sharey=True, layout="constrained")
for axis, i, part, why in zip(axes, chosen, by_cell(odd_orders.iloc[chosen]), REASONS, strict=True):
    row = odd_orders.iloc[i]
    axis.barh(np.arange(len(row)), part, color=np.where(part < -3, "tab:red", "tab:gray"))
    for y, value in enumerate(row):
        text = f"{value:.2f}" if isinstance(value, float) else str(value)
        axis.text(0.97, y, text, transform=axis.get_yaxis_transform(), ha="right", va="center")
    axis.set(title=why, xlabel="deviations from usual", xlim=(min(part.min() * 1.1, -8), 6))
    axis.set(yticks=np.arange(len(row)), yticklabels=list(orders))
axes[0].invert_yaxis()
plt.show()

# %%
# Missing cells
# -------------
# ``impute`` draws them given the other cells of the row. One draw is one possibility: several
# show how much is known. Here the sizes of single pairs of boots, from their weight.

known = new_orders[new_orders["size"].notna() & (new_orders["items"] == 1)]
cases = known[(known["product"] == "boots")].drop_duplicates("weight").sort_values("weight")
cases = cases.iloc[np.linspace(2, len(cases) - 3, 4).astype(int)]
holes = cases.assign(size=pd.Categorical([None] * len(cases), SIZES, ordered=True))
draws = flow.impute(holes, n_draws=200, random_state=0)
figure, axes = plt.subplots(1, 4, figsize=(12, 2.6), sharey=True, layout="constrained")
for j, axis in enumerate(axes):
    drawn = pd.Series([table["size"].iloc[j] for table in draws])
    axis.bar(SIZES, drawn.value_counts(normalize=True).reindex(SIZES, fill_value=0.0))
    axis.set_title(f"boots of {holes['weight'].iloc[j]} kg (true: {cases['size'].iloc[j]})")
axes[0].set_ylabel("share of 200 draws")
plt.show()

# %%
# A distance is missing for two reasons here: it was lost, or there was no delivery. ``impute``
# fills every hole, as if there were something under it; where that makes no sense, leave the
# cell out.

# %%
# Given some columns
# ------------------
# ``conditional_score_samples`` is the log-density of the other columns given some: here the
# probability of the product given all else, by trying each.

rest = [name for name in orders if name != "product"]
some = new_orders.iloc[:5]
table = some[["items", "size", "weight", "product"]].copy()
for name in ("shirt", "boots", "tent"):
    tried = flow.conditional_score_samples(some.assign(product=name), given=rest)
    table[f"P({name})"] = np.exp(tried).round(3)
print(table.to_string(index=False))

# %%
# Sampled orders have the columns, dtypes and holes of the table. A few mix what does not go
# together, such as boots with the weight of a shirt.

drawn = flow.sample(3_000, random_state=0)
print(drawn.head())
print(drawn.dtypes.equals(orders.dtypes))
shown = {"orders": orders, "sampled": drawn}
figure, axes = plt.subplots(1, 2, figsize=(11, 3.8), sharex=True, sharey=True, layout="constrained")
for axis, (title, rows) in zip(axes, shown.items(), strict=True):
    for product in ("shirt", "boots", "tent"):
        own = rows[rows["product"] == product]
        jitter = np.random.default_rng(0).uniform(-0.2, 0.2, len(own))
        axis.scatter(own["items"] + jitter, own["weight"], s=5, label=product)
    axis.set(title=title, xlabel="items", ylabel="weight, kg", yscale="log", ylim=(0.08, 30))
axes[0].legend()
plt.show()
