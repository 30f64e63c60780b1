"""One column cut into intervals, each of which fills the whole line."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from skflow.distributions.categorical import Categorical
from skflow.transforms.base import DroppingTransform
from skflow.transforms.bounds import Bound
from skflow.transforms.conditioner import Conditioner, chosen_columns
from skflow.transforms.marginal import weighted_quantiles


def _median(distance: Tensor, weight: Tensor | None) -> Tensor:
    """Between the two in the middle; 0 of none."""
    if not len(distance):
        return distance.new_zeros(())
    if weight is None:
        return distance.quantile(0.5)
    return weighted_quantiles(distance[:, None], distance.new_tensor([0.5]), weight)[0, 0]


class Partition(DroppingTransform):
    r"""Each interval of a column to the whole line; going back, the interval is drawn.

    With the interval e of x and its map :math:`f_e` onto the line (see `Bound`: the logit, or the
    inverse softplus for the two half-lines),

    .. math:: z = f_e(x), \qquad V = \log P(e | z) + \log |f_e'(x)|.

    The probabilities may depend on all latent columns and on the context, and are equal at first.
    An inference surjection: exact. A single cut at zero splits a column by its sign, with a map of
    its own on either side. A value on a cut belongs to the interval above it.

    Parameters
    ----------
    n_features : int
    cuts : sequence of float or Tensor
        Ascending; one interval more than cuts. A tensor's dtype is the layer's.
    column : int, default=0
    hidden_layer_sizes : sequence of int
    n_context : int
        Width of the context, 0 for none.
    generator : torch.Generator, optional
        Source of the initial weights.

    References
    ----------
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.
    Dinh, Sohl-Dickstein, Larochelle, Pascanu (2019), "A RAD approach to deep mixture models",
    arXiv:1903.07714.

    Examples
    --------
    >>> import torch
    >>> from skflow.transforms import Partition
    >>> layer = Partition(1, cuts=[-1.0, 1.0]).double()
    >>> x = torch.tensor([[-3.0], [0.0], [5.0]], dtype=torch.float64)
    >>> z, contribution = layer(x)
    >>> layer.interval(x).tolist()
    [0, 1, 2]
    """

    cuts: Tensor
    inner_points: Tensor

    def __init__(
        self,
        n_features: int,
        cuts: Sequence[float] | Tensor,
        column: int = 0,
        hidden_layer_sizes: Sequence[int] = (64, 64),
        *,
        n_context: int = 0,
        generator: torch.Generator | None = None,
    ):
        super().__init__(n_context)
        chosen_columns(n_features, [column])
        self.column = column
        inner = 1.0 * torch.as_tensor(cuts)
        edges = torch.cat([inner.new_tensor([-math.inf]), inner, inner.new_tensor([math.inf])])
        if len(cuts) < 1 or not edges[1:-1].isfinite().all() or not (edges.diff() > 0).all():
            raise ValueError(f"cuts must be one or more finite numbers in ascending order: {cuts}")
        self.lines = Bound(edges[:-1], edges[1:])
        self.intervals = Categorical(len(cuts) + 1)
        self.conditioner = Conditioner(
            n_features, len(cuts) + 1, 1, hidden_layer_sizes, n_context=n_context,
            generator=generator,
        )  # fmt: skip
        self.register_buffer("cuts", edges[1:-1].clone())
        inside = [edges[1] - 1, *(0.5 * (edges[1:-2] + edges[2:-1])), edges[-2] + 1]
        self.register_buffer("inner_points", torch.stack(inside))

    def interval(self, x: Tensor) -> Tensor:
        """Number of the interval in which each row of x is: shape (n,)."""
        return (x[:, self.column, None] >= self.cuts).sum(1)

    def _logits(self, z, context):
        return self.conditioner(z, context)[:, 0].T

    def _with_column(self, x, values):
        c = self.column
        return torch.cat([x[:, :c], values, x[:, c + 1 :]], 1)

    def _initialize(self, x, weight, context, noise):
        values, number = x[:, self.column], self.interval(x)
        last = len(self.cuts)
        for half_line, distance in (
            (0, self.cuts[0] - values),
            (last, values - self.cuts[-1]),
        ):
            inside = (number == half_line) & ~distance.isnan()
            typical = _median(distance[inside], None if weight is None else weight[inside])
            self.lines.scale[half_line] = torch.where(typical > 0, typical, 1.0)
        z = self._opened(x)[0]
        self.conditioner.initialize(z, weight)
        return z

    def _opened(self, x):
        """Latent rows, the log-derivative, and the number of the interval (n, 1)."""
        number = self.interval(x)[:, None]
        # Every interval gets numbers that are inside it, whatever row they come from.
        inner = self.inner_points.expand(len(x), -1)
        own = inner.scatter(1, number, x[:, self.column, None])
        lines, log_derivative = self.lines.forward_per_dimension(own)
        z = self._with_column(x, lines.gather(1, number))
        return z, log_derivative.gather(1, number)[:, 0], number

    def _forward_in_parts(self, x, context, noise):
        z, volume, number = self._opened(x)
        return z, volume, self.intervals.log_prob(number, self._logits(z, context))

    def _inverse(self, z, context, draw):
        number = draw(self.intervals, self._logits(z, context)).long()
        column = z[:, self.column, None].expand(-1, len(self.cuts) + 1)
        # Rounding may reach the upper cut, which belongs to the next interval.
        upper = self.lines.upper
        last = torch.nextafter(upper, torch.full_like(upper, -math.inf))
        values = torch.minimum(self.lines.inverse(column), last)
        return self._with_column(z, values.gather(1, number))
