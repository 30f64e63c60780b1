"""The positive part of columns, in both directions of inference."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skflow.distributions.normal import LOG_SQRT_2PI
from skflow.distributions.signs import Signs
from skflow.kernels.affine import bounded_log_scale
from skflow.kernels.half_normal import half_normal_of, log_half_normal, normal_of
from skflow.kernels.moments import n_rows, weighted_mean, weighted_median
from skflow.transforms.base import DroppingTransform, Transform
from skflow.transforms.bounds import Bound
from skflow.transforms.conditioner import Conditioner, chosen_columns

UNSEEN = 0.5  # rows added to either sign, so that one without any has a finite logarithm


def _root_mean_square(x: Tensor, used: Tensor, weight: Tensor | None) -> Tensor:
    """Per column, over the entries that are used; 1 where that is none or zero."""
    share = weighted_mean(used.to(x), weight)
    square = weighted_mean(torch.where(used, x, 0.0).square(), weight)
    known = (share > 0) & (square > 0)
    return torch.where(known, square / torch.where(known, share, 1.0), 1.0).sqrt()


class ReLU(DroppingTransform):
    r"""The positive part of columns on one line with a model of what a ReLU forgets.

    A ReLU keeps a positive x and forgets where at or below zero another one was, so its latent has
    an atom at zero, which no density on a line has. Here the atom's probability and the density
    below zero belong to the layer, given the columns that are not chosen and the context. With
    P(x > 0) and a half-normal density :math:`p_-` of :math:`-x` from it,

    .. math::
        z = \mathrm{softplus}^{-1}(x / c), \quad
            V = \log P(x > 0) + \log |dz / dx| \quad (x > 0), \qquad
        z = \Phi^{-1}(F_-(x)), \quad V = \log P(x \le 0) + \log \frac{p_-(x)}{N(z; 0, 1)}
            \quad (x \le 0),

    summed over columns; c is a typical positive value. Both parts fill the whole line, so the
    likelihood is exact and of mass one under any density above. Under a standard normal one the
    second part is the ReLU's: :math:`P(x \le 0) p_-(x)`, whatever the latent. The mean path takes
    the likelier part.

    Parameters
    ----------
    n_features : int
    columns : sequence of int, optional
        All by default. The others stay as they are.
    hidden_layer_sizes : sequence of int
    n_context : int
        Width of the context, 0 for none.
    generator : torch.Generator, optional
        Source of the initial weights.

    References
    ----------
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.
    """

    columns: Tensor
    others: Tensor

    def __init__(
        self,
        n_features: int,
        columns: Sequence[int] | None = None,
        hidden_layer_sizes: Sequence[int] = (64, 64),
        *,
        n_context: int = 0,
        generator: torch.Generator | None = None,
    ):
        super().__init__(n_context)
        chosen = chosen_columns(n_features, columns)
        others = sorted(set(range(n_features)) - set(chosen))
        k = len(chosen)
        self.opening = Bound(torch.zeros(k), torch.full((k,), math.inf))
        self.signs = Signs(k)
        self.conditioner = Conditioner(
            len(others), 2, k, hidden_layer_sizes, n_context=n_context, generator=generator
        )
        self.log_odds = nn.Parameter(torch.zeros(k))
        self.log_scale = nn.Parameter(torch.zeros(k))
        self.register_buffer("columns", torch.tensor(chosen), persistent=False)
        self.register_buffer("others", torch.tensor(others, dtype=torch.long), persistent=False)

    def _log_odds_and_log_scale(self, x, context):
        log_odds, raw = self.conditioner(x[:, self.others], context)
        return self.log_odds + log_odds.T, self.log_scale + bounded_log_scale(raw.T)

    def _initialize(self, x, weight, context, noise):
        chosen = x[:, self.columns]
        positive = chosen > 0
        typical = weighted_median(torch.where(positive, chosen, torch.nan), weight)
        self.opening.scale.copy_(torch.where(typical > 0, typical, 1.0))
        self.log_scale.copy_(_root_mean_square(chosen, ~positive, weight).log())
        n = n_rows(x, weight)
        n_positive = weighted_mean(positive.to(x), weight) * n
        self.log_odds.copy_(((n_positive + UNSEEN) / (n - n_positive + UNSEEN)).log())
        self.conditioner.initialize(x[:, self.others], weight)
        return self._forward(x, context, noise)[0]

    def _forward_in_parts(self, x, context, noise):
        chosen = x[:, self.columns]
        log_odds, log_scale = self._log_odds_and_log_scale(x, context)
        positive = chosen > 0
        # Either part gets numbers that are safe for it.
        above, log_above = self.opening.forward_per_dimension(torch.where(positive, chosen, 1.0))
        ratio = torch.where(positive, 1.0, -chosen) * torch.exp(-log_scale)
        below = -normal_of(ratio)
        log_below = log_half_normal(ratio) - log_scale + 0.5 * below * below + LOG_SQRT_2PI
        z = x.index_copy(1, self.columns, torch.where(positive, above, below))
        signs = torch.where(positive, 1.0, -1.0).to(x)
        volume = torch.where(positive, log_above, log_below).sum(1)
        return z, volume, self.signs.log_prob(signs, log_odds)

    def _inverse(self, z, context, draw):
        log_odds, log_scale = self._log_odds_and_log_scale(z, context)
        chosen = z[:, self.columns]
        below = -log_scale.exp() * half_normal_of(-chosen)
        positive = draw(self.signs, log_odds) > 0
        return z.index_copy(
            1, self.columns, torch.where(positive, self.opening.inverse(chosen), below)
        )


class GenerativeReLU(Transform):
    r"""Columns with an atom at zero to the whole line; going back, ``x = max(z, 0)``.

    A positive x stays as it is; for x = 0 a z below zero is drawn from a half-normal q, given the
    row and the context:

    .. math:: V = -\mathbf{1}[x = 0] \log q(z | x)

    A generative surjection, so the flow gives a bound; for columns such as rainfall or amounts
    spent, of which many are exactly zero. It is the log of a density where x > 0, and of a
    probability where x = 0. Where a chosen column is negative the contribution is -inf.

    Parameters
    ----------
    n_features, columns, hidden_layer_sizes, n_context, generator
        See `ReLU`.

    References
    ----------
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.
    """

    exact = False
    columns: Tensor

    def __init__(
        self,
        n_features: int,
        columns: Sequence[int] | None = None,
        hidden_layer_sizes: Sequence[int] = (64, 64),
        *,
        n_context: int = 0,
        generator: torch.Generator | None = None,
    ):
        super().__init__(n_context)
        chosen = chosen_columns(n_features, columns)
        self.conditioner = Conditioner(
            n_features, 1, len(chosen), hidden_layer_sizes, n_context=n_context, generator=generator
        )
        self.log_scale = nn.Parameter(torch.zeros(len(chosen)))
        self.register_buffer("columns", torch.tensor(chosen), persistent=False)

    def _initialize(self, x, weight, context, noise):
        chosen = x[:, self.columns]
        self.log_scale.copy_(_root_mean_square(chosen, chosen > 0, weight).log())
        self.conditioner.initialize(x, weight)
        return self._forward(x, context, noise)[0]

    def _forward(self, x, context, noise):
        chosen = x[:, self.columns]
        log_scale = self.log_scale + bounded_log_scale(self.conditioner(x, context)[0].T)
        ratio = half_normal_of(noise(x, len(self.columns)))
        z = torch.where(chosen > 0, chosen, -log_scale.exp() * ratio)
        log_q = torch.where(chosen > 0, 0.0, log_half_normal(ratio) - log_scale).sum(1)
        contribution = torch.where((chosen >= 0).all(1), -log_q, -torch.inf)
        return x.index_copy(1, self.columns, z), contribution

    def _inverse(self, z, context, draw):
        return z.index_copy(1, self.columns, z[:, self.columns].clamp_min(0))
