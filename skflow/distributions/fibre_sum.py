"""The density of absolute values or of sorted columns, by summing over all that they stand for."""

import math
from collections.abc import Sequence
from itertools import permutations, product

import torch
from torch import Tensor

from skflow.distributions.base import Distribution

MOST_SIGNS = 8  # columns: 256 evaluations of the inner density
MOST_SORTED = 5  # columns: 120 evaluations


class FibreSum(Distribution):
    r"""The density of f(z), z from an inner density, where f forgets signs or an order.

    .. math:: p(x) = \sum_{z : f(z) = x} p_{inner}(z)

    Exact where `GenerativeAbs` and `GenerativeSort` give bounds, at the cost of one evaluation of
    the inner density for each member of the sum. Rows that f never gives (a negative number, an
    order that does not ascend) have density zero.

    Parameters
    ----------
    inner : Distribution or Flow
        Its `log_prob` and `sample` are used; the density must be exact.
    n_features : int
    forgets : {"signs", "order"}
        f takes absolute values or sorts ascending.
    columns : sequence of int, optional
        Of which f forgets signs or order; all by default. At most eight for signs, five for orders.

    References
    ----------
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.

    Examples
    --------
    >>> import torch
    >>> from skflow.distributions import FibreSum, StandardNormal
    >>> folded = FibreSum(StandardNormal(1), 1, "signs")
    >>> x = torch.zeros(1, 1)
    >>> torch.allclose(folded.log_prob(x).exp(), 2 * StandardNormal(1).log_prob(x).exp())
    True
    """

    columns: Tensor
    orders: Tensor
    signs: Tensor

    def __init__(
        self,
        inner: torch.nn.Module,
        n_features: int,
        forgets: str = "signs",
        columns: Sequence[int] | None = None,
    ):
        super().__init__()
        if forgets not in ("signs", "order"):
            raise ValueError(f"forgets must be 'signs' or 'order', got {forgets!r}")
        if not getattr(inner, "exact", True):
            raise ValueError("the inner flow must be exact: a sum of bounds is no density")
        chosen = list(range(n_features)) if columns is None else [int(c) for c in columns]
        if not chosen or len(set(chosen)) != len(chosen) or not set(chosen) <= {*range(n_features)}:
            raise ValueError(f"columns={columns!r} must name different columns of {n_features}.")
        most = MOST_SIGNS if forgets == "signs" else MOST_SORTED
        if len(chosen) > most:
            n = len(chosen)
            size = 2**n if forgets == "signs" else math.factorial(n)
            bound = "GenerativeAbs" if forgets == "signs" else "GenerativeSort"
            raise ValueError(
                f"forgetting the {forgets} of {n} columns means a sum of {size} terms for every "
                f"row; at most {most} columns are summed over. {bound} gives a bound instead."
            )
        self.inner = inner
        self.n_features = n_features
        self.forgets = forgets
        if forgets == "signs":
            patterns = list(product([1.0, -1.0], repeat=len(chosen)))
            signs = torch.ones(len(patterns), n_features)
            signs[:, chosen] = torch.tensor(patterns)
            orders = torch.arange(n_features).expand(len(patterns), -1)
        else:
            patterns = list(permutations(chosen))
            orders = torch.arange(n_features).repeat(len(patterns), 1)
            orders[:, chosen] = torch.tensor(patterns)
            signs = torch.ones(len(patterns), n_features)
        self.register_buffer("columns", torch.tensor(chosen), persistent=False)
        self.register_buffer("orders", orders.clone(), persistent=False)
        self.register_buffer("signs", signs, persistent=False)

    def _possible(self, x):
        chosen = x[:, self.columns]
        if self.forgets == "signs":
            return (chosen >= 0).all(1)
        return (chosen.diff(dim=1) >= 0).all(1)

    def log_prob(self, x, context=None):
        n_terms = len(self.orders)
        fibre = (x[:, self.orders] * self.signs).transpose(0, 1).flatten(0, 1)
        repeated = None if context is None else context.repeat(n_terms, 1)
        terms = self.inner.log_prob(fibre, repeated).view(n_terms, len(x))
        return torch.where(self._possible(x), terms.logsumexp(0), -torch.inf)

    def sample(self, n, context=None, generator=None):
        z = self.inner.sample(n, context, generator)
        chosen = z[:, self.columns]
        forgotten = chosen.abs() if self.forgets == "signs" else chosen.sort(1).values
        return z.index_copy(1, self.columns, forgotten)
