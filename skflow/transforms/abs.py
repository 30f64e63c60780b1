"""Absolute values and signs, in both directions of inference."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from skflow.distributions.signs import Signs
from skflow.transforms.base import DroppingTransform, Transform
from skflow.transforms.bounds import Bound
from skflow.transforms.conditioner import Conditioner, chosen_columns
from skflow.transforms.random_choice import drawn_choice


class _AbsTransform(Transform):
    """What both directions share: the chosen columns and a distribution of their signs.

    Parameters
    ----------
    n_features : int
    columns : sequence of int, optional
        Columns of which the absolute value is taken; all by default. The others stay as they are.
    hidden_layer_sizes : sequence of int
        Of the network that gives the log-odds of the signs; they are even at first.
    n_context : int
        Width of the context, 0 for none.
    generator : torch.Generator, optional
        Source of the initial weights.
    """

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
        self.signs = Signs(len(chosen))
        self.conditioner = Conditioner(
            n_features, 1, len(chosen), hidden_layer_sizes, n_context=n_context, generator=generator
        )
        self.register_buffer("columns", torch.tensor(chosen), persistent=False)

    def _log_odds(self, columns, context):
        return self.conditioner(columns, context)[0].T

    def _on_chosen(self, x: Tensor, values: Tensor) -> Tensor:
        """``x`` with the chosen columns replaced."""
        return x.index_copy(1, self.columns, values)

    def _folded(self, x: Tensor) -> Tensor:
        return self._on_chosen(x, x[:, self.columns].abs())

    def _with_signs(self, x: Tensor, signs: Tensor) -> Tensor:
        return self._on_chosen(x, signs * x[:, self.columns])


class Abs(_AbsTransform, DroppingTransform):
    r"""Absolute values, opened to the whole line; going back, signs are drawn.

    .. math::
        z_i = \mathrm{softplus}^{-1}(|x_i| / c_i), \qquad
        V = \sum_i \log P(\mathrm{sign}\, x_i | z) + \log |\partial z_i / \partial |x_i||,

    with typical sizes c from the data, or with a limit L the logit of :math:`|x_i| / L`. Columns
    that are not chosen stay as they are and are seen by the signs. An inference surjection: exact.
    Absolute values fill a quadrant, and a density of the whole space above it would lose what it
    has outside; so the map that opens the quadrant is part of the layer. Data that are symmetric
    under changes of sign are learned as one quadrant. The mean path takes the likelier signs.

    Parameters
    ----------
    n_features, columns, hidden_layer_sizes, n_context, generator
        See `_AbsTransform`. The network sees z.
    limit : float, default=inf
        No absolute value of a chosen column is larger: beyond it the density is zero.

    References
    ----------
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.

    Examples
    --------
    >>> import torch
    >>> from skflow.transforms import Abs
    >>> layer = Abs(2).double()
    >>> x = torch.tensor([[-1.0, 2.0]], dtype=torch.float64)
    >>> z, contribution = layer(x)
    >>> torch.allclose(layer.inverse(z).abs(), x.abs())
    True
    """

    def __init__(
        self,
        n_features: int,
        columns: Sequence[int] | None = None,
        hidden_layer_sizes: Sequence[int] = (64, 64),
        *,
        limit: float = math.inf,
        n_context: int = 0,
        generator: torch.Generator | None = None,
    ):
        super().__init__(
            n_features, columns, hidden_layer_sizes, n_context=n_context, generator=generator
        )
        lower = torch.full((n_features,), -math.inf)
        upper = torch.full_like(lower, math.inf)
        lower[self.columns] = 0.0
        upper[self.columns] = limit
        self.opening = Bound(lower, upper)

    def _initialize(self, x, weight, context, noise):
        z = self.opening.initialize(self._folded(x), weight)
        self.conditioner.initialize(z, weight)
        return z

    def _forward_in_parts(self, x, context, noise):
        z, volume = self.opening(self._folded(x))
        signs = torch.where(x[:, self.columns] < 0, -1.0, 1.0).to(x)
        return z, volume, self.signs.log_prob(signs, self._log_odds(z, context))

    def _inverse(self, z, context, draw):
        signs = draw(self.signs, self._log_odds(z, context))
        return self._with_signs(self.opening.inverse(z), signs)


class GenerativeAbs(_AbsTransform):
    r"""Columns of x >= 0 with random signs; going back, the signs are forgotten.

    With signs s drawn from q, :math:`z = s x` and :math:`V = -\log q(s | x)`. A generative
    surjection, so the flow gives a bound; `FibreSum` gives the density itself for a few columns.
    Where a chosen column is negative the contribution is -inf. The mean path takes the likelier
    signs.

    Parameters
    ----------
    n_features, columns, hidden_layer_sizes, n_context, generator
        See `_AbsTransform`. The network sees x.

    References
    ----------
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.
    """

    exact = False

    def _initialize(self, x, weight, context, noise):
        self.conditioner.initialize(x, weight)
        return self._forward(x, context, noise)[0]

    def _forward(self, x, context, noise):
        log_odds = self._log_odds(x, context)
        log_p = torch.stack([logsigmoid(log_odds), logsigmoid(-log_odds)], 2)
        one_hot, log_q = drawn_choice(log_p, noise(x, 2 * len(self.columns)).view_as(log_p))
        possible = (x[:, self.columns] >= 0).all(1)
        contribution = torch.where(possible, -log_q.sum(1), -torch.inf)
        return self._with_signs(x, one_hot[..., 0] - one_hot[..., 1]), contribution

    def _inverse(self, z, context, draw):
        return self._folded(z)
