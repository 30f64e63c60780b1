"""The gradients of the self-normalizing layers, against autograd of the exact likelihoods."""

import math

import pytest
import torch
import torch.nn.functional as F

from skflow.transforms import (
    DenseLinear,
    NewtonLinear,
    Reconstruction,
    RelativeLinear,
    SelfNormalizingConvolution,
    SelfNormalizingLinear,
    SmoothLeakyReLU,
    random_rotation,
    squeeze_order,
)
from skflow.transforms.convolution import multiplicity, transposed
from skflow.transforms.dense import polished

D, N = 5, 40


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def a_matrix(d=D):
    return torch.eye(d, dtype=torch.float64) + 0.3 * normal(d, d, seed=1)


def energy(z):
    """-log p(z) up to a constant, not quadratic, so that no gradient is special."""
    return torch.log(torch.cosh(z)).sum(1)


def layer_of(cls, weight, **options):
    layer = cls(len(weight), weight=weight, **options).double()
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(0.1 * torch.arange(len(weight)))
        if hasattr(layer, "backward_weight"):
            layer.backward_weight.copy_(torch.linalg.inv(weight))
        if hasattr(layer, "tracked"):
            layer.tracked.copy_(torch.linalg.inv(weight))
    return layer


def loss_of(layer, x, scale=1.0):
    z, contribution = layer(x)
    return scale * (energy(z) - contribution).mean()


def exact_forward_gradient(weight, bias, x):
    w = weight.detach().clone().requires_grad_()
    loss = energy(x @ w.T + bias).mean() - torch.linalg.slogdet(w)[1]
    return torch.autograd.grad(loss, w)[0]


def exact_backward_gradient(inverse, bias, x):
    """Gradient to R of the likelihood of R: z = R^{-1} x + b and log|det R^{-1}|."""
    r = inverse.detach().clone().requires_grad_()
    z = torch.linalg.solve(r, x.T).T + bias
    loss = energy(z).mean() + torch.linalg.slogdet(r)[1]
    return torch.autograd.grad(loss, r)[0]


@pytest.mark.parametrize("scale", [1.0, 3.7])
def test_two_sided_gradient_is_that_of_the_two_exact_likelihoods(scale):
    layer = layer_of(SelfNormalizingLinear, a_matrix(), polish_every=0)
    x = normal(N, D)
    loss_of(layer, x, scale).backward()
    torch.testing.assert_close(
        layer.weight.grad,
        scale * exact_forward_gradient(layer.weight, layer.bias, x),
        atol=1e-10,
        rtol=0,
    )
    torch.testing.assert_close(
        layer.backward_weight.grad,
        scale * exact_backward_gradient(layer.backward_weight, layer.bias, x),
        atol=1e-10,
        rtol=0,
    )


def test_the_gradient_scales_with_the_weight_of_a_row():
    layer = layer_of(SelfNormalizingLinear, a_matrix(), polish_every=0)
    x, weight = normal(N, D), torch.rand(N, generator=generator(3), dtype=torch.float64)
    z, contribution = layer(x)
    ((energy(z) - contribution) * weight).mean().backward()
    w = layer.weight.detach().clone().requires_grad_()
    exact = energy(x @ w.T + layer.bias.detach()) - torch.linalg.slogdet(w)[1]
    expected = torch.autograd.grad((exact * weight).mean(), w)[0]
    torch.testing.assert_close(layer.weight.grad, expected, atol=1e-10, rtol=0)


def test_what_is_passed_down_and_to_the_bias_is_the_plain_gradient():
    layer = layer_of(SelfNormalizingLinear, a_matrix(), polish_every=0)
    plain = layer_of(DenseLinear, a_matrix())
    results = []
    for each in (layer, plain):
        x = normal(N, D).requires_grad_()
        loss_of(each, x).backward()
        results.append((x.grad, each.bias.grad))
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-12, rtol=0)


def test_an_inexact_inverse_gives_the_papers_formula():
    layer = layer_of(SelfNormalizingLinear, a_matrix(), polish_every=0)
    with torch.no_grad():
        layer.backward_weight.add_(0.2 * normal(D, D, seed=5))
    x = normal(N, D).requires_grad_()
    z, contribution = layer(x)
    loss = (energy(z) - contribution).mean()
    delta_z = torch.autograd.grad(energy(z).mean(), z, retain_graph=True)[0]
    loss.backward()
    w, r = layer.weight.detach(), layer.backward_weight.detach()
    delta_x, z0 = delta_z @ w, x.detach() @ w.T
    torch.testing.assert_close(layer.weight.grad, delta_z.T @ x.detach() - r.T)
    torch.testing.assert_close(layer.backward_weight.grad, -delta_x.T @ z0 + w.T)


def test_reconstruction_gradient_is_the_papers():
    layer = layer_of(
        SelfNormalizingLinear, a_matrix(), reconstruction=Reconstruction(0.7), polish_every=0
    )
    with torch.no_grad():
        layer.backward_weight.add_(0.2 * normal(D, D, seed=5))
    x = normal(N, D)
    layer(x)
    layer.reconstruction.take().mean().backward()
    w, r = layer.weight.detach(), layer.backward_weight.detach()
    error = x @ w.T @ r.T - x
    # Twice the paper's 2 λ, because both likelihoods count whole here.
    torch.testing.assert_close(layer.weight.grad, 4 * 0.7 * r.T @ error.T @ x / N)
    torch.testing.assert_close(layer.backward_weight.grad, 4 * 0.7 * error.T @ (x @ w.T) / N)


def test_a_term_is_taken_once_and_never_part_of_the_contribution():
    layer = layer_of(SelfNormalizingLinear, a_matrix())
    contribution = layer(normal(N, D))[1]
    assert layer.reconstruction.take().shape == (N,)
    assert layer.reconstruction.take() is None
    torch.testing.assert_close(
        contribution, torch.linalg.slogdet(a_matrix())[1].expand(N), atol=1e-6, rtol=0
    )
    layer(normal(N, D))
    layer.eval()
    assert layer.reconstruction.take() is None


def test_an_adaptive_weight_moves_towards_its_tolerance():
    x = normal(N, D)
    for shift, grows in ((0.5, True), (0.0, False)):
        term = Reconstruction(1.0, tolerance=0.05).double()
        for _ in range(50):
            term.measure(x, x, lambda z, shift=shift: z + shift, lambda z: z)
        assert (term.multiplier > 1) == grows
    for _ in range(2000):
        term.measure(x, x, lambda z: z + 0.5, lambda z: z)
    assert term.multiplier == 1e3


def test_symmetric_reconstruction_averages_both_directions():
    x = normal(N, D)
    both = Reconstruction(symmetric=True).double()
    both.measure(x, 2 * x, lambda z: z, lambda z: 2 * z)
    expected = (x.square().sum(1) + (2 * x).square().sum(1)) / 2
    torch.testing.assert_close(both.take(), 2 * expected)


def test_newton_has_the_exact_gradient():
    layer = layer_of(NewtonLinear, a_matrix())
    x = normal(N, D)
    loss_of(layer, x).backward()
    expected = exact_forward_gradient(layer.weight, layer.bias, x)
    torch.testing.assert_close(layer.weight.grad, expected, atol=1e-10, rtol=0)
    assert layer.n_refreshes == 0


def test_polish_squares_a_small_error_and_refreshes_a_large_one():
    weight = a_matrix()
    inverse = torch.linalg.inv(weight) @ (torch.eye(D).double() + 1e-3 * normal(D, D, seed=2))
    error = torch.linalg.matrix_norm(inverse @ weight - torch.eye(D))
    better, refreshed = polished(weight, inverse)
    assert not refreshed
    assert torch.linalg.matrix_norm(better @ weight - torch.eye(D)) <= 1.01 * error**2
    for bad in (10 * inverse, inverse * math.nan):
        better, refreshed = polished(weight, bad)
        assert refreshed
        torch.testing.assert_close(better, torch.linalg.inv(weight))


@pytest.mark.parametrize("cls", [NewtonLinear, SelfNormalizingLinear])
def test_two_passes_before_a_backward(cls):
    """Polishing must leave the graph of an earlier pass alone."""
    options = {"polish_every": 1} if cls is SelfNormalizingLinear else {}
    layer = layer_of(cls, a_matrix(), **options)
    (loss_of(layer, normal(N, D)) + loss_of(layer, normal(N, D))).backward()
    expected = 2 * exact_forward_gradient(layer.weight, layer.bias, normal(N, D))
    torch.testing.assert_close(layer.weight.grad, expected, atol=1e-10, rtol=0)


def test_a_bad_batch_does_not_stay_in_an_adaptive_weight():
    x = normal(N, D)
    term = Reconstruction(1.0, tolerance=0.05).double()
    term.measure(x, x, lambda z: z * math.nan, lambda z: z)
    term.measure(x, x, lambda z: z, lambda z: z)
    assert term.multiplier.isfinite()
    assert term.excess.isfinite()


def test_relative_gradient_is_the_exact_one_preconditioned():
    layer = layer_of(RelativeLinear, a_matrix())
    x = normal(N, D).requires_grad_()
    loss_of(layer, x).backward()
    w = layer.weight.detach()
    exact = exact_forward_gradient(w, layer.bias, x.detach())
    torch.testing.assert_close(layer.weight.grad, exact @ w.T @ w, atol=1e-10, rtol=0)
    plain = layer_of(DenseLinear, a_matrix())
    y = normal(N, D).requires_grad_()
    loss_of(plain, y).backward()
    torch.testing.assert_close(x.grad, y.grad, atol=1e-12, rtol=0)


@pytest.mark.parametrize("cls", [DenseLinear, NewtonLinear, RelativeLinear, SelfNormalizingLinear])
def test_a_matrix_at_every_pixel_is_a_1x1_convolution(cls):
    weight, (h, w) = a_matrix(3), (2, 4)
    layer = cls(3 * h * w, h * w, weight).double()
    x = normal(6, 3 * h * w)
    z, contribution = layer(x)
    images = F.conv2d(x.view(6, 3, h, w), layer.weight[..., None, None], layer.bias)
    torch.testing.assert_close(z, images.flatten(1))
    expected = h * w * torch.linalg.slogdet(layer.weight)[1]
    torch.testing.assert_close(contribution, expected.expand(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(layer.inverse(z), x)


KERNELS = [(1, 1), (3, 3), (3, 5), (5, 1)]


@pytest.mark.parametrize("kernel_size", KERNELS)
@pytest.mark.parametrize("size", [(6, 6), (4, 7), (2, 3)])
def test_multiplicity_counts_the_occurrences_of_a_kernel_element(kernel_size, size):
    ones = torch.ones(1, 1, *size, dtype=torch.float64)
    padding = tuple(k // 2 for k in kernel_size)
    expected = torch.nn.grad.conv2d_weight(ones, (1, 1, *kernel_size), ones, padding=padding)
    torch.testing.assert_close(multiplicity(kernel_size, *size).double(), expected[0, 0])


def toeplitz(kernel, shape):
    n = math.prod(shape)
    units = torch.eye(n, dtype=kernel.dtype).view(n, *shape)
    padding = tuple(k // 2 for k in kernel.shape[2:])
    return F.conv2d(units, kernel, padding=padding).reshape(n, n).T


@pytest.mark.parametrize("kernel_size", KERNELS)
@pytest.mark.parametrize("size", [(6, 6), (4, 7)])
def test_the_surrogate_is_the_adjoint_of_the_whole_matrix(kernel_size, size):
    w = normal(2, 2, *kernel_size, seed=1).requires_grad_()
    r = normal(2, 2, *kernel_size, seed=2)
    shape = (2, *size)
    exact = torch.autograd.grad((toeplitz(w, shape) * toeplitz(r, shape).T).sum(), w)[0]
    ours = transposed(r) * multiplicity(kernel_size, *size)
    torch.testing.assert_close(ours, exact, atol=1e-10, rtol=0)


@pytest.mark.parametrize("scale", [1.0, 3.7])
def test_two_sided_gradient_of_a_convolution(scale):
    shape, x = (3, 2, 4), normal(N, 24)
    weight = a_matrix(3)
    kernel = weight[..., None, None]
    layer = SelfNormalizingConvolution(shape, kernel).double()
    with torch.no_grad():
        layer.weight.copy_(kernel)
        layer.backward_weight.copy_(torch.linalg.inv(weight)[..., None, None])
    loss_of(layer, x, scale).backward()
    pixels = x.view(N, 3, 8).transpose(1, 2).reshape(-1, 3)
    bias = layer.bias.detach()
    forward = exact_forward_gradient(weight, bias, pixels)  # per pixel, of which there are 8
    backward = exact_backward_gradient(torch.linalg.inv(weight), bias, pixels)
    torch.testing.assert_close(
        layer.weight.grad[..., 0, 0], 8 * scale * forward, atol=1e-10, rtol=0
    )
    torch.testing.assert_close(
        layer.backward_weight.grad[..., 0, 0], 8 * scale * backward, atol=1e-10, rtol=0
    )


def test_a_3x3_convolution_learns_an_inverse():
    """On white noise the reconstruction loss alone brings r to the inverse of a mild kernel."""
    layer = SelfNormalizingConvolution((1, 6, 6)).double()
    with torch.no_grad():
        layer.weight.add_(0.05 * normal(1, 1, 3, 3, seed=4))
    before = layer.inverse_error()
    optimizer = torch.optim.Adam([layer.backward_weight], lr=1e-2)
    for step in range(200):
        layer(normal(100, 36, seed=step))
        optimizer.zero_grad()
        layer.reconstruction.take().mean().backward()
        optimizer.step()
    assert layer.inverse_error() < before / 3
    assert layer.inverse_error() < 0.05


def test_a_kernel_of_even_size_is_refused():
    with pytest.raises(ValueError, match="odd, odd"):
        SelfNormalizingConvolution((1, 4, 4), torch.ones(1, 1, 2, 2))


def test_new_weights_count_after_eval():
    layer = SelfNormalizingLinear(D).double().eval()
    layer.load_state_dict(layer_of(SelfNormalizingLinear, a_matrix()).state_dict())
    layer.eval()
    x = normal(N, D)
    z, contribution = layer(x)
    expected = torch.linalg.slogdet(a_matrix())[1]
    torch.testing.assert_close(contribution, expected.expand(N), atol=1e-12, rtol=0)
    torch.testing.assert_close(layer.inverse(z), x)


def test_the_learned_inverse_is_used_where_asked_for():
    layer = layer_of(SelfNormalizingLinear, a_matrix(), learned_inverse=True).eval()
    with torch.no_grad():
        layer.backward_weight.mul_(1.1)
    x = normal(N, D)
    torch.testing.assert_close(layer.inverse(layer(x)[0]), 1.1 * x)
    assert layer.inverse_error() == pytest.approx(0.1)


def test_smooth_leaky_relu_inverts_everywhere():
    z = torch.cat([torch.linspace(-50, 50, 1001), torch.tensor([-1e6, 1e6])]).double()[:, None]
    layer = SmoothLeakyReLU(0.3)
    torch.testing.assert_close(layer(layer.inverse(z))[0], z, atol=1e-12, rtol=1e-14)
    with pytest.raises(ValueError, match="slope"):
        SmoothLeakyReLU(0.0)


def test_squeeze_is_pixel_unshuffle():
    x = normal(3, 2 * 4 * 6)
    order = squeeze_order(2, 4, 6)
    expected = F.pixel_unshuffle(x.view(3, 2, 4, 6), 2).flatten(1)
    torch.testing.assert_close(x[:, order], expected)
    with pytest.raises(ValueError, match="2 x 2"):
        squeeze_order(1, 3, 4)


def test_a_random_rotation_is_orthogonal_and_repeatable():
    q = random_rotation(7, generator())
    torch.testing.assert_close(q @ q.T, torch.eye(7, dtype=torch.float64))
    torch.testing.assert_close(q, random_rotation(7, generator()))
