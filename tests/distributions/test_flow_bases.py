"""What bases say of themselves, held against their own joint density."""

import pytest
import torch
from scipy import stats
from sklearn.mixture import GaussianMixture as SklearnMixture

from skflow.distributions import (
    ConditionalMixture,
    FlowBase,
    GaussianMixture,
    LocationScale,
    StandardNormal,
    StudentT,
)
from skflow.distributions.student_t import NEARLY_NORMAL
from skflow.starts.bases import BASES
from skflow.transforms import random_rotation
from tests.contract.table import generator, randomise

D = 4
NAMES = sorted(BASES)
every_base = pytest.mark.parametrize("name", NAMES)


def rows(n=50, d=D, seed=0):
    return torch.randn(n, d, generator=generator(seed), dtype=torch.float64)


def make(name, d=D, scale=0.4):
    return randomise(BASES[name].kind.unfitted(d, 3).double(), scale=scale).requires_grad_(False)


def turn(name):
    """An orthogonal matrix that the base can be turned by."""
    if BASES[name].kind.may_be_turned:
        return random_rotation(D, generator(2)).double()
    reflected = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    return torch.eye(D, dtype=torch.float64)[:, [2, 0, 3, 1]] * reflected


def same(first, second):
    torch.testing.assert_close(first, second, rtol=0, atol=1e-10)


def test_every_kind_of_base_has_a_name():
    kinds = {cls for cls in FlowBase.__subclasses__() if cls.__module__.startswith("skflow.")}
    assert kinds == {option.kind for option in BASES.values()}


@every_base
def test_rotated_is_the_density_of_the_turned_rows(name):
    base, rotation, x = make(name), turn(name), rows()
    same(base.rotated(rotation).log_prob(x @ rotation), base.log_prob(x))


@every_base
def test_reordered_is_the_density_of_the_columns_in_that_order(name):
    base, order, x = make(name), torch.tensor([2, 0, 3, 1]), rows()
    same(base.reordered(order).log_prob(x[:, order]), base.log_prob(x))


@every_base
@pytest.mark.parametrize("n_kept", [1, 3])
def test_marginal_and_conditional_multiply_to_the_density(name, n_kept):
    base, x = make(name), rows()
    marginal, rest = base.split(n_kept, (8,), generator())
    kept, dropped = x[:, :n_kept], x[:, n_kept:]
    assert (marginal.n_features, rest.n_features) == (n_kept, D - n_kept)
    same(marginal.log_prob(kept) + rest.log_prob(dropped, kept), base.log_prob(x))
    by_column = base.log_prob_per_dimension(x)
    same(marginal.log_prob(kept), by_column[:, :n_kept].sum(1))
    same(rest.log_prob(dropped, kept), by_column[:, n_kept:].sum(1))


@every_base
def test_conditional_takes_its_network_from_the_generator(name):
    first, second, other = (
        make(name).conditional(2, (8,), generator(seed)).network.state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["hidden.0.weight"], other["hidden.0.weight"])
    assert first["hidden.0.weight"].shape == (8, 2)


@every_base
def test_widened_is_the_product_density(name):
    base, x = make(name), rows(d=D + 2)
    wide = base.widened(2)
    added = wide.reordered(torch.tensor([4, 5, 0, 1, 2, 3])).marginal(2)
    same(wide.log_prob(x), base.log_prob(x[:, :D]) + added.log_prob(x[:, D:]))
    same(wide.marginal(D).log_prob(x[:, :D]), base.log_prob(x[:, :D]))


@pytest.mark.parametrize(
    ("name", "density"),
    [
        ("normal", stats.norm),
        ("mixture", stats.norm),
        ("student_t", stats.t(NEARLY_NORMAL)),  # as normal as its columns can be
    ],
)
def test_what_a_base_is_widened_by(name, density):
    x = rows(d=D + 2)
    gain = make(name).widened(2).log_prob(x) - make(name).log_prob(x[:, :D])
    expected = torch.as_tensor(density.logpdf(x[:, D:]).sum(1))
    torch.testing.assert_close(gain, expected, rtol=0, atol=1e-6)


@every_base
def test_principal_axes_are_those_of_the_samples_covariance(name):
    base = make(name, scale=0.2)
    if name == "student_t":
        base.log_degrees.copy_(torch.tensor([40.0, 5.0, 9.0, 300.0]).log())
    axes = base.principal_axes()
    same(axes.T @ axes, torch.eye(D, dtype=torch.float64))
    x = base.sample(200_000, generator=generator(1)) @ axes
    covariance = x.T.cov()
    assert (covariance.diagonal().diff() < 0.02).all(), "the largest variance comes first"
    assert (covariance - covariance.diagonal().diag()).abs().max() < 0.05


@every_base
def test_on_principal_axes(name):
    base, x = make(name), rows()
    turned, axes = base.on_principal_axes(ordered=False)
    assert (axes is None) == base.isotropic
    expected = torch.eye(D, dtype=torch.float64) if axes is None else axes
    if axes is not None:
        same(axes, base.principal_axes())
    same(turned.log_prob(x @ expected), base.log_prob(x))
    in_place, axes = base.on_principal_axes(ordered=True)
    assert torch.equal(axes, torch.eye(D, dtype=torch.float64))
    same(in_place.log_prob(x), base.log_prob(x))


@every_base
def test_isotropic_is_the_standard_normal_alone(name):
    x, rotation = rows(), random_rotation(D, generator(5)).double()
    base = make(name)
    turns = torch.allclose(base.log_prob(x @ rotation), base.log_prob(x))
    assert base.isotropic == turns == (name == "normal")


@every_base
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_parts_have_the_precision_of_the_whole(name, dtype):
    base = make(name).to(dtype)
    marginal, rest = base.split(2, (8,), generator())
    order = torch.tensor([1, 0, 3, 2])
    made = [marginal, base.widened(1), base.reordered(order), base.rotated(turn(name).to(dtype))]
    assert all(part.sample(3).dtype == dtype for part in made)
    assert all(p.dtype == dtype for p in rest.parameters())


@every_base
def test_the_whole_stays_as_it_is(name):
    base = make(name)
    before = {key: value.clone() for key, value in base.state_dict().items()}
    parts = [*base.split(2, (8,), generator()), base.widened(1), base.rotated(turn(name))]
    for part in parts:
        randomise(part.requires_grad_(False), seed=3)
    if not base.isotropic:  # has parameters, which none of its parts may share
        assert all(torch.equal(before[key], value) for key, value in base.state_dict().items())


def test_student_t_columns_are_not_mixed():
    with pytest.raises(ValueError, match="reordered, but not mixed"):
        make("student_t").rotated(random_rotation(D, generator()).double())


def test_a_fitted_mixture_splits_into_what_is_fitted_to_the_parts():
    x = torch.cat([rows(200), 3 + rows(150, seed=1) * torch.linspace(0.2, 2, D)])
    mixture = GaussianMixture(1, D).double()
    mixture.copy_fitted(SklearnMixture(1).fit(x.numpy()))
    marginal, rest = mixture.split(2, (8,), generator())
    whole, first = (SklearnMixture(1).fit(z).score_samples(z) for z in (x, x[:, :2]))
    same(marginal.log_prob(x[:, :2]).detach(), torch.as_tensor(first))
    same(rest.log_prob(x[:, 2:], x[:, :2]).detach(), torch.as_tensor(whole - first))


def test_the_kinds_of_conditionals():
    assert isinstance(make("normal").conditional(1, (8,)).noise, StandardNormal)
    rest = make("student_t").conditional(1, (8,))
    assert isinstance(rest, LocationScale)
    assert isinstance(rest.noise, StudentT)
    assert isinstance(make("mixture").conditional(1, (8,)), ConditionalMixture)
