"""Invertible convolutions: any odd kernel, stride 1, as many channels out as in.

Rows are images laid out flat, as (channels, height, width). As a linear map a convolution is a
large sparse matrix T(w); its determinant and inverse are exact where they are reported, and
replaced by a learned inverse convolution where they are only needed for a gradient.
"""

from abc import abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skflow.transforms.dense import FactorisedTransform
from skflow.transforms.reconstruction import Reconstruction


def dirac_kernel(n_channels: int, kernel_size: Sequence[int]) -> Tensor:
    """The kernel of the identity, (channels, channels, height, width)."""
    kernel = torch.zeros(n_channels, n_channels, *kernel_size, dtype=torch.float64)
    kernel[:, :, kernel_size[0] // 2, kernel_size[1] // 2] = torch.eye(n_channels)
    return kernel


def multiplicity(kernel_size: Sequence[int], height: int, width: int) -> Tensor:
    """How often every kernel element occurs in T(w): as often as its shift stays in the image."""
    rows, columns = (
        (size - (torch.arange(k) - k // 2).abs()).clamp_min(0)
        for k, size in zip(kernel_size, (height, width), strict=True)
    )
    return rows[:, None] * columns


def transposed(kernel: Tensor) -> Tensor:
    """The kernel of the transposed map: channels swapped, both axes mirrored."""
    return kernel.flip(2, 3).transpose(0, 1)


class SquareConvolution(FactorisedTransform):
    """What the convolutions share.

    Parameters
    ----------
    image_shape : (int, int, int)
        Channels, height, width.
    weight : Tensor of shape (channels, channels, kernel height, kernel width), optional
        The kernel at first, of odd size; by default the 3x3 kernel of the identity.
    """

    def __init__(self, image_shape: Sequence[int], weight: Tensor | None = None):
        if weight is None:
            weight = dirac_kernel(image_shape[0], (3, 3))
        n_channels, size = image_shape[0], weight.shape[2:]
        if weight.shape[:2] != (n_channels, n_channels) or any(k % 2 == 0 for k in size):
            raise ValueError(
                f"a kernel for {n_channels} channels must have shape ({n_channels}, {n_channels}, "
                f"odd, odd), got {tuple(weight.shape)}"
            )
        super().__init__(weight)
        self.image_shape = tuple(image_shape)
        self.padding = (size[0] // 2, size[1] // 2)
        self.bias = nn.Parameter(torch.zeros(n_channels))
        self.settle()

    def _convolve(self, images: Tensor, kernel: Tensor) -> Tensor:
        return F.conv2d(images, kernel, padding=self.padding)

    def matrix(self):
        kernel = self.weight.double()
        n = self.image_shape[0] * self.image_shape[1] * self.image_shape[2]
        units = torch.eye(n, dtype=kernel.dtype, device=kernel.device)
        return self._convolve(units.view(n, *self.image_shape), kernel).view(n, n).T

    @abstractmethod
    def _learn(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Convolve, without the bias; also log|det T(w)|, of which only the gradient counts."""

    def _forward(self, x, context, noise):
        images = x.reshape(-1, *self.image_shape)
        if self.training:
            z, surrogate = self._learn(images)
            log_det = self._log_det_with_gradient_of(surrogate)
        else:
            z, log_det = self._convolve(images, self.weight), self.log_det
        z = z + self.bias[:, None, None]
        return z.flatten(1), log_det.expand(x.shape[0])

    def _without_bias(self, z: Tensor) -> Tensor:
        return z.reshape(-1, *self.image_shape) - self.bias[:, None, None]

    def _inverse(self, z, context, draw):
        return self._solve(self._without_bias(z).flatten(1))


class ExactConvolution(SquareConvolution):
    """Autograd's gradient of the log-determinant, through all of T(w): exact and O(d^3)."""

    def _learn(self, images):
        log_det = torch.linalg.slogdet(self.matrix())[1].to(images.dtype)
        return self._convolve(images, self.weight), log_det


class SelfNormalizingConvolution(SquareConvolution):
    r"""A convolution with a learned inverse kernel of its own.

    As `SelfNormalizingLinear`, with the learned T(r) in the place of the inverse of T(w):

    .. math::
        \nabla_w \log p^f \approx \delta_z \star x + \mathrm{flip}(r) \odot m, \qquad
        \nabla_r \log p^g \approx -\delta_x \star (w \star x) - \mathrm{flip}(w) \odot m,

    where m counts how often a kernel element occurs in T. The inverse of a convolution is in
    general no convolution, so the reconstruction loss also keeps w near those kernels whose
    inverse nearly is one.

    Parameters
    ----------
    image_shape, weight
        See `SquareConvolution`. The inverse kernel starts as the transposed one, which is exact for
        orthogonal maps such as the identity.
    reconstruction : Reconstruction, optional
    learned_inverse : bool, default=False
        See `SelfNormalizingLinear`.

    References
    ----------
    Keller, Peters, Jaini, Hoogeboom, Forré, Welling (2021), "Self Normalizing Flows",
    arXiv:2011.07248.
    """

    count: Tensor

    def __init__(
        self,
        image_shape: Sequence[int],
        weight: Tensor | None = None,
        *,
        reconstruction: Reconstruction | None = None,
        learned_inverse: bool = False,
    ):
        super().__init__(image_shape, weight)
        backward = transposed(self.weight.detach())
        self.backward_weight = nn.Parameter(backward.clone(memory_format=torch.contiguous_format))
        self.reconstruction = reconstruction if reconstruction is not None else Reconstruction()
        self.learned_inverse = learned_inverse
        count = multiplicity(self.weight.shape[2:], *self.image_shape[1:])
        self.register_buffer("count", count, persistent=False)

    def _learn(self, images):
        forward, backward = self.weight, self.backward_weight
        data = images.detach()
        latent = self._convolve(data, forward)
        self.reconstruction.measure(
            data,
            latent,
            lambda z: self._convolve(z, backward),
            lambda x: self._convolve(x, forward),
        )
        restored = self._convolve(latent.detach(), backward)
        images = images - (restored - restored.detach())
        surrogate = (forward * transposed(backward.detach()) * self.count).sum()
        surrogate = surrogate - (backward * transposed(forward.detach()) * self.count).sum()
        return self._convolve(images, forward), surrogate

    def _inverse(self, z, context, draw):
        if not self.learned_inverse:
            return super()._inverse(z, context, draw)
        return self._convolve(self._without_bias(z), self.backward_weight).flatten(1)

    @torch.no_grad()
    def inverse_error(self) -> float:
        """``‖T(r) T(w) - I‖ / sqrt(d)``."""
        product = self._convolve(
            self.matrix().T.reshape(-1, *self.image_shape), self.backward_weight.double()
        ).flatten(1)
        identity = torch.eye(len(product), dtype=product.dtype, device=product.device)
        return float(torch.linalg.matrix_norm(product - identity) / len(product) ** 0.5)
