"""Bars of numbers per column, the largest on top."""

import numpy as np


def new_axes():
    """Axes of a new figure.

    Raises
    ------
    ImportError
        Without matplotlib.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            'displays need matplotlib: pip install "scikit-flow[plot]", or matplotlib alone.'
        ) from error
    return plt.subplots(layout="constrained")[1]


def draw_bars(ax, values: np.ndarray, names: np.ndarray, n_features: int, **kwargs):
    """At most ``n_features`` bars, the columns beyond summed in the last one; the bars drawn."""
    if n_features < 1:
        raise ValueError(f"n_features={n_features}; there must be one bar at least.")
    order = np.argsort(-np.abs(values), kind="stable")
    lengths, labels = list(values[order]), [str(names[i]) for i in order]
    if len(lengths) > n_features:
        kept = n_features - 1
        labels[kept:] = [f"{len(lengths) - kept} other columns"]
        lengths[kept:] = [sum(lengths[kept:])]
    places = np.arange(len(lengths))
    colours = np.where(np.array(lengths) < 0, "tab:red", "tab:blue")
    bars = ax.barh(places, lengths, **{"color": colours, **kwargs})
    ax.set_yticks(places, labels)
    ax.invert_yaxis()
    ax.axvline(0, color="black", linewidth=0.8)
    return bars
