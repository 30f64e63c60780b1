"""The latent class model: marginals, conditionals in any order, and its fit."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from skflow.distributions import latent_class
from skflow.distributions.latent_class import LatentClass
from tests.contract.table import generator

LIKE = {"dtype": torch.float64}
SHAPES = [(1, [], 3), (3, [2, 4], 0), (1, [3], 1), (3, [2, 4, 3], 4), (2, [2], 2)]


@torch.no_grad()
def make(n_classes, n_levels, n_scores, seed=0):
    model = LatentClass(n_classes, n_levels, n_scores)
    g = generator(seed)
    model.log_weight.copy_(torch.randn(n_classes, generator=g, **LIKE).log_softmax(0))
    if n_levels:
        raw = torch.randn(n_classes, sum(n_levels), generator=g, **LIKE)
        model.log_levels.copy_(torch.cat([p.log_softmax(1) for p in raw.split(n_levels, 1)], 1))
    model.means.copy_(torch.randn(n_classes, n_scores, generator=g, **LIKE))
    mix = torch.randn(n_classes, n_scores, n_scores, generator=g, **LIKE)
    model.covariances.copy_(mix @ mix.mT + 0.3 * torch.eye(n_scores, **LIKE))
    return model


def rows(n, n_levels, n_scores, absent=0.3, seed=5):
    g = generator(seed)
    codes = [torch.randint(k, (n, 1), generator=g) for k in n_levels]
    codes = torch.cat([*codes, torch.zeros(n, 0)], 1).double()
    scores = 1.5 * torch.randn(n, n_scores, generator=g, **LIKE)
    codes[torch.rand(codes.shape, generator=g) < absent] = math.nan
    scores[torch.rand(scores.shape, generator=g) < absent] = math.nan
    return codes, scores


def normal_logpdf(x, mean, covariance):
    return multivariate_normal.logpdf(x, mean, covariance) if len(x) else 0.0


def brute_joint(model, codes, scores):
    found = np.zeros((len(codes), model.n_classes))
    for i, (c, u) in enumerate(zip(codes.numpy(), scores.numpy(), strict=True)):
        here = ~np.isnan(u)
        for k in range(model.n_classes):
            found[i, k] = float(model.log_weight[k])
            for j, code in enumerate(c):
                if not np.isnan(code):
                    found[i, k] += float(model.log_levels[k, int(model.offsets[j]) + int(code)])
            found[i, k] += normal_logpdf(
                u[here],
                model.means[k].numpy()[here],
                model.covariances[k].numpy()[np.ix_(here, here)],
            )
    return torch.tensor(found)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("few_patterns", [24, 0])
def test_the_joint_is_that_of_the_marginals(shape, few_patterns, monkeypatch):
    monkeypatch.setattr(latent_class, "FEW_PATTERNS", few_patterns)
    model = make(*shape)
    codes, scores = rows(40, shape[1], shape[2])
    joint = model.log_joint(codes, scores)
    torch.testing.assert_close(joint, brute_joint(model, codes, scores), atol=1e-9, rtol=0)


@pytest.mark.parametrize("bits", [62, 3])
def test_conditionals_are_those_of_gaussians_whatever_comes_first(bits, monkeypatch):
    monkeypatch.setattr(latent_class, "MAX_BITS", bits)  # patterns told apart in both ways
    d = 4
    model = make(3, [2], d)
    scores = rows(60, [], d)[1]
    seen = ~scores.isnan()
    first = torch.rand(seen.shape, generator=generator(1)) < 0.4  # absent ones among them
    mean, deviation, log_prob = model.conditionals(scores, seen, first)
    for i in range(len(scores)):
        order = [j for j in range(d) if first[i, j] and seen[i, j]]
        order += [j for j in range(d) if j not in order]
        for position, j in enumerate(order):
            known = [m for m in order[:position] if seen[i, m]]
            for k in range(3):
                mu, sigma = model.means[k], model.covariances[k]
                gain = torch.linalg.solve(sigma[known][:, known], sigma[known, j])
                expected = mu[j] + gain @ (scores[i, known] - mu[known])
                if seen[i, j]:
                    variance = sigma[j, j] - gain @ sigma[known, j]
                    assert abs(mean[i, k, j] - expected) < 1e-8
                    assert abs(deviation[i, k, j] - variance.sqrt()) < 1e-8
                    own = torch.distributions.Normal(expected, variance.sqrt())
                    assert abs(log_prob[i, k, j] - own.log_prob(scores[i, j])) < 1e-8
                else:
                    assert log_prob[i, k, j] == 0


def test_an_absent_score_does_not_see_itself_and_others_do_not_see_it():
    model = make(2, [], 3)
    scores = torch.randn(5, 3, generator=generator(), **LIKE)
    seen = torch.tensor([True, False, True]).expand(5, 3)
    none = torch.zeros_like(seen)
    one = model.conditionals(scores, seen, none)
    other = model.conditionals(scores + torch.tensor([0.0, 9.0, 0.0], **LIKE), seen, none)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("shape", SHAPES)
def test_fitting_raises_the_likelihood(shape):
    n_classes, n_levels, n_scores = shape
    truth = make(*shape, seed=3)
    n = 600
    classes = torch.multinomial(truth.log_weight.exp(), n, True, generator=generator())
    codes, scores = rows(n, n_levels, n_scores, 0.0)
    factor = torch.linalg.cholesky(truth.covariances)
    noise = torch.randn(n, n_scores, 1, generator=generator(2), **LIKE)
    scores = 3 * truth.means[classes] + (factor[classes] @ noise)[..., 0]
    for j, k in enumerate(n_levels):
        at = int(truth.offsets[j])
        p = truth.log_levels[classes, at : at + k].exp()
        codes[:, j] = torch.multinomial(p, 1, generator=generator(j))[:, 0].double()
    g = generator(8)
    scores[torch.rand(scores.shape, generator=g) < 0.3] = math.nan
    codes[torch.rand(codes.shape, generator=g) < 0.3] = math.nan
    weight = torch.ones(n, **LIKE)
    start = torch.rand(n, n_classes, generator=generator(4), **LIKE) + 0.1
    start = start / start.sum(1, keepdim=True)
    likelihood = []
    for iterations in (1, 2, 3, 5, 9, 20):
        model = LatentClass(n_classes, n_levels, n_scores)
        model.fit(codes, scores, weight, start.clone(), iterations)
        joint = model.log_joint(codes, scores)
        assert joint.isfinite().all()
        likelihood.append(float(joint.logsumexp(1).mean()))
    # Half counts and the ridge make it a maximum a posteriori: allow for them.
    assert (np.diff(likelihood) > -2e-3).all()
    assert likelihood[-1] > likelihood[0] - 1e-9


def test_a_gaussian_is_recovered_from_rows_with_missing_cells():
    n, d = 5_000, 4
    mix = torch.randn(d, d, generator=generator(11), **LIKE)
    covariance = (mix @ mix.T + 0.5 * torch.eye(d, **LIKE)).numpy()
    mean = np.array([0.5, -1.0, 0.0, 2.0])
    x = np.random.RandomState(0).multivariate_normal(mean, covariance, n)
    hole = np.random.RandomState(1).rand(n, d) < 0.3
    scores = torch.tensor(np.where(hole, np.nan, x))
    model = LatentClass(1, [], d)
    one = torch.ones(n, 1, **LIKE)
    codes = torch.zeros(n, 0, **LIKE)
    model.fit(codes, scores, one[:, 0], one, 40)
    found = model.log_joint(codes, scores)[:, 0].numpy()
    exact = [
        normal_logpdf(r[~h], mean[~h], covariance[np.ix_(~h, ~h)])
        for r, h in zip(x, hole, strict=True)
    ]
    # As near as the covariance of all cells, had they been seen: 0.03 at this number of rows.
    whole = [
        normal_logpdf(r[~h], x.mean(0)[~h], np.cov(x.T)[np.ix_(~h, ~h)])
        for r, h in zip(x, hole, strict=True)
    ]
    error = np.abs(found - np.array(exact)).mean()
    assert error < 1.4 * np.abs(np.array(whole) - np.array(exact)).mean()
    assert abs((found - np.array(exact)).mean()) < 0.005


def test_a_row_twice_is_a_row_of_weight_two():
    codes, scores = rows(80, [3], 2)
    start = torch.rand(80, 2, generator=generator(), **LIKE)
    start = start / start.sum(1, keepdim=True)
    twice = LatentClass(2, [3], 2)
    twice.fit(
        codes.repeat(2, 1), scores.repeat(2, 1), torch.ones(160, **LIKE), start.repeat(2, 1), 5
    )
    heavy = LatentClass(2, [3], 2)
    heavy.fit(codes, scores, torch.full((80,), 2.0, **LIKE), start, 5)
    for name, value in twice.state_dict().items():
        torch.testing.assert_close(heavy.state_dict()[name], value, atol=1e-8, rtol=1e-8)


def test_columns_without_a_value_constant_ones_and_empty_classes():
    codes, scores = rows(50, [3, 2], 3, 0.2)
    codes[:, 1] = math.nan
    scores[:, 0] = math.nan
    scores[:, 1] = torch.where(scores[:, 1].isnan(), scores[:, 1], 1.0)
    start = torch.zeros(50, 3, **LIKE)
    start[:, 0] = 1.0
    model = LatentClass(3, [3, 2], 3)
    model.fit(codes, scores, torch.ones(50, **LIKE), start, 10)
    assert all(value.isfinite().all() for value in model.state_dict().values())
    assert model.log_joint(codes, scores).isfinite().all()
    assert (torch.linalg.eigvalsh(model.covariances) > 0).all()
    for part in model.log_levels.split(model.n_levels, 1):
        torch.testing.assert_close(part.exp().sum(1), torch.ones(3, **LIKE))


def test_more_columns_than_bits():
    d = latent_class.MAX_BITS // 2 + 3
    model = LatentClass(2, [], d)
    scores = rows(20, [], d)[1]
    seen = ~scores.isnan()
    log_prob = model.conditionals(scores, seen, torch.zeros_like(seen))[2].sum(2)
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(scores.nan_to_num(0.0)) * seen
    torch.testing.assert_close(log_prob, expected.sum(1, keepdim=True).expand(-1, 2))
