"""Which dimensions come first: what a multi-scale flow is cut by, and what it is read by."""

import math

import numpy as np
import torch
from torch import Tensor

from skflow.data.rows import Rows
from skflow.flow import Flow
from skflow.kernels.moments import oriented, weighted_mean, weighted_moments
from skflow.starts.start_recipe import Start
from skflow.transforms import Ledger
from skflow.transforms.noise import shared_noise

JACOBIAN_COLUMNS = 8_192  # of all rows together: what the generator's Jacobian is measured with
STEP = 1e-4  # of its central differences: half of float64's digits are right
FEWEST_ROWS, MOST_ROWS = 16, 256
LEAST_DEVIATION = 1e-6  # of a latent: below, it is a constant but for rounding
TIE_BREAK = 1e-4  # of the largest singular value
DECIMALS = 6  # of a contribution in nats
LEAST_NORM = 1e-100  # of a column of the Jacobian that is zero
BOOKED_ROWS = 5_000
VALUES_AT_ONCE = 2**18  # of rows that go through a flow together
LOG_SQRT_2PIE = 0.5 * math.log(2 * math.pi * math.e)


class GeneratorNorms:
    r"""Norms of the generator's Jacobian columns, :math:`\|\partial x / \partial z_i\|`.

    On the mean path, at the latent rows of some of ``rows``, in units of x. With the latents'
    variances v they say what every latent adds to x.
    """

    def __init__(self, flow: Flow, rows: Rows):
        n_latent = flow.base.n_features
        some = rows.evenly(int(np.clip(JACOBIAN_COLUMNS // n_latent, FEWEST_ROWS, MOST_ROWS)))
        n = len(some)
        at_once = max(1, VALUES_AT_ONCE // some.x.shape[1])
        many = rows.evenly(BOOKED_ROWS)
        with torch.no_grad():
            z = flow.encode(some.x)
            steps = STEP * torch.eye(n_latent, dtype=z.dtype, device=z.device)
            ends = torch.stack([z[:, None] + steps, z[:, None] - steps])  # (2, n, k, k)
            x = torch.cat([flow.decode(part) for part in ends.view(-1, n_latent).split(at_once)])
            ahead, behind = x.view(2, n, n_latent, -1)
            norms = (ahead - behind).norm(dim=2) / (2 * STEP)
            z = torch.cat([flow.encode(part) for part in many.x.split(at_once)])
        self._weight, self._norms = some.weight, norms.clamp_min(LEAST_NORM)
        deviation = weighted_moments(z, many.weight)[1]
        self._log_deviation = deviation.clamp_min(LEAST_DEVIATION).log()

    def explained_entropy(self) -> Tensor:
        r"""Shape (k,): :math:`E[\log \|\partial x / \partial z_i\|] + \frac12 \log 2 \pi e v_i`.

        Where the Jacobian's columns are orthogonal these add up to the entropy of normal latents'
        density, elsewhere to more, by Hadamard's inequality.
        """
        mean_log = weighted_mean(self._norms.log(), self._weight)
        return mean_log + self._log_deviation + LOG_SQRT_2PIE

    def explained_variance(self) -> Tensor:
        """What every latent adds to the variance of x, to first order: shape (k,)."""
        mean_square = weighted_mean(self._norms.square(), self._weight)
        return mean_square * (2 * self._log_deviation).exp()


def principal_directions(start: Start, rows: Rows) -> Tensor:
    """Orthonormal directions in the start's space, as columns: those that say most about x first.

    The right singular vectors of the covariance of x and z. Where z is white, the first k are the
    k directions from which a linear regression finds most of x; where it is x whitened, they are
    the principal axes of x.
    """
    with torch.no_grad():
        z = start.fixed(rows.x)[0]
    weight = torch.ones(len(z), dtype=z.dtype) if rows.weight is None else rows.weight
    x = rows.x - weighted_mean(rows.x, weight)
    z = z - weighted_mean(z, weight)
    covariance = (weight[:, None] * x).T @ z / weight.sum()
    # Directions that say nothing would be rounding's choice: a little of the columns' own order.
    d = covariance.shape[1]
    own = torch.linspace(1, 0.5, d, dtype=z.dtype).diag()
    tie_break = TIE_BREAK * torch.linalg.matrix_norm(covariance, 2) * own
    return oriented(torch.linalg.svd(torch.cat([covariance, tie_break])).Vh.T)


def _booked(flow: Flow, rows: Rows, seed: int) -> tuple[Tensor, Tensor]:
    """Mean accounts of the columns, by the transforms alone and with the base."""
    some = rows.evenly(BOOKED_ROWS)
    at_once = max(1, VALUES_AT_ONCE // some.x.shape[1])
    weight = torch.ones_like(some.x[:, 0]) if some.weight is None else some.weight
    of_transforms, of_all = torch.zeros_like(some.x[0]), torch.zeros_like(some.x[0])
    with torch.no_grad():
        for x, w in zip(
            some.x.split(at_once),
            (weight / weight.sum()).split(at_once),
            strict=True,
        ):
            ledger = Ledger(x, w)
            noise = shared_noise(torch.Generator().manual_seed(seed))
            z = flow.encode_booked(x, ledger, noise)
            of_transforms += ledger.by_column[0]
            ledger.book(flow.base.log_prob_per_dimension(z))
            of_all += ledger.by_column[0]
    return of_transforms, of_all


def log_derivative_contributions(flow: Flow, rows: Rows) -> Tensor:
    """Mean log-derivative that each column gathers in the flow, its own deviation the unit: (d,).

    Normal columns that the others say nothing about have 0. Rounded, so that equal ones are equal.
    """
    deviation = weighted_moments(rows.x, rows.weight)[1]
    return (_booked(flow, rows, 0)[0] + deviation.log()).round(decimals=DECIMALS)


def column_contributions(flow: Flow, rows: Rows, seed: int) -> Tensor:
    """What each column adds to the mean log-density over that of independent normals: (d,)."""
    deviation = weighted_moments(rows.x, rows.weight)[1]
    return _booked(flow, rows, seed)[1] + deviation.log() + LOG_SQRT_2PIE
