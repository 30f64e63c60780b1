"""Integrals of densities on grids, and samples held against them."""

import numpy as np
import torch


def grid(lows, highs, points):
    """Midpoints of a regular grid: rows (points**d, d) and the volume of a cell."""
    axes, volume = [], 1.0
    for low, high in zip(lows, highs, strict=True):
        width = (high - low) / points
        axes.append(low + width * (torch.arange(points, dtype=torch.float64) + 0.5))
        volume *= width
    return torch.cartesian_prod(*axes).reshape(-1, len(axes)), volume


def central_edges(samples, cells=8):
    """Edges (cells + 1,) of equal cells over the central 98 % of every column."""
    low, high = torch.quantile(samples, torch.tensor([0.01, 0.99], dtype=samples.dtype), dim=0)
    steps = torch.linspace(0, 1, cells + 1, dtype=samples.dtype)
    return [a + (b - a) * steps for a, b in zip(low, high, strict=True)]


def cell_probabilities(log_prob, edges, refine):
    """Probability of every cell of the product grid of equal ``edges`` (m + 1,), by midpoints."""
    d = len(edges)
    m = len(edges[0]) - 1
    rows, volume = grid([e[0] for e in edges], [e[-1] for e in edges], m * refine)
    with torch.no_grad():
        mass = log_prob(rows).exp().reshape([m * refine] * d) * volume
    for axis in range(d):
        mass = mass.unflatten(axis, (m, refine)).sum(axis + 1)
    return mass.numpy()


def chi_square_per_cell(counts, probabilities, n):
    """Pearson's statistic over the cells that expect at least five, per degree of freedom."""
    expected = n * probabilities
    used = expected > 5
    statistic = ((counts[used] - expected[used]) ** 2 / expected[used]).sum()
    return statistic / max(used.sum(), 1)


def histogram(samples, edges):
    """Counts of ``samples`` (n, d) in the cells of ``edges``."""
    return np.histogramdd(samples.numpy(), bins=[e.numpy() for e in edges])[0]
