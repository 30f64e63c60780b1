"""Which decoder a base leaves, and that each kind begins as the base's conditional density."""

import pytest
import torch

from skflow.architectures.decoders import DECODERS, split
from skflow.distributions import GaussianMixture, LocationScale, StandardNormal, StudentT
from skflow.starts.bases import base_for, check_decoder
from tests.contract.table import generator, randomise

D, KEPT = 5, 2


@pytest.mark.parametrize("kind", sorted(DECODERS | {"standard"}))
def test_every_kind_begins_as_a_part_of_the_normal(kind):
    base = StandardNormal(D).double()
    marginal, rest = split(base, KEPT, kind, (8,), generator())
    x = torch.randn(400, D, generator=generator(1), dtype=torch.float64)
    product = marginal.log_prob(x[:, :KEPT]) + rest.double().log_prob(x[:, KEPT:], x[:, :KEPT])
    assert abs((product - base.log_prob(x)).mean()) < 0.05


@pytest.mark.parametrize("base", [StudentT(D), GaussianMixture(3, D)])
def test_other_bases_give_their_own(base):
    randomise(base.double())
    for kind in ("auto", "gaussian"):
        marginal, rest = split(base, KEPT, kind, (8,), generator())
        x = torch.randn(9, D, generator=generator(1), dtype=torch.float64)
        product = marginal.log_prob(x[:, :KEPT]) + rest.log_prob(x[:, KEPT:], x[:, :KEPT])
        torch.testing.assert_close(product, base.log_prob(x))


def test_a_normals_own_conditional_is_the_gaussian_decoder():
    base = StandardNormal(D).double()
    own, named = (split(base, KEPT, kind, (8,), generator(4))[1] for kind in ("auto", "gaussian"))
    assert type(own) is type(named) is LocationScale
    pairs = zip(own.double().parameters(), named.double().parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("decoder", "base", "expected"),
    [
        ("auto", "auto", "auto"),
        ("auto", "student_t", "student_t"),
        ("mixture", "auto", "mixture"),
        ("student_t", "auto", "student_t"),
        ("spline", "auto", "normal"),
        ("mixture", "normal", "normal"),
    ],
)
def test_the_base_that_a_decoder_wants(decoder, base, expected):
    check_decoder(decoder, base)
    assert base_for(decoder, base) == expected


@pytest.mark.parametrize(
    ("decoder", "base"), [("gaussian", "mixture"), ("mixture", "student_t"), ("full", "student_t")]
)
def test_a_decoder_that_is_no_part_of_the_base_is_refused(decoder, base):
    with pytest.raises(ValueError, match="cannot begin as part of"):
        check_decoder(decoder, base)
