"""A row of weight w is that row w times, for everything that takes its first numbers from data."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from skflow.distributions.latent_class import LatentClass
from skflow.starts.table import with_edges
from skflow.transforms import (
    VAE,
    Abs,
    ActNorm,
    BinaryArgmax,
    Dequantize,
    Funnel,
    GenerativeAbs,
    GenerativeMax,
    GenerativeReLU,
    GenerativeSort,
    GumbelArgmax,
    Max,
    MaxPool,
    OnFirst,
    Partition,
    ReLU,
    Rounding,
    SoftplusArgmax,
    Sort,
    StandardizedDecoder,
    Whiten,
)
from skflow.transforms.noise import shared_noise
from skflow.transforms.shared_standardize import SharedStandardize
from skflow.transforms.tables.column_edges import circle_edges, lattice_edges
from skflow.transforms.tables.encoding import TableEncoding
from skflow.transforms.tables.exchangeable_columns import ExchangeableColumns
from tests.contract.distributions import DECODERS
from tests.contract.mixed_columns import COLUMNS, chain, plan_of
from tests.contract.randomness import generator
from tests.contract.transforms import BIJECTIONS, TRANSFORMS, example_rows

D, C = 4, 2
LEVELS = torch.ones(D, dtype=torch.float64)
CLOSE = {"atol": 1e-9, "rtol": 1e-9}


def linear(d, c):
    return DECODERS["linear"](d, c)


# Beside those of the one table: from the number of features and the width of the context.
FURTHER = {
    "whiten_ledoit_wolf": lambda d, c: Whiten(d),
    "actnorm_positions": lambda d, c: ActNorm(d, 2),
    "shared_standardize": lambda d, c: SharedStandardize(2, d // 2),
    "on_first_whitened": lambda d, c: OnFirst(2, Whiten(2)),
    "abs": lambda d, c: Abs(d, n_context=c),
    "abs_limited": lambda d, c: Abs(d, [0, 2], limit=9.0, n_context=c),
    "generative_abs": lambda d, c: GenerativeAbs(d, n_context=c),
    "relu": lambda d, c: ReLU(d, [0, 2], n_context=c),
    "generative_relu": lambda d, c: GenerativeReLU(d, [1], n_context=c),
    "max": lambda d, c: Max(d, [0, 1, 3], n_context=c),
    "generative_max": lambda d, c: GenerativeMax(d, 3, n_context=c),
    "max_pool": lambda d, c: MaxPool(2, d // 2),
    "partition": lambda d, c: Partition(d, [-0.3, 0.8], n_context=c),
    "sort": lambda d, c: Sort(d // 2, 2),
    "generative_sort": lambda d, c: GenerativeSort(d // 2, 2),
    "exchangeable": lambda d, c: ExchangeableColumns([[0, 2, 3]]),
    "dequantize": lambda d, c: Dequantize(0.5 * LEVELS, 0.1 * LEVELS),
    "dequantize_positions": lambda d, c: Dequantize(0.5 * LEVELS, 0.1 * LEVELS, n_positions=2),
    "rounding": lambda d, c: Rounding(
        0.5 * LEVELS, 0.1 * LEVELS, decoder=linear(d, d + c), n_context=c
    ),
    "funnel": lambda d, c: Funnel(d, 2, linear(d - 2, 2 + c), n_context=c),
    "funnel_standardized": lambda d, c: Funnel(
        d, 2, StandardizedDecoder(DECODERS["diagonal"](d - 2, 2 + c)), ActNorm(2)
    ),
    "vae": lambda d, c: VAE(d, 2, StandardizedDecoder(DECODERS["diagonal"](d, 2 + c)), n_context=c),
    "argmax_softplus": lambda d, c: SoftplusArgmax([3] * d, n_context=c),
    "argmax_gumbel": lambda d, c: GumbelArgmax([3] * d, n_context=c),
    "argmax_binary": lambda d, c: BinaryArgmax([3] * d, n_context=c),
}
WITH_CONTEXT = {
    "abs", "abs_limited", "generative_abs", "relu", "generative_relu", "max",
    "generative_max", "partition", "rounding", "funnel", "vae", "argmax_gumbel",
}  # fmt: skip


def weighted_and_repeated(n, size=None, seed=5):
    """Whole numbers, larger for rows of a large ``size``; the row that each repetition is of."""
    weight = torch.randint(1, 5, (n,), generator=generator(seed))
    if size is not None:
        weight += 4 * (size > size.median())
    return weight.double(), torch.arange(n).repeat_interleave(weight)


def numbers_of(module):
    return {**module.state_dict(), **dict(module.named_buffers())}


def assert_same_numbers(one, other):
    one, other = numbers_of(one), numbers_of(other)
    assert set(one) == set(other)
    for name, value in one.items():
        assert_close(value, other[name], **CLOSE, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("name", [*BIJECTIONS, *FURTHER])
def test_a_layer_starts_as_from_repeated_rows(name):
    make = FURTHER[name] if name in FURTHER else TRANSFORMS[name].make
    takes_context = name in WITH_CONTEXT if name in FURTHER else TRANSFORMS[name].contextual
    width = C if takes_context else 0
    n = 61
    x = example_rows("standardize" if name in FURTHER else name, n, D, seed=3)
    if name.startswith("argmax"):
        x = x.round().clamp(-1, 1) + 1
    context = torch.randn(n, C, generator=generator(1)).double() if width else None
    weight, again = weighted_and_repeated(n, x.sum(1))
    weighted, repeated = (make(D, width).double() for _ in range(2))
    repeated.load_state_dict(weighted.state_dict())
    # Drawn latents are the same for all rows here: which repetition gets which may not matter.
    draws = [{"noise": shared_noise(generator(4))} if name == "vae" else {} for _ in range(2)]
    weighted.initialize(x, weight, context, **draws[0])
    repeated.initialize(x[again], None, None if context is None else context[again], **draws[1])
    assert_same_numbers(weighted, repeated)


@pytest.mark.parametrize("name", sorted(COLUMNS))
@pytest.mark.parametrize("missing", [False, True])
def test_a_column_starts_as_from_repeated_values(name, missing):
    a, r = chain(3)
    x = torch.tensor(COLUMNS[name][1](a[:, 0], r))[:, None]
    if missing:
        x[::3] = torch.nan
    weight, again = weighted_and_repeated(len(x))
    plan = plan_of(name, missing)
    if name == "heaped":
        edges = lattice_edges(x[~x.isnan()], plan)
        plan = dataclasses.replace(plan, edges=tuple(edges.tolist()))
    elif plan.period or (plan.kind == "lattice" and not plan.n_knots and not plan.fine):
        (plan,), (other,) = with_edges([plan], x, weight), with_edges([plan], x[again])
        assert plan.edges == pytest.approx(other.edges, rel=1e-12)
    weighted, repeated = TableEncoding([plan]).double(), TableEncoding([plan]).double()
    weighted.initialize(x, weight)
    repeated.initialize(x[again])
    assert_same_numbers(weighted, repeated)


@pytest.mark.parametrize("n_levels", [40, 3_000])
def test_edges_are_those_of_repeated_values(n_levels):
    a, _ = chain(0, 2_000)
    x = torch.tensor(np.rint(n_levels / 8 * a[:, 0]))
    weight, again = weighted_and_repeated(len(x))
    plan = plan_of("integers")
    one, other = lattice_edges(x, plan, weight), lattice_edges(x[again], plan)
    assert torch.equal(one, other)
    plan = plan_of("angle")
    one, other = circle_edges(0.01 * x, plan, weight), circle_edges(0.01 * x[again], plan)
    assert_close(one, other, **CLOSE)


def test_a_latent_class_model_is_fitted_as_to_repeated_rows():
    a, r = chain(2, 80)
    scores = torch.tensor(a)
    scores[::5, 1] = torch.nan
    codes = torch.tensor(np.column_stack([r.randint(3, size=80), r.randint(2, size=80)])).double()
    codes[::7, 0] = torch.nan
    weight, again = weighted_and_repeated(80)
    first = torch.rand(80, 3, generator=generator(), dtype=torch.float64)
    first = first / first.sum(1, keepdim=True)
    weighted, repeated = LatentClass(3, [3, 2], 3), LatentClass(3, [3, 2], 3)
    weighted.fit(codes, scores, weight, first, 15)
    repeated.fit(codes[again], scores[again], torch.ones(len(again)).double(), first[again], 15)
    assert_same_numbers(weighted, repeated)
