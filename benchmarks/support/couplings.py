"""One stack of couplings in skflow and in three other libraries: layers, widths and bins alike.

Each is a module on standardised rows with ``log_prob(x)`` and ``sample(n)``; half of the columns
move in a layer, given the other half through a perceptron of two hidden layers.
"""

from itertools import pairwise

import nflows.distributions
import nflows.flows
import nflows.nn.nets
import nflows.transforms
import normflows
import torch
import zuko
from normflows.flows.neural_spline.coupling import PiecewiseRationalQuadraticCoupling
from torch import nn

from benchmarks.support.internals import coupling_flow

LAYERS, HIDDEN, BINS, BOUND = 4, (128, 128), 8, 5.0


def of_skflow(d: int, kind: str) -> nn.Module:
    return coupling_flow(d, kind, n_layers=LAYERS, hidden_layer_sizes=HIDDEN, n_bins=BINS)


class OfZuko(nn.Module):
    def __init__(self, d: int, kind: str):
        super().__init__()
        spline = {
            "univariate": zuko.transforms.MonotonicRQSTransform,
            "shapes": [(BINS,), (BINS,), (BINS - 1,)],
        }
        layers = [
            zuko.flows.GeneralCouplingTransform(
                d, mask=mask, hidden_features=HIDDEN, **(spline if kind == "spline" else {})
            )
            for mask in masks(d)
        ]
        normal = zuko.distributions.DiagNormal
        base = zuko.flows.UnconditionalDistribution(
            normal, torch.zeros(d), torch.ones(d), buffer=True
        )
        self.flow = zuko.flows.Flow(layers, base)

    def log_prob(self, x):
        return self.flow().log_prob(x)

    def sample(self, n):
        return self.flow().sample((n,))


class Perceptron(nflows.nn.nets.MLP):
    """Of nflows, called as its couplings call a network."""

    def forward(self, inputs, context=None):
        return super().forward(inputs)


def perceptron(n_in: int, n_out: int) -> nn.Module:
    return Perceptron((n_in,), (n_out,), list(HIDDEN), activation=torch.relu)


def of_nflows(d: int, kind: str) -> nn.Module:
    layers = [
        nflows.transforms.PiecewiseRationalQuadraticCouplingTransform(
            signs, perceptron, num_bins=BINS, tails="linear", tail_bound=BOUND
        )
        if kind == "spline"
        else nflows.transforms.AffineCouplingTransform(signs, perceptron)
        for signs in (2 * mask.int() - 1 for mask in masks(d))
    ]
    base = nflows.distributions.StandardNormal([d])
    return nflows.flows.Flow(nflows.transforms.CompositeTransform(layers), base)


class SplineOfNormflows(normflows.flows.Flow):
    def __init__(self, mask: torch.Tensor):
        super().__init__()
        self.coupling = PiecewiseRationalQuadraticCoupling(
            2 * mask.int() - 1, perceptron, num_bins=BINS, tails="linear", tail_bound=BOUND
        )

    def forward(self, z):
        z, log_det = self.coupling.inverse(z)
        return z, log_det.view(-1)

    def inverse(self, z):
        z, log_det = self.coupling(z)
        return z, log_det.view(-1)


class OfNormflows(nn.Module):
    def __init__(self, d: int, kind: str):
        super().__init__()
        layers: list[nn.Module] = []
        for mask in masks(d):
            if kind == "spline":
                layers.append(SplineOfNormflows(mask))
            else:
                n_seen = d - d // 2
                network = normflows.nets.MLP([n_seen, *HIDDEN, 2 * (d // 2)], init_zeros=True)
                layers += [
                    normflows.flows.AffineCouplingBlock(network),
                    normflows.flows.Permute(d, mode="swap"),
                ]
        base = normflows.distributions.base.DiagGaussian(d, trainable=False)
        self.flow = normflows.NormalizingFlow(base, layers)

    def log_prob(self, x):
        return self.flow.log_prob(x)

    def sample(self, n):
        return self.flow.sample(n)[0]


PEERS = {"zuko": OfZuko, "nflows": of_nflows, "normflows": OfNormflows}


def masks(d: int) -> list[torch.Tensor]:
    """Which columns stay: every second one, in turn."""
    return [torch.arange(d) % 2 == i % 2 for i in range(LAYERS)]


def products(d: int, kind: str, n: int):
    """The matrix products of a training step alone: all layers forward, and back to both sides."""
    n_parameters = 3 * BINS - 1 if kind == "spline" else 2
    sizes = [d // 2, *HIDDEN, n_parameters * (d - d // 2)]
    shapes = list(pairwise(sizes))
    weights = [[torch.randn(b, a) for a, b in shapes] for _ in range(LAYERS)]
    values = [[torch.randn(a, n) for a in sizes] for _ in range(LAYERS)]

    def run():
        for own, layer in zip(weights, values, strict=True):
            for weight, below in zip(own, layer, strict=False):
                torch.mm(weight, below)
        for own, layer in zip(weights, values, strict=True):
            for weight, below, above in zip(own, layer, layer[1:], strict=False):
                torch.mm(weight.T, above)
                torch.mm(above, below.T)

    return run
