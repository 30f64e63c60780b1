"""One stack of couplings in three libraries: layers, widths and bins alike.

Each is a module on standardised rows with ``log_prob(x)`` and ``sample(n)``; half of the columns
move in a layer, given the other half through a perceptron.
"""

from collections.abc import Sequence

import nflows.distributions
import nflows.flows
import nflows.nn.nets
import nflows.transforms
import normflows
import torch
import zuko
from normflows.flows.neural_spline.coupling import PiecewiseRationalQuadraticCoupling
from torch import nn

BOUND = 5.0


def stack_of(
    peer: str, d: int, kind: str, *, n_layers: int, hidden: Sequence[int], n_bins: int
) -> nn.Module:
    masks = [torch.arange(d) % 2 == i % 2 for i in range(n_layers)]  # which columns stay
    return {"zuko": OfZuko, "nflows": of_nflows, "normflows": OfNormflows}[peer](
        masks, kind, list(hidden), n_bins
    )


class OfZuko(nn.Module):
    def __init__(self, masks, kind, hidden, n_bins):
        super().__init__()
        spline = {
            "univariate": zuko.transforms.MonotonicRQSTransform,
            "shapes": [(n_bins,), (n_bins,), (n_bins - 1,)],
        }
        d = len(masks[0])
        layers = [
            zuko.flows.GeneralCouplingTransform(
                d, mask=mask, hidden_features=hidden, **(spline if kind == "spline" else {})
            )
            for mask in masks
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
    """Of nflows, called as its couplings and those of normflows call a network."""

    def forward(self, inputs, context=None):
        return super().forward(inputs)


def perceptron(hidden):
    return lambda n_in, n_out: Perceptron((n_in,), (n_out,), hidden, activation=torch.relu)


def of_nflows(masks, kind, hidden, n_bins) -> nn.Module:
    layers = [
        nflows.transforms.PiecewiseRationalQuadraticCouplingTransform(
            signs, perceptron(hidden), num_bins=n_bins, tails="linear", tail_bound=BOUND
        )
        if kind == "spline"
        else nflows.transforms.AffineCouplingTransform(signs, perceptron(hidden))
        for signs in (2 * mask.int() - 1 for mask in masks)
    ]
    base = nflows.distributions.StandardNormal([len(masks[0])])
    return nflows.flows.Flow(nflows.transforms.CompositeTransform(layers), base)


class SplineOfNormflows(normflows.flows.Flow):
    def __init__(self, mask, hidden, n_bins):
        super().__init__()
        self.coupling = PiecewiseRationalQuadraticCoupling(
            2 * mask.int() - 1,
            perceptron(hidden),
            num_bins=n_bins,
            tails="linear",
            tail_bound=BOUND,
        )

    def forward(self, z):
        z, log_det = self.coupling.inverse(z)
        return z, log_det.view(-1)

    def inverse(self, z):
        z, log_det = self.coupling(z)
        return z, log_det.view(-1)


class OfNormflows(nn.Module):
    def __init__(self, masks, kind, hidden, n_bins):
        super().__init__()
        d, layers = len(masks[0]), []
        for mask in masks:
            if kind == "spline":
                layers.append(SplineOfNormflows(mask, hidden, n_bins))
            else:
                sizes = [d - d // 2, *hidden, 2 * (d // 2)]
                layers += [
                    normflows.flows.AffineCouplingBlock(normflows.nets.MLP(sizes, init_zeros=True)),
                    normflows.flows.Permute(d, mode="swap"),
                ]
        base = normflows.distributions.base.DiagGaussian(d, trainable=False)
        self.flow = normflows.NormalizingFlow(base, layers)

    def log_prob(self, x):
        return self.flow.log_prob(x)

    def sample(self, n):
        return self.flow.sample(n)[0]
