"""The largest of some columns, in both directions of inference."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skflow.distributions.base import Decoder
from skflow.distributions.categorical import Categorical
from skflow.kernels.affine import bounded_log_scale
from skflow.kernels.half_normal import MEAN, half_normal_of, log_half_normal
from skflow.kernels.moments import n_rows, weighted_mean
from skflow.transforms.base import DroppingTransform, Transform
from skflow.transforms.conditioner import Conditioner, chosen_columns
from skflow.transforms.random_choice import drawn_choice


class BelowMaximum(Decoder):
    r"""How far below their maximum K numbers are: 0 for the maximum itself.

    .. math::
        p(d) = P(k) \prod_{i \ne k} \frac{2}{\sigma_i} N(d_i / \sigma_i; 0, 1), \qquad d_k = 0

    The context holds the K log-probabilities of the places, up to a constant, and the K
    :math:`\log \sigma`.

    Parameters
    ----------
    group_size : int
        K.
    """

    def __init__(self, group_size: int):
        super().__init__()
        self.n_features = group_size
        self.places = Categorical(group_size)

    def log_prob_of_offsets(self, offsets: Tensor, context: Tensor) -> Tensor:
        """Log-density of each offset, were its column not the maximum: (n, K)."""
        log_scale = context.chunk(2, 1)[1]
        return log_half_normal(offsets * torch.exp(-log_scale)) - log_scale

    def log_prob(self, x, context=None):
        # The smallest offset is the maximum's own; of equal ones the first.
        place = x.argmin(1, keepdim=True)
        others = self.log_prob_of_offsets(x, context).scatter(1, place, 0.0).sum(1)
        return self.places.log_prob(place, context.chunk(2, 1)[0]) + others

    def offsets_of(self, numbers: Tensor, context: Tensor) -> Tensor:
        """The offsets for which standard normal numbers (n, K) stand, the maximum's own too."""
        return context.chunk(2, 1)[1].exp() * half_normal_of(numbers)

    def sample(self, n, context=None, generator=None):
        like = {"generator": generator, "dtype": context.dtype, "device": context.device}
        place = self.places.sample(n, context.chunk(2, 1)[0], generator).long()
        numbers = torch.randn(n, self.n_features, **like)
        return self.offsets_of(numbers, context).scatter(1, place, 0.0)

    def mean(self, context):
        """The maximum at its likeliest place, every other offset at its mean."""
        logits, log_scale = context.chunk(2, 1)
        return (MEAN * log_scale.exp()).scatter(1, logits.argmax(1, keepdim=True), 0.0)


class _MaxTransform(Transform):
    """What both directions share: the distribution of the numbers below a maximum.

    Parameters
    ----------
    group_size : int
        Numbers of which the largest is taken.
    n_seen : int
        Columns of the side that has the maximum only.
    hidden_layer_sizes, n_context, generator
        Of the network for log-probabilities of places and scales.
    """

    def __init__(
        self,
        group_size: int,
        n_seen: int,
        hidden_layer_sizes: Sequence[int],
        *,
        n_context: int,
        generator: torch.Generator | None,
    ):
        super().__init__(n_context)
        self.decoder = BelowMaximum(group_size)
        self.conditioner = Conditioner(
            n_seen, 2, group_size, hidden_layer_sizes, n_context=n_context, generator=generator
        )
        self.log_scale = nn.Parameter(torch.zeros(group_size))

    def _parameters_given(self, seen, context):
        logits, raw = self.conditioner(seen, context)
        return torch.cat([logits.T, self.log_scale + bounded_log_scale(raw.T)], 1)


class Max(_MaxTransform, DroppingTransform):
    r"""``z = max(x)`` of some columns; going back, its place and the columns below it are drawn.

    .. math:: V = \log P(k | z) + \log p(x_{-k} | z, k)

    of `BelowMaximum`, whose probabilities of places and scales may depend on the maximum, on the
    columns that are not chosen and on the context. An inference surjection onto the whole space:
    exact. At first all places are equally likely. Of equal numbers the first counts as the
    maximum. The latent row is the maximum, then the other columns in ascending order. `MaxPool` is
    the same for many groups, without a network.

    Parameters
    ----------
    n_features : int
    columns : sequence of int, optional
        Columns of which the maximum is taken, two or more; all by default.
    hidden_layer_sizes : sequence of int
    n_context : int
        Width of the context, 0 for none.
    generator : torch.Generator, optional
        Source of the initial weights.

    References
    ----------
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.

    Examples
    --------
    >>> import torch
    >>> from skflow.transforms import Max
    >>> layer = Max(3, columns=[0, 2]).double()
    >>> z, contribution = layer(torch.tensor([[1.0, 5.0, 2.0]], dtype=torch.float64))
    >>> z.tolist()
    [[2.0, 5.0]]
    """

    columns: Tensor
    others: Tensor
    restored: Tensor

    def __init__(
        self,
        n_features: int,
        columns: Sequence[int] | None = None,
        hidden_layer_sizes: Sequence[int] = (64, 64),
        *,
        n_context: int = 0,
        generator: torch.Generator | None = None,
    ):
        chosen = chosen_columns(n_features, columns, at_least=2)
        others = sorted(set(range(n_features)) - set(chosen))
        super().__init__(
            len(chosen),
            1 + len(others),
            hidden_layer_sizes,
            n_context=n_context,
            generator=generator,
        )
        self.register_buffer("columns", torch.tensor(chosen), persistent=False)
        self.register_buffer("others", torch.tensor(others, dtype=torch.long), persistent=False)
        self.register_buffer(
            "restored", torch.tensor([*chosen, *others]).argsort(), persistent=False
        )

    def _maximum_and_offsets(self, x):
        group = x[:, self.columns]
        maximum = group.amax(1, keepdim=True)
        return torch.cat([maximum, x[:, self.others]], 1), maximum - group

    def _initialize(self, x, weight, context, noise):
        z, offsets = self._maximum_and_offsets(x)
        # Half-normal offsets have their scale as root mean square; a maximum's own does not count.
        square = weighted_mean(offsets.square(), weight)
        share = weighted_mean((offsets > 0).to(x), weight)
        square = torch.where(square > 0, square / share.clamp_min(1 / n_rows(x, weight)), 1.0)
        self.log_scale.copy_(0.5 * square.log())
        self.conditioner.initialize(z, weight)
        return z

    def _forward_in_parts(self, x, context, noise):
        z, offsets = self._maximum_and_offsets(x)
        log_dropped = self.decoder.log_prob(offsets, self._parameters_given(z, context))
        return z, torch.zeros_like(log_dropped), log_dropped

    def _inverse(self, z, context, draw):
        offsets = draw(self.decoder, self._parameters_given(z, context))
        return torch.cat([z[:, :1] - offsets, z[:, 1:]], 1)[:, self.restored]


class GenerativeMax(_MaxTransform):
    r"""A column as the largest of K latent ones; going back, their maximum is taken.

    The place k of the maximum and the numbers below it are drawn from q, `BelowMaximum` given the
    row and the context:

    .. math:: V = -\log q(k | x) - \log q(z_{-k} | x, k)

    A generative surjection, so the flow gives a bound. The latent row is the K numbers, then the
    other columns in ascending order.

    Parameters
    ----------
    n_features : int
    group_size : int
        K, two or more.
    column : int, default=0
    hidden_layer_sizes : sequence of int
    n_context : int
        Width of the context, 0 for none.
    generator : torch.Generator, optional
        Source of the initial weights.

    References
    ----------
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.
    """

    exact = False

    def __init__(
        self,
        n_features: int,
        group_size: int,
        column: int = 0,
        hidden_layer_sizes: Sequence[int] = (64, 64),
        *,
        n_context: int = 0,
        generator: torch.Generator | None = None,
    ):
        if group_size < 2:
            raise ValueError(f"a maximum needs at least two numbers, got group_size={group_size}")
        chosen_columns(n_features, [column])
        super().__init__(
            group_size, n_features, hidden_layer_sizes, n_context=n_context, generator=generator
        )
        self.column = column

    def _initialize(self, x, weight, context, noise):
        self.conditioner.initialize(x, weight)
        # In units of the column: the others are as far below it as it varies.
        self.log_scale.fill_(self.conditioner.units.scale[self.column].log())
        return self._forward(x, context, noise)[0]

    def _forward(self, x, context, noise):
        parameters = self._parameters_given(x, context)
        k = self.decoder.n_features
        log_p = parameters.chunk(2, 1)[0].log_softmax(1)
        is_maximum, log_q_place = drawn_choice(log_p, noise(x, k))
        offsets = self.decoder.offsets_of(noise(x, k), parameters)
        log_q = (1 - is_maximum) * self.decoder.log_prob_of_offsets(offsets, parameters)
        maximum, others = self._apart(x)
        z = torch.cat([maximum - (1 - is_maximum) * offsets, others], 1)
        return z, -log_q_place - log_q.sum(1)

    def _apart(self, x):
        c = self.column
        return x[:, c : c + 1], torch.cat([x[:, :c], x[:, c + 1 :]], 1)

    def _inverse(self, z, context, draw):
        maximum = z[:, : self.decoder.n_features].amax(1, keepdim=True)
        others = z[:, self.decoder.n_features :]
        return torch.cat([others[:, : self.column], maximum, others[:, self.column :]], 1)
