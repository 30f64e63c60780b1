"""The laws of a distribution, over every line of the table."""

import inspect
import pkgutil
from importlib import import_module

import numpy as np
import pytest
import torch
from scipy import stats

import skflow
from skflow.distributions import Decoder, Distribution, GaussianMixture, StudentT
from tests.contract.distributions import DISTRIBUTIONS
from tests.contract.integration import grid
from tests.contract.randomness import generator

NAMES = sorted(DISTRIBUTIONS)
BY_COLUMNS = [(name, d) for name in NAMES for d in DISTRIBUTIONS[name].columns]
WITH_CONTEXT = [name for name in NAMES if DISTRIBUTIONS[name].kind != "base"]
STARTED_BY_DATA = {"conditional_linear", "offsets", "standardized"}
every_name = pytest.mark.parametrize("name", NAMES)
every_width = pytest.mark.parametrize(("name", "d"), BY_COLUMNS)


def subclasses(cls):
    return {cls}.union(*(subclasses(c) for c in cls.__subclasses__()))


def density(distribution, row, d):
    """Log-density with the one context spread over all rows."""
    return lambda x: distribution.log_prob(x, row.context(d, len(x)))


def test_every_final_distribution_has_a_row():
    for module in pkgutil.walk_packages(skflow.__path__, "skflow."):
        import_module(module.name)
    ours = [c for c in subclasses(Distribution) if c.__module__.startswith("skflow.")]
    final = {c for c in ours if not inspect.isabstract(c)}
    assert all(not c.__subclasses__() for c in final)
    assert final == {type(row.made(row.most)) for row in DISTRIBUTIONS.values()}


@every_name
def test_the_kind_is_what_the_table_says(name):
    row = DISTRIBUTIONS[name]
    made = row.made(row.most)
    assert isinstance(made, Decoder) == (row.kind != "base")
    assert made.n_features == row.most


@every_name
def test_weights_lie_in_memory_as_a_loaded_models_do(name):
    row = DISTRIBUTIONS[name]
    assert all(parameter.is_contiguous() for parameter in row.made(row.most).parameters())


@every_width
def test_density_integrates_to_one(name, d):
    row = DISTRIBUTIONS[name]
    with torch.no_grad():
        total = row.domain.mass(density(row.made(d), row, d), d)
    assert abs(total - 1) < 1e-3


@every_width
def test_samples_follow_the_density(name, d):
    row = DISTRIBUTIONS[name]
    made, n = row.made(d), 20_000
    with torch.no_grad():
        samples = made.sample(n, row.context(d, n), generator(1))
        assert row.domain.misfit(samples, density(made, row, d), d) < 2.5


@every_name
def test_float64_determinism_and_terms_that_add_up(name):
    row = DISTRIBUTIONS[name]
    made, context = row.made(row.most), row.context(row.most, 4)
    first = made.sample(4, context, generator(5))
    again = made.sample(4, context, generator(5))
    assert first.dtype == torch.float64
    assert first.shape == (4, row.most)
    assert torch.equal(first, again)
    log_prob = made.log_prob(first, context)
    assert log_prob.dtype == torch.float64
    terms = made.log_prob_per_dimension(first, context)
    assert terms.shape == first.shape
    torch.testing.assert_close(terms.sum(1), log_prob, rtol=0, atol=1e-12)
    alone = made.log_prob(first[:1], row.context(row.most))
    torch.testing.assert_close(alone, log_prob[:1], rtol=0, atol=1e-12)


@every_name
@pytest.mark.parametrize("far", ["rows", "contexts"])
def test_extremes_stay_finite(name, far):
    row = DISTRIBUTIONS[name]
    made, context = row.made(row.most), row.context(row.most, 4)
    if far == "rows":
        x = row.domain.extreme(row.most).repeat(4, 1)
    else:
        x = made.sample(4, context, generator()).detach()
        # Scales among the parameters that a context gives are logarithms.
        context = None if context is None else (1e2 if row.kind == "given" else 1e6) * context
    learned = [v.requires_grad_() for v in (x, context) if v is not None and v.is_leaf]
    log_prob = made.log_prob(x, context)
    assert log_prob.shape == (4,)
    assert log_prob.isfinite().all()
    if log_prob.requires_grad:
        gradients = torch.autograd.grad(
            log_prob.sum(), [*learned, *made.parameters()], allow_unused=True
        )
        assert all(g is None or g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("name", WITH_CONTEXT)
def test_the_context_is_each_rows_own(name):
    row = DISTRIBUTIONS[name]
    made, n, c = row.made(row.most), 6, row.width(row.most)
    context = torch.randn(n, c, generator=generator(2), dtype=torch.float64)
    x = made.sample(n, row.context(row.most, n), generator(1))
    together = made.log_prob(x, context)
    alone = [made.log_prob(x[i : i + 1], context[i : i + 1]) for i in range(n)]
    torch.testing.assert_close(together, torch.cat(alone))
    other = made.log_prob(x, context.flip(0))
    assert torch.equal(other, together) == (row.kind == "blind")


@pytest.mark.parametrize("name", [n for n in NAMES if DISTRIBUTIONS[n].kind == "decoder"])
@pytest.mark.parametrize("n_context", [1, 3])
def test_a_context_of_any_width_and_of_no_other(name, n_context):
    row = DISTRIBUTIONS[name]
    made, x = row.make(3, n_context).double(), torch.zeros(4, 3, dtype=torch.float64)
    right, wrong = torch.ones(4, n_context + 1, dtype=torch.float64).split([n_context, 1], 1)
    assert made.log_prob(x, right).shape == (4,)
    assert made.mean(right).shape == made.sample(4, right).shape == (4, 3)
    with pytest.raises((RuntimeError, ValueError)):
        made.log_prob(x, torch.cat([right, wrong], 1))


@pytest.mark.parametrize("name", WITH_CONTEXT)
def test_the_mean_is_the_mean_of_the_samples_or_what_the_table_says(name):
    row = DISTRIBUTIONS[name]
    d, n = row.most, 100_000
    made = row.made(d)
    with torch.no_grad():
        mean = made.mean(row.context(d))
        assert mean.shape == (1, d)
        assert mean.dtype == torch.float64
        best = made.log_prob(mean, row.context(d))
        samples = made.sample(n, row.context(d, n), generator())
        if row.centre == "mean":
            error = samples.std(0) / n**0.5
            assert ((samples.mean(0) - mean[0]).abs() < 5 * error).all()
        elif row.centre == "mode":
            assert best == density(made, row, d)(row.domain.values(d)).max()
        else:
            typical = made.log_prob(samples, row.context(d, n)).quantile(0.05)
            assert best > typical


@pytest.mark.parametrize("name", WITH_CONTEXT)
def test_a_row_of_weight_w_starts_a_decoder_as_w_rows(name):
    row = DISTRIBUTIONS[name]
    d, n, c = row.most, 60, row.width(row.most)
    # Of mean one: what counts rows counts as many of them.
    weight = torch.tensor([0, 1, 2, 1, 3, 0, 1, 0, 1, 1]).repeat(n // 10)
    context = torch.randn(n, c, generator=generator(2), dtype=torch.float64)
    x = 2 * row.made(d).sample(n, context, generator(1)).detach()
    if row.kind == "decoder":
        x = x + context[:, :1].square()
    started = [row.make(d, c).double() for _ in range(2)]
    started[0].initialize(x, context, weight.double())
    again = torch.arange(n).repeat_interleave(weight)
    started[1].initialize(x[again], context[again])
    weighted, repeated = (made.state_dict() for made in started)
    for key, value in weighted.items():
        torch.testing.assert_close(value, repeated[key], rtol=0, atol=1e-9)
    unweighted = row.make(d, c).double()
    unweighted.initialize(x, context)
    by_data = any(not torch.equal(v, weighted[k]) for k, v in unweighted.state_dict().items())
    assert by_data == (name in STARTED_BY_DATA)


def test_student_t_is_scipys():
    distribution = StudentT(2, degrees=3.5).double()
    x = np.random.default_rng(0).normal(size=(20, 2)) * 10
    expected = stats.t(3.5).logpdf(x).sum(1)
    np.testing.assert_allclose(distribution.log_prob(torch.tensor(x)).detach(), expected, atol=1e-6)


def test_mixture_takes_over_scikit_learns():
    from sklearn.mixture import GaussianMixture as SklearnMixture

    rng = np.random.default_rng(0)
    X = np.concatenate(
        [rng.normal(size=(100, 3)), 4 + rng.normal(size=(80, 3)) @ rng.normal(size=(3, 3))]
    )
    fitted = SklearnMixture(3, random_state=0).fit(X)
    mixture = GaussianMixture(3, 3).double()
    mixture.copy_fitted(fitted)
    np.testing.assert_allclose(
        mixture.log_prob(torch.tensor(X)).detach(), fitted.score_samples(X), atol=1e-9
    )


def test_mixture_stays_normalised_whatever_training_does_to_its_factors():
    mixture = GaussianMixture(2, 2).double()
    with torch.no_grad():
        mixture.upper.fill_(3.0)  # the lower triangle too: it must not count
    rows, volume = grid([-12, -12], [12, 12], 1_500)
    assert abs(mixture.log_prob(rows).exp().sum() * volume - 1) < 1e-3
