"""The laws of a bijection, over every one of the table."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skflow.distributions import StandardNormal
from skflow.flow import Flow
from skflow.transforms import DimensionwiseTransform, Elementwise, LULinear
from tests.contract.integration import (
    cell_probabilities,
    central_edges,
    chi_square_per_cell,
    histogram,
)
from tests.contract.table import generator
from tests.contract.transforms import (
    BIJECTIONS,
    BOUNDED,
    CONTEXTUAL,
    TRANSFORMS,
    example_rows,
    make_transform,
    with_sizes,
)

NAMES = BIJECTIONS
UNBOUNDED = [name for name in NAMES if name not in (*BOUNDED, "ordered_cone")]
NOT_BY_DIMENSION = {
    "compose",
    "conditional_linear",
    "convolution_exact",
    "convolution_self",
    "coordinate_coupling",
    "coupling_stack",
    "dense",
    "fixed_rotation",
    "lu_linear",
    "lu_rotated",
    "newton",
    "on_first",
    "pixelwise",
    "point_coupling",
    "reflections",
    "relative",
    "rotation",
    "rotation_positions",
    "self_normalizing",
    "whiten",
}
NO_IDENTITY = {"compose", "fixed_rotation", "lu_rotated", "whiten"}


@pytest.mark.parametrize(("name", "d"), with_sizes(NAMES, 1, 2, 5))
def test_contribution_is_the_log_determinant(name, d):
    transform = make_transform(name, d)
    x = example_rows(name, 6, d)
    _, contribution = transform(x)
    expected = torch.stack(
        [torch.autograd.functional.jacobian(lambda r: transform(r[None])[0][0], row) for row in x]
    )
    torch.testing.assert_close(contribution, torch.linalg.slogdet(expected)[1], atol=1e-8, rtol=0)


@pytest.mark.parametrize("name", [n for n in CONTEXTUAL if n in BIJECTIONS])
def test_contribution_given_a_context(name):
    transform = make_transform(name, 3, n_context=2)
    x = example_rows(name, 4, 3)
    context = torch.randn(4, 2, generator=generator(3), dtype=torch.float64)
    z, contribution = transform(x, context)
    for i in range(4):
        jacobian = torch.autograd.functional.jacobian(
            lambda row, i=i: transform(row[None], context[i : i + 1])[0][0], x[i]
        )
        assert abs(torch.linalg.slogdet(jacobian)[1] - contribution[i]) < 1e-8
    torch.testing.assert_close(transform.inverse(z, context), x, atol=1e-7, rtol=0)
    other = transform(x, context + 1)[0]
    assert not torch.allclose(other, z), "the context has no effect"


@pytest.mark.parametrize(("name", "d"), with_sizes(NAMES, 1, 2, 7))
def test_inverse_undoes_forward(name, d):
    transform = make_transform(name, d)
    x = example_rows(name, 50, d)
    z, _ = transform(x)
    error = (transform.inverse(z) - x).abs().amax(1)
    allowed = 1e-7 * (1 + x.abs().amax(1))
    for row in (error > allowed).nonzero():
        # Rounding z moves x by the inverse Jacobian: autoregressive chains can be that steep.
        jacobian = torch.autograd.functional.jacobian(lambda r: transform(r[None])[0][0], x[row[0]])
        rounding = 1e-15 * torch.linalg.inv(jacobian).abs().sum() * (1 + z[row[0]].abs().max())
        assert error[row] < rounding
    torch.testing.assert_close(transform(transform.inverse(z))[0], z, atol=1e-7, rtol=1e-7)


@pytest.mark.parametrize(("name", "d"), with_sizes(NAMES, 1, 2))
def test_density_integrates_to_one(name, d):
    flow = Flow([], [make_transform(name, d)], StandardNormal(d).double())
    row = TRANSFORMS[name]
    rows, volume = row.domain.grid(d, 40_000 if d == 1 else 500 if row.scale < 0.4 else 1_500)
    with torch.no_grad():
        total = sum(flow.log_prob(part).exp().sum() for part in rows.split(200_000)) * volume
    assert abs(total - 1) < 1e-3


@pytest.mark.parametrize(("name", "d"), with_sizes(NAMES, 1, 2))
def test_samples_follow_the_density(name, d):
    flow = Flow([], [make_transform(name, d)], StandardNormal(d).double())
    n = 20_000
    with torch.no_grad():
        samples = flow.sample(n, generator=generator(1))
    edges = central_edges(samples)
    probabilities = cell_probabilities(flow.log_prob, edges, 4_000 if d == 1 else 100)
    # The edges come from the samples, so only too large a statistic speaks against the law.
    assert chi_square_per_cell(histogram(samples, edges), probabilities, n) < 2.5


@pytest.mark.parametrize("name", UNBOUNDED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extreme_rows_stay_finite(name, dtype):
    transform = make_transform(name, 3).to(dtype)
    x = TRANSFORMS[name].domain.extreme(3, dtype).requires_grad_()
    z, contribution = transform(x)
    assert z.isfinite().all()
    assert contribution.isfinite().all()
    leaves = [x, *transform.parameters()]
    gradients = torch.autograd.grad((z / 1e6).sum() + contribution.sum(), leaves, allow_unused=True)
    assert all(g is None or g.isfinite().all() for g in gradients)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_of_one_and_float64(name):
    transform = make_transform(name, 3)
    x = example_rows(name, 5, 3)
    z, contribution = transform(x)
    z1, contribution1 = transform(x[2:3])
    assert z.dtype == contribution.dtype == transform.inverse(z).dtype == torch.float64
    torch.testing.assert_close(z1, z[2:3], atol=1e-12, rtol=0)
    torch.testing.assert_close(contribution1, contribution[2:3], atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_contributions_per_dimension_add_up(name):
    transform = make_transform(name, 4)
    if not isinstance(transform, DimensionwiseTransform):
        assert name in NOT_BY_DIMENSION
        return
    x = example_rows(name, 6, 4)
    z, contributions = transform.forward_per_dimension(x)
    assert contributions.shape == x.shape
    torch.testing.assert_close(z, transform(x)[0])
    torch.testing.assert_close(contributions.sum(1), transform(x)[1], atol=1e-10, rtol=0)


@pytest.mark.parametrize(
    ("name", "d"),
    with_sizes(
        [
            n
            for n in NAMES
            if n.startswith(("coup", "auto", "elem")) or n in NOT_BY_DIMENSION - NO_IDENTITY
        ],
        *(1, 4),
    ),
)
def test_learned_transforms_start_as_the_identity(name, d):
    transform = TRANSFORMS[name].make(d, 0).double()
    x = 3 * example_rows(name, 50, d)
    z, contribution = transform(x)
    torch.testing.assert_close(z, x, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(
        contribution, torch.zeros(50, dtype=torch.float64), atol=1e-12, rtol=0
    )


@pytest.mark.parametrize("name", NAMES)
def test_initialising_returns_the_latent_rows(name):
    transform = TRANSFORMS[name].make(3, 0).double()
    x = example_rows(name, 60, 3)
    weight = torch.rand(60, generator=generator(), dtype=torch.float64)
    z = transform.initialize(x, weight)
    torch.testing.assert_close(z, transform(x)[0])
    assert not z.requires_grad


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(UNBOUNDED),
    n=st.integers(1, 5),
    d=st.integers(1, 6),
    exponent=st.floats(-300, 15),
    seed=st.integers(0, 5),
)
def test_any_shape_and_scale(name, n, d, exponent, seed):
    d = max(d, TRANSFORMS[name].least)
    transform = make_transform(name, d, seed=seed)
    x = torch.randn(n, d, generator=generator(seed), dtype=torch.float64) * 10**exponent
    z, contribution = transform(x)
    assert z.shape == (n, d)
    assert contribution.shape == (n,)
    assert z.isfinite().all()
    assert contribution.isfinite().all()
    assert transform.inverse(z).isfinite().all()


@pytest.mark.parametrize("name", BOUNDED)
def test_no_density_outside_the_bounds(name):
    transform = make_transform(name, 2)
    low, high = TRANSFORMS[name].domain.edges
    inside = 3.0
    if low > -torch.inf:
        below = torch.tensor([[inside, low - 0.1]], dtype=torch.float64)
        assert transform(below)[1] == -torch.inf
    if high < torch.inf:
        above = torch.tensor([[high + 0.1, inside]], dtype=torch.float64)
        assert transform(above)[1] == -torch.inf
    edge = torch.tensor([[inside, high if name == "bound_upper" else low]], dtype=torch.float64)
    assert transform(edge)[1].isfinite()


def test_trained_layers_have_parameters_and_fixed_ones_have_none():
    assert not list(TRANSFORMS["whiten"].make(3, 0).parameters())
    assert len(list(LULinear(3).parameters())) == 4
    assert (
        len(list(Elementwise(3, TRANSFORMS["coupling_affine"].make(3, 0).family).parameters())) == 1
    )
