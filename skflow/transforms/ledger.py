"""Whose the log-volume is: contributions kept apart by dimension, through layers that mix them."""

import torch
from torch import Tensor

from skflow.transforms.books import Books


class Ledger(Books):
    r"""Contributions of the layers that rows have gone through, by dimension and by column.

    `Transform.forward_booked` writes into it. ``by_column`` is of the columns the rows began with,
    ``by_dimension`` of the present dimensions; row by row each adds up to the contribution of all
    layers. The rules:

    * An elementwise map, a coupling, an autoregressive map books each dimension's log-derivative.
    * A permutation takes the dimensions' accounts along.
    * A dense map ``z = W x`` is a rotation followed by a stretching, :math:`W = S Q` with
      :math:`S = (W W^T)^{1/2}`. The rotation hands accounts on in proportion to its squared
      entries; the stretching books the diagonal of :math:`\log S`, whose trace is log|det W|.
      Whitening so books minus half the log of every axis's variance on that axis.
    * A funnel closes the accounts of the dimensions it drops; what it says of them is spread over
      them evenly. From then on ``by_dimension`` is of the others alone.
    * Any other map spreads its contribution evenly: no ranking comes from it. If it keeps the
      number of dimensions (a convolution) the accounts stay in their places, else new ones open.

    The published method has per-element terms alone and says nothing of dense maps; their rule is
    ours.

    Parameters
    ----------
    x : Tensor of shape (n, d)
        The rows before the first layer; of any other shape, they count as flat.
    weight : Tensor of shape (n,), optional
        Where given, one account is kept for all rows, their sum by these weights: the mean for
        weights of 1/n, without an account for every row.

    Attributes
    ----------
    by_dimension, by_column : Tensor of shape (n, d), or (1, d) with ``weight``
        In nats.

    References
    ----------
    Das, Abbeel, Spanos (2019), "Dimensionality Reduction Flows", arXiv:1908.01686.

    Examples
    --------
    >>> import torch
    >>> from skflow.transforms import Affine, Compose, Coupling, Ledger, LULinear
    >>> flow = Compose([LULinear(4), Coupling(4, Affine())])
    >>> x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    >>> ledger = Ledger(x)
    >>> z = flow.forward_booked(x, None, None, ledger)
    >>> torch.allclose(ledger.by_column.sum(1), flow(x)[1])
    True
    """

    def __init__(self, x: Tensor, weight: Tensor | None = None):
        x = x.flatten(1)
        self._weight = weight
        self.by_dimension = torch.zeros_like(x if weight is None else x[:1])
        self.by_column = torch.zeros_like(self.by_dimension)
        # Shares of the columns (second axis) in the present dimensions; both ways they sum to 1.
        self._shares = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)

    def run(self, step, x, context, noise):
        """Run a layer, which books for itself."""
        return step._forward_booked(x, step.taken(context), noise, self)

    def drop(self, log_prob: Tensor) -> None:
        """Spread the log-density of what is dropped: nobody in particular has made it."""
        self.spread(log_prob)

    def book(self, contributions: Tensor) -> None:
        """Add one contribution for every row and present dimension: shape (n, d)."""
        if self._weight is not None:
            contributions = self._weight[None] @ contributions
        self.by_dimension = self.by_dimension + contributions
        self.by_column = self.by_column + contributions @ self._shares

    def spread(self, contribution: Tensor) -> None:
        """Add a contribution of shape (n,) that nobody in particular has made."""
        d = self.by_dimension.shape[1]
        self.book((contribution / d)[:, None].expand(-1, d))

    def stretch(self, contributions: Tensor) -> None:
        """Add to every present dimension the same contribution in all rows: shape (d,)."""
        rows = len(self.by_dimension) if self._weight is None else len(self._weight)
        self.book(contributions.expand(rows, -1))

    def reorder(self, order: Tensor) -> None:
        """Follow the dimensions to their new places."""
        self.by_dimension = self.by_dimension[:, order]
        self._shares = self._shares[order]

    def turn(self, rotation: Tensor, n_positions: int = 1) -> None:
        """Follow ``z = x Q`` with Q orthogonal, the same at every position."""
        shares = rotation.T.square()
        n, d = self.by_dimension.shape
        channels = self.by_dimension.view(n, -1, n_positions)
        self.by_dimension = (shares @ channels).reshape(n, d)
        self._shares = (shares @ self._shares.view(len(shares), -1)).reshape(d, -1)

    def map_linearly(self, weight: Tensor, n_positions: int = 1) -> None:
        """Follow ``z = W x``, and book its log|det W|; at every position the same."""
        left, scales, right = torch.linalg.svd(weight)
        self.turn((left @ right).T, n_positions)
        log_stretching = left.square() @ scales.log()
        self.stretch(log_stretching.repeat_interleave(n_positions))

    def open(self, n_dimensions: int) -> None:
        """Begin with new dimensions, each made of all columns alike."""
        n, d = self.by_column.shape
        self.by_dimension = self.by_column.new_zeros(n, n_dimensions)
        self._shares = self._shares.new_full((n_dimensions, d), 1 / d)

    def part(self, dimensions: Tensor | slice) -> "Ledger":
        """The accounts of some dimensions alone; what is booked there is not booked here."""
        part = Ledger(self.by_column)
        part._weight = self._weight
        part.by_dimension = self.by_dimension[:, dimensions]
        part._shares = self._shares[dimensions]
        return part

    def join(self, *parts):
        """Go on with the accounts of parts, side by side."""
        self._add_columns(parts)
        self.by_dimension = torch.cat([part.by_dimension for part in parts], 1)
        self._shares = torch.cat([part._shares for part in parts])

    def close(self, going_on, closing):
        """Go on with one part; the other keeps what it has, in ``by_column``."""
        self._add_columns((going_on, closing))
        self.by_dimension, self._shares = going_on.by_dimension, going_on._shares

    def _add_columns(self, parts: "tuple[Ledger, ...]") -> None:
        self.by_column = self.by_column + sum(part.by_column for part in parts)
