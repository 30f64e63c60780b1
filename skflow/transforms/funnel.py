"""Funnels and slices: fewer columns on the latent side, and an exact likelihood."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skflow.distributions import Decoder
from skflow.transforms.base import Transform
from skflow.transforms.dense import to_channels, to_rows
from skflow.transforms.linear import LULinear
from skflow.transforms.wrapper import Wrapper


class Funnel(Wrapper):
    r"""Some columns are dropped, the kept ones go through a bijection that may look at those.

    With x split into kept :math:`x_+` and dropped :math:`x_-`,

    .. math::
        z = f(x_+; x_-), \qquad
        V = \log p(x_- | z) + \log |\det \partial f / \partial x_+|.

    A deterministic function of x with a stochastic right inverse: the likelihood is exact. Without
    a transform this is the slice of SurVAE flows.

    Parameters
    ----------
    n_features : int
    kept : int or sequence of int
        How many of the first columns are kept, or which ones, in their latent order.
    decoder : Decoder
        Density of the dropped columns, in ascending order, given z (and the context).
    transform : Transform, optional
        The bijection f of the kept columns, given the dropped ones (and the context) as its
        context: `Coupling` with ``n_kept=0``, `Autoregressive`, `ConditionalLinear`; or any other
        that takes no context.
    n_context : int
        Width of the context, 0 for none.

    References
    ----------
    Klein, Raine, Pina-Otey, Voloshynovskiy, Golling (2021), "Funnels: Exact maximum likelihood with
    dimensionality reduction", arXiv:2112.08069.

    Examples
    --------
    >>> import torch
    >>> from skflow.distributions import LocationScale, StandardNormal
    >>> from skflow.transforms import Affine, Coupling, Funnel
    >>> decoder = LocationScale(StandardNormal(3), n_context=2)
    >>> funnel = Funnel(5, 2, decoder, Coupling(2, Affine(), n_kept=0, n_context=3))
    >>> z, contribution = funnel(torch.zeros(4, 5))
    >>> z.shape, contribution.shape
    (torch.Size([4, 2]), torch.Size([4]))
    """

    kept: Tensor
    dropped: Tensor

    def __init__(
        self,
        n_features: int,
        kept: int | Sequence[int],
        decoder: Decoder,
        transform: Transform | None = None,
        *,
        n_context: int = 0,
    ):
        super().__init__(n_context)
        chosen = list(range(kept)) if isinstance(kept, int) else [int(i) for i in kept]
        rest = sorted(set(range(n_features)) - set(chosen))
        if not chosen or len(chosen) + len(rest) != n_features or not rest:
            raise ValueError(
                f"kept={kept!r} must name between 1 and {n_features - 1} different columns of "
                f"{n_features}."
            )
        if decoder.n_features != len(rest):
            raise ValueError(
                f"the decoder is for {decoder.n_features} columns, but {len(rest)} are dropped."
            )
        if transform is not None and transform.n_context not in (0, len(rest) + n_context):
            raise ValueError(
                f"the transform takes a context of width {transform.n_context}, but {len(rest)} "
                f"columns are dropped and the funnel's own context has {n_context}."
            )
        self.decoder = decoder
        self.transform = transform
        self.register_buffer("kept", torch.tensor(chosen), persistent=False)
        self.register_buffer("dropped", torch.tensor(rest), persistent=False)
        self.register_buffer("restored", torch.tensor([*chosen, *rest]).argsort(), persistent=False)

    @property
    def exact(self) -> bool:  # type: ignore[override]
        return self.transform is None or self.transform.exact

    @staticmethod
    def _beside(columns: Tensor, context: Tensor | None) -> Tensor:
        return columns if context is None else torch.cat([columns, context], 1)

    def _run(self, x, context, noise, books):
        z, dropped = x[:, self.kept], x[:, self.dropped]
        going_on, closing = books.part(self.kept), books.part(self.dropped)
        if self.transform is not None:
            z = going_on.run(self.transform, z, self._beside(dropped, context), noise)
        closing.drop(self.decoder.log_prob(dropped, self._beside(z, context)))
        books.close(going_on, closing)
        return z

    def _inverse(self, z, context, draw):
        dropped = draw(self.decoder, self._beside(z, context))
        kept = z
        if self.transform is not None:
            beside = self.transform.taken(self._beside(dropped, context))
            kept = self.transform._inverse(z, beside, draw)
        return torch.cat([kept, dropped], 1)[:, self.restored]

    def _initialize(self, x, weight, context, noise):
        z, dropped = x[:, self.kept], x[:, self.dropped]
        if self.transform is not None:
            beside = self.transform.taken(self._beside(dropped, context))
            z = self.transform._initialize(z, weight, beside, noise)
        self.decoder.initialize(dropped, self._beside(z, context), weight)
        return z


class ConditionalLinear(Transform):
    """``z = A x + B c + b`` with an LU-parametrised square A and the context c: a dense funnel's f.

    The identity at first.

    Parameters
    ----------
    n_features, n_context : int
    n_positions : int, default=1
        The same maps act on the channels at every position, for rows and contexts laid out as
        (channels, positions).
    """

    def __init__(self, n_features: int, n_context: int, n_positions: int = 1):
        super().__init__(n_context)
        self.linear = LULinear(n_features, n_positions)
        self.mixing = nn.Parameter(torch.zeros(n_context // n_positions, n_features // n_positions))

    def _shift(self, context):
        positions = self.linear.n_positions
        return to_rows(to_channels(context, positions) @ self.mixing, positions)

    def _forward(self, x, context, noise):
        z, contribution = self.linear(x)
        return z + self._shift(context), contribution

    def _inverse(self, z, context, draw):
        return self.linear.inverse(z - self._shift(context))
