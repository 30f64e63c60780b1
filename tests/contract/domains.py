"""Where the rows of a distribution live: what to sum a density over, and samples to count there.

A domain reads rows as points of a plane or a list of values and embeds those as rows.
"""

from itertools import permutations, product

import torch

from tests.contract.integration import (
    cell_probabilities,
    central_edges,
    chi_square_per_cell,
    grid,
    histogram,
)


def rows_of(values):
    return torch.tensor(list(values), dtype=torch.float64)


class Plane:
    """All of R^d, of which next to no mass is farther out than ``reach``.

    ``points`` on every axis are for two columns; for one there are many more, on a longer axis.
    """

    def __init__(self, reach=15.0, points=400, reach_of_one=60.0):
        self.reach, self.points, self.reach_of_one = reach, points, reach_of_one

    def width(self, d):
        return d

    def embed(self, points):
        return points

    def read(self, x):
        return x

    def extreme(self, d):
        return torch.full((1, d), 1e6, dtype=torch.float64)

    def mass(self, density, d):
        width = self.width(d)
        reach = self.reach_of_one if width == 1 else self.reach
        points, volume = grid(
            [-reach] * width, [reach] * width, 200_000 if width == 1 else self.points
        )
        parts = points.split(100_000)
        return sum(density(self.embed(part)).exp().sum() for part in parts) * volume

    def misfit(self, samples, density, d):
        """Chi-square per degree of freedom of samples (n, d) in cells of this domain."""
        points = self.read(samples)
        edges = central_edges(points)
        fine = 4_000 if self.width(d) == 1 else 60
        expected = cell_probabilities(lambda p: density(self.embed(p)), edges, fine)
        return chi_square_per_cell(histogram(points, edges), expected, len(samples))


class Fan(Plane):
    """Offsets below a maximum: one of them is zero, the others are positive. Two are a line."""

    def width(self, d):
        assert d == 2
        return 1

    def embed(self, points):
        return torch.cat([(-points).clamp_min(0), points.clamp_min(0)], 1)

    def read(self, x):
        assert (x.amin(1) == 0).all()
        return x[:, 1:] - x[:, :1]

    def extreme(self, d):
        return rows_of([[0.0] + [1e6] * (d - 1)])


class Values:
    """Finitely many rows."""

    def __init__(self, values):
        self._values = values

    def values(self, d):
        return rows_of(self._values(d))

    def extreme(self, d):
        return self.values(d)[-1:]

    def mass(self, density, d):
        return density(self.values(d)).exp().sum()

    def misfit(self, samples, density, d):
        values = self.values(d)
        counts = (samples[:, None] == values).all(2).sum(0).numpy()
        assert counts.sum() == len(samples)
        return chi_square_per_cell(counts, density(values).exp().numpy(), len(samples))


def signs(d):
    return product([-1.0, 1.0], repeat=d)


def orders(d):
    return permutations(range(d))
