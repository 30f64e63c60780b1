"""The self-normalizing dense map: a learned inverse stands in for the inverse in the gradient."""

import torch
from torch import Tensor, nn

from skflow.transforms.dense import SquareLinear, polished, to_channels, to_rows
from skflow.transforms.reconstruction import Reconstruction


class SelfNormalizingLinear(SquareLinear):
    r"""A dense map ``z = W x + b`` with a learned inverse R of its own.

    Two densities are trained at once, that of W with R in the place of its inverse, and that of R
    with W in the place of its inverse:

    .. math::
        \nabla_W \log p^f \approx \delta_z x^T + R^T, \qquad
        \nabla_R \log p^g \approx -\delta_x (W x)^T - W^T,

    with a reconstruction loss that keeps them inverse to each other. Both gradients are those of
    a surrogate, so they scale with whatever weight a row's loss has. Biases are the forward
    map's alone.

    Parameters
    ----------
    n_features, n_positions, weight
        See `SquareLinear`. R starts as the exact inverse.
    reconstruction : Reconstruction, optional
    polish_every : int, default=10
        After every so many passes, R takes a guarded Newton-Schulz step towards the inverse.
        0 leaves it to the gradient, as in the paper, which fails where columns are correlated.
    learned_inverse : bool, default=False
        Whether `inverse` goes through R: fast, but then samples follow the density of R, which
        is not the one that `forward` gives.

    Attributes
    ----------
    n_refreshes : int
        How often the guard had R computed anew.

    References
    ----------
    Keller, Peters, Jaini, Hoogeboom, Forré, Welling (2021), "Self Normalizing Flows",
    arXiv:2011.07248.
    """

    def __init__(
        self,
        n_features: int,
        n_positions: int = 1,
        weight: Tensor | None = None,
        *,
        reconstruction: Reconstruction | None = None,
        polish_every: int = 10,
        learned_inverse: bool = False,
    ):
        super().__init__(n_features, n_positions, weight)
        self.backward_weight = nn.Parameter(torch.linalg.inv(self.weight.detach()).contiguous())
        self.reconstruction = reconstruction if reconstruction is not None else Reconstruction()
        self.polish_every = polish_every
        self.learned_inverse = learned_inverse
        self.n_passes = 0
        self.n_refreshes = 0

    @torch.no_grad()
    def polish(self) -> None:
        """Bring R closer to the inverse of the present matrix."""
        better, refreshed = polished(self.weight, self.backward_weight)
        self.backward_weight.copy_(better)
        self.n_refreshes += refreshed

    def _learn(self, x):
        self.n_passes += 1
        if self.polish_every and self.n_passes % self.polish_every == 0:
            self.polish()
        # A copy, so that a later polish in place leaves this pass's graph alone.
        forward, backward = self.weight, self.backward_weight.clone()
        data = x.detach()
        latent = data @ forward.T
        self.reconstruction.measure(
            data, latent, lambda z: z @ backward.T, lambda x: x @ forward.T, self.n_positions
        )
        restored = latent.detach() @ backward.T
        # Of value x; its gradient to R is -delta_x (W x)^T.
        x = x - (restored - restored.detach())
        z = torch.addmm(self.bias, x, forward.T)
        return z, (forward * backward.T.detach()).sum() - (backward * forward.T.detach()).sum()

    def _inverse(self, z, context, draw):
        if not self.learned_inverse:
            return super()._inverse(z, context, draw)
        return to_rows(
            (to_channels(z, self.n_positions) - self.bias) @ self.backward_weight.T,
            self.n_positions,
        )

    @torch.no_grad()
    def inverse_error(self) -> float:
        """``‖R W - I‖ / sqrt(n)``: 0 for the inverse, 1 for no relation at all."""
        product = self.backward_weight @ self.weight
        identity = torch.eye(len(product), dtype=product.dtype, device=product.device)
        return float(torch.linalg.matrix_norm(product - identity) / len(product) ** 0.5)
