"""Expectation maximisation, compiled, against the readable one."""

import math

import pytest
import torch

from skflow.kernels import native
from skflow.kernels.mixture import mixture_log_prob
from skflow.kernels.mixture_climb import Climb, numbers_of
from skflow.kernels.mixture_climb import mixture_climb as readable
from skflow.kernels.native_mixture import mixture_climb, takes_climb
from skflow.kernels.registry import mixture_climb as chosen

pytestmark = pytest.mark.skipif(
    native.compiled is None, reason="skflow was built without a compiler"
)


def problem(n=300, d=4, k=3, weighted=False, dtype=torch.float64):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(n, d, generator=g, dtype=torch.float64)
    x[:, 0] += 3 * (torch.arange(n) % k)
    weight = torch.rand(2 * n, generator=g, dtype=torch.float64)[::2] if weighted else None
    means = x[torch.randperm(n, generator=g)[:k]]
    root = 0.3 * torch.randn(k, d, d, generator=g, dtype=torch.float64)
    covariances = root @ root.mT + torch.eye(d)
    numbers = numbers_of(torch.arange(1.0, k + 1).double(), means, covariances, 1e-3)
    return x.to(dtype), None if weight is None else weight.to(dtype), numbers


def assert_alike(found, expected, tolerance):
    (numbers, mean, ended), (expected_numbers, expected_mean, expected_end) = found, expected
    assert ended == expected_end
    assert mean == pytest.approx(expected_mean, rel=tolerance)
    for a, b in zip(numbers, expected_numbers, strict=True):
        torch.testing.assert_close(a, b, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "d", "k"), [(300, 4, 3), (129, 1, 1), (500, 9, 5), (40, 7, 2)])
@pytest.mark.parametrize("max_iter", [1, 7])
def test_it_agrees_wherever_its_inputs_lie(weighted, n, d, k, max_iter):
    x, weight, numbers = problem(n, d, k, weighted)
    x = x.T.contiguous().T
    assert takes_climb(x, weight)
    slow, fast = (
        f(x, weight, numbers, Climb(1e-3, 0.0, max_iter), -math.inf)
        for f in (readable, mixture_climb)
    )
    assert_alike(fast, slow, 1e-9)


def test_in_single_precision():
    x, weight, numbers = problem(weighted=True, dtype=torch.float32)
    slow, fast = (
        f(x, weight, numbers, Climb(1e-3, 0.0, 3), -math.inf) for f in (readable, mixture_climb)
    )
    assert_alike(fast, slow, 1e-4)


@pytest.mark.parametrize("climb", [readable, mixture_climb])
def test_it_ends_where_little_is_gained_and_goes_on_where_it_was(climb):
    x, weight, numbers = problem(weighted=True)
    at_once = climb(x, weight, numbers, Climb(1e-3, 1e-4, 500), -math.inf)
    assert at_once[2]
    found, mean, ended = numbers, -math.inf, False
    while not ended:
        found, mean, ended = climb(x, weight, found, Climb(1e-3, 1e-4, 2), mean)
    assert_alike((found, mean, ended), at_once, 1e-12)
    log_weights, means, _, log_diagonal, upper = found
    log_prob = mixture_log_prob(x, log_weights, means, log_diagonal, upper)
    assert mean == pytest.approx(float(weight @ log_prob / weight.sum()), abs=1e-4)


@pytest.mark.parametrize("climb", [readable, mixture_climb])
def test_what_is_not_definite_is_none_and_inputs_stay(climb):
    x, weight, numbers = problem()
    kept = [one.clone() for one in numbers]
    flat = x.clone()
    flat[:, 1] = 0.5
    assert climb(flat, weight, numbers, Climb(0.0, 0.0, 5), -math.inf)[0] is None
    assert climb(x * torch.nan, weight, numbers, Climb(1e-3, 0.0, 5), -math.inf)[0] is None
    assert all(map(torch.equal, numbers, kept))


def test_compiled_code_is_what_works():
    x, weight, numbers = problem()
    assert chosen.chosen(x, weight, numbers, Climb(1e-3, 0.0, 5), -math.inf) is mixture_climb
    assert not takes_climb(x[:0], weight)
