"""The layer-local reconstruction loss of a self-normalizing layer."""

from collections.abc import Callable

import torch
from torch import Tensor

from skflow.transforms.training_term import TrainingTerm

TOLERANCE_MEMORY = 0.9  # of the running error that an adaptive weight answers to
WEIGHT_STEP = 0.01  # exponent of an adaptive weight's change, per pass and relative excess
WEIGHT_LIMITS = (1e-2, 1e3)


class Reconstruction(TrainingTerm):
    """``weight * ‖g(f(x)) - x‖²`` per row, the layer's own rows being constants.

    The paper halves both likelihoods and not this loss; here the likelihoods are whole, so the loss
    counts twice and ``weight`` is the paper's.

    Parameters
    ----------
    weight : float, default=1.0
        The paper's λ; where it adapts, its first value.
    tolerance : float or None, default=None
        With a tolerance the weight adapts: it grows while the relative error
        ``‖g(f(x)) - x‖² / ‖x‖²`` is above ``tolerance**2`` and falls below it, within
        [0.01, 1000] (the generalised ELBO with a constraint that can be met, unlike that of the
        original code).
    symmetric : bool, default=False
        Take the mean with the loss of ``f(g(z))`` against ``z``.

    References
    ----------
    Rezende, Viola (2018), "Taming VAEs", arXiv:1810.00597.
    """

    excess: Tensor
    multiplier: Tensor

    def __init__(
        self, weight: float = 1.0, tolerance: float | None = None, *, symmetric: bool = False
    ):
        super().__init__()
        self.tolerance = tolerance
        self.symmetric = symmetric
        self.register_buffer("multiplier", torch.tensor(float(weight)), persistent=False)
        self.register_buffer("excess", torch.zeros(()), persistent=False)

    def measure(
        self,
        data: Tensor,
        latent: Tensor,
        backward: Callable[[Tensor], Tensor],
        forward: Callable[[Tensor], Tensor],
        n_positions: int = 1,
    ) -> None:
        """Leave the loss of these rows for the training loop to take.

        Parameters
        ----------
        data : Tensor
            The layer's input, detached.
        latent : Tensor
            Its image, without the bias, with a gradient to the layer's weight.
        backward, forward : callable
            The two linear maps.
        n_positions : int
            Consecutive entries of the first dimension that belong to one row.
        """
        error = (backward(latent) - data).square().flatten(1).sum(1)
        if self.tolerance is not None:
            self._adapt(error.detach(), data)
        if self.symmetric:
            target = latent.detach()
            mirrored = (forward(backward(target)) - target).square().flatten(1).sum(1)
            error = (error + mirrored) / 2
        error = error.view(-1, n_positions).sum(1)
        self.pending = 2 * self.multiplier * error

    @torch.no_grad()
    def _adapt(self, error: Tensor, data: Tensor) -> None:
        relative = error.sum() / data.square().sum().clamp_min(torch.finfo(data.dtype).tiny)
        excess = (relative / self.tolerance**2 - 1).clamp(-1, 1)  # type: ignore[operator]
        # A bad batch is the loop's to roll back; it must not stay behind in here.
        excess = torch.where(excess.isfinite(), excess, 0.0)
        self.excess.lerp_(excess.to(self.excess), 1 - TOLERANCE_MEMORY)
        self.multiplier.mul_(torch.exp(WEIGHT_STEP * self.excess)).clamp_(*WEIGHT_LIMITS)
