"""Categories as regions of a continuous space: the largest of K numbers, or the signs of log K."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from skflow.distributions.normal import LOG_SQRT_2PI
from skflow.kernels.affine import bounded_log_scale
from skflow.kernels.moments import n_rows, weighted_mean
from skflow.networks.input_clamp import clamp_inputs
from skflow.networks.mlp import MLP
from skflow.transforms.base import Transform

SLACK = 2.0  # roundings by which the largest number leads: a tie would be another code
UNSEEN = 0.5  # rows added to every level, so that one without any has a finite logarithm


class ArgmaxTransform(Transform):
    r"""Columns of codes 0 .. K - 1 to real numbers from which the codes can be read off.

    A generative surjection: the inverse reads the codes, z is drawn from a q(z | x) that has the
    region of the row's codes and nothing else as its support, and

    .. math:: V = -\log q(z | x),

    so a flow that begins with this layer gives a lower bound on the log-probability of a row. Every
    z is in the region of some codes, so the probabilities of all rows add up to one. The noise may
    depend on the whole row and on the context. What is no code has the contribution -inf.

    Parameters
    ----------
    n_levels : sequence of int
        Number of codes of each column.
    n_numbers : int
        Width of z.
    n_parameters : int
        What the network gives for each of them.
    hidden_layer_sizes : sequence of int
    n_context : int
        Width of the context, 0 for none.
    generator : torch.Generator, optional
        Source of the initial weights.

    References
    ----------
    Hoogeboom, Nielsen, Jaini, Forré, Welling (2021), "Argmax Flows and Multinomial Diffusion",
    arXiv:2102.05379.
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.
    """

    exact = False
    last_code: Tensor
    column: Tensor
    level: Tensor

    def __init__(
        self,
        n_levels: Sequence[int],
        n_numbers: int,
        n_parameters: int,
        hidden_layer_sizes: Sequence[int],
        *,
        n_context: int,
        generator: torch.Generator | None,
    ):
        super().__init__(n_context)
        self.n_levels = [int(k) for k in n_levels]
        if not self.n_levels or min(self.n_levels) < 1:
            raise ValueError(f"every column needs at least one level; got n_levels={n_levels}")
        self.n_numbers = n_numbers
        count = torch.tensor(self.n_levels)
        column = torch.arange(len(count)).repeat_interleave(count)
        # Of the one-hot row: which column each of its entries belongs to, and which code it is.
        level = torch.cat([torch.arange(k) for k in self.n_levels])
        self.register_buffer("last_code", count - 1, persistent=False)
        self.register_buffer("column", column, persistent=False)
        self.register_buffer("level", level, persistent=False)
        self.network = MLP(
            len(level) + n_context,
            n_parameters,
            n_numbers,
            hidden_layer_sizes,
            generator=generator,
        )

    @abstractmethod
    def _draw(self, code: Tensor, parameters: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers z in the region of codes (n, d), and log q(z | x) (n,)."""

    def _codes(self, x: Tensor) -> Tensor:
        """The nearest codes."""
        return torch.minimum(x.round().long().clamp_min(0), self.last_code)

    def _chosen(self, code: Tensor) -> Tensor:
        """Rows of codes one-hot, as booleans."""
        return code[:, self.column] == self.level

    def _forward(self, x, context, noise):
        code = self._codes(x)
        seen = self._chosen(code).to(x)
        if context is not None:
            seen = torch.cat([seen, clamp_inputs(context)], 1)
        parameters = self.network(seen).mT  # (n_parameters, n, n_numbers)
        z, log_q = self._draw(code, parameters, noise(x, self.n_numbers))
        return z, torch.where((x == code).all(1), -log_q, -torch.inf)


def gaussian(parameters: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
    """Draw from independent normals with (means, raw log-scales); also the density's logarithm."""
    log_scale = bounded_log_scale(parameters[1])
    u = parameters[0] + log_scale.exp() * eps
    return u, (-0.5 * eps * eps - log_scale - LOG_SQRT_2PI).sum(1)


class LargestOfAll(ArgmaxTransform):
    """One number for each level of each column; the code is the place of a column's largest.

    For the parameters see `ArgmaxTransform`.
    """

    first: Tensor
    place: Tensor
    present: Tensor

    def __init__(
        self,
        n_levels: Sequence[int],
        n_parameters: int,
        hidden_layer_sizes: Sequence[int],
        *,
        n_context: int,
        generator: torch.Generator | None,
    ):
        super().__init__(
            n_levels,
            sum(n_levels),
            n_parameters,
            hidden_layer_sizes,
            n_context=n_context,
            generator=generator,
        )
        count = self.last_code + 1
        first = count.cumsum(0) - count
        # Row j: where the numbers of column j are, filled up to the longest with its last one.
        slot = torch.arange(max(self.n_levels))
        self.register_buffer("first", first, persistent=False)
        place = first[:, None] + torch.minimum(slot, self.last_code[:, None])
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("present", slot < count[:, None], persistent=False)

    def _by_column(self, numbers: Tensor) -> Tensor:
        """Numbers (n, sum of K) as (n, d, largest K), -inf where a column has no such level."""
        return torch.where(self.present, numbers[:, self.place], -torch.inf)

    def _under(self, numbers: Tensor, top: Tensor, chosen: Tensor) -> Tensor:
        """``top`` (n, sum of K) at the chosen levels; elsewhere numbers, strictly below it."""
        gap = SLACK * torch.finfo(top.dtype).eps * top.detach().abs().clamp_min(1)
        return torch.where(chosen, top, torch.minimum(numbers, top - gap))

    def _inverse(self, z, context, draw):
        return self._by_column(z).argmax(2).to(z)


class SoftplusArgmax(LargestOfAll):
    r"""Gaussian numbers, those of the other levels bent to below the number of the row's code.

    With u normal, its mean and its scale from a network of the one-hot row (and the context), and
    T the number at the code c,

    .. math::
        v_c = T = u_c, \qquad v_i = T - \mathrm{softplus}(T - u_i), \qquad
        \log q(v | x) = \log q(u | x) - \sum_{i \ne c} \log \sigma(T - u_i).

    Parameters
    ----------
    n_levels : sequence of int
        Number of codes of each column; z has as many columns as their sum.
    hidden_layer_sizes : sequence of int
    n_context : int
        Width of the context, 0 for none.
    generator : torch.Generator, optional
        Source of the initial weights.

    References
    ----------
    Hoogeboom, Nielsen, Jaini, Forré, Welling (2021), "Argmax Flows and Multinomial Diffusion",
    arXiv:2102.05379.

    Examples
    --------
    >>> import torch
    >>> from skflow.transforms import SoftplusArgmax
    >>> layer = SoftplusArgmax([3, 2])
    >>> x = torch.tensor([[2.0, 0.0]])
    >>> z, contribution = layer(x)
    >>> z.shape
    torch.Size([1, 5])
    >>> torch.equal(layer.inverse(z), x)
    True
    """

    def __init__(
        self,
        n_levels: Sequence[int],
        hidden_layer_sizes: Sequence[int] = (64, 64),
        *,
        n_context: int = 0,
        generator: torch.Generator | None = None,
    ):
        super().__init__(n_levels, 2, hidden_layer_sizes, n_context=n_context, generator=generator)

    def _draw(self, code, parameters, eps):
        u, log_q = gaussian(parameters, eps)
        chosen = self._chosen(code)
        top = u.gather(1, self.first + code)[:, self.column]
        lead = top - u
        # softplus(a) as -log sigmoid(-a): torch's own is the identity from 20 on.
        v = self._under(top + logsigmoid(-lead), top, chosen)
        return v, log_q - torch.where(chosen, 0.0, logsigmoid(lead)).sum(1)


class GumbelArgmax(LargestOfAll):
    r"""Gumbel numbers given which of them is the largest: the exact posterior of a Gumbel base.

    With locations phi, from a network of the one-hot row (and the context) on top of the logarithms
    of the levels' shares, and independent exponential numbers e,

    .. math::
        v_c = T = \log \sum_i e^{\phi_i} - \log e_c, \qquad
        v_i = \phi_i - \log(e^{\phi_i - T} + e_i),

    a Gumbel at the maximum, and Gumbels cut off at T. At first the network gives zero. Under a
    `Gumbel` base with ``loc=log_share`` the bound then is no bound but the log-probability of
    independent columns with these shares.

    Parameters
    ----------
    n_levels : sequence of int
        Number of codes of each column; z has as many columns as their sum.
    hidden_layer_sizes : sequence of int
    n_context : int
        Width of the context, 0 for none.
    generator : torch.Generator, optional
        Source of the initial weights.

    Attributes
    ----------
    log_share : Tensor
        Logarithm of each level's share of the rows given to `initialize`, half a row added to
        each; before that levels are equally likely.

    References
    ----------
    Hoogeboom, Nielsen, Jaini, Forré, Welling (2021), "Argmax Flows and Multinomial Diffusion",
    arXiv:2102.05379.
    Maddison, Tarlow, Minka (2014), "A* Sampling", arXiv:1411.0030.
    """

    log_share: Tensor

    def __init__(
        self,
        n_levels: Sequence[int],
        hidden_layer_sizes: Sequence[int] = (64, 64),
        *,
        n_context: int = 0,
        generator: torch.Generator | None = None,
    ):
        super().__init__(n_levels, 1, hidden_layer_sizes, n_context=n_context, generator=generator)
        count = (self.last_code + 1)[self.column]
        self.register_buffer("log_share", -count.to(torch.get_default_dtype()).log())

    def _draw(self, code, parameters, eps):
        phi = parameters[0] + self.log_share
        # Minus the log of a uniform number, which is the normal CDF of eps; taken as a logarithm,
        # that number can be as close to 0 or 1 as it likes.
        e = (-torch.special.log_ndtr(eps)).clamp_min(torch.finfo(eps.dtype).tiny)
        chosen = self._chosen(code)
        whole = self._by_column(phi).logsumexp(2)  # (n, d)
        e_top = e.gather(1, self.first + code)
        top = whole - e_top.log()
        log_q_top = e_top.log() - e_top
        top = top[:, self.column]
        log_rate = torch.logaddexp(phi - top, e.log())
        v = self._under(phi - log_rate, top, chosen)
        log_q = torch.where(chosen, 0.0, log_rate - e)
        return v, log_q_top.sum(1) + log_q.sum(1)

    def _initialize(self, x, weight, context, noise):
        n = n_rows(x, weight)
        rows = n * weighted_mean(self._chosen(self._codes(x)).to(x), weight)
        n_levels = (self.last_code + 1)[self.column]
        self.log_share.copy_(((rows + UNSEEN) / (n + UNSEEN * n_levels)).log())
        return self._forward(x, context, noise)[0]


class BinaryArgmax(ArgmaxTransform):
    r"""The binary digits of a code as the signs of ceil(log2 K) numbers.

    With u normal as in `SoftplusArgmax` and s the sign that stands for a digit,

    .. math::
        v_i = s_i \, \mathrm{softplus}(u_i), \qquad
        \log q(v | x) = \log q(u | x) - \sum_i \log \sigma(u_i).

    Where K is no power of two some patterns of digits are no code. They are read without their
    leading digit, which leaves a code below K. The number for the leading digit of such a code may
    then have either sign: v = u there, without a term in the sum. So no part of the latent space is
    without a code, and no probability is lost, unlike in the paper.

    Parameters
    ----------
    n_levels : sequence of int
        Number of codes of each column; z has ceil(log2 K) columns for each.
    hidden_layer_sizes : sequence of int
    n_context : int
        Width of the context, 0 for none.
    generator : torch.Generator, optional
        Source of the initial weights.

    References
    ----------
    Hoogeboom, Nielsen, Jaini, Forré, Welling (2021), "Argmax Flows and Multinomial Diffusion",
    arXiv:2102.05379.
    """

    owner: Tensor
    value: Tensor
    leading: Tensor

    def __init__(
        self,
        n_levels: Sequence[int],
        hidden_layer_sizes: Sequence[int] = (64, 64),
        *,
        n_context: int = 0,
        generator: torch.Generator | None = None,
    ):
        n_digits = [(int(k) - 1).bit_length() for k in n_levels]
        super().__init__(
            n_levels,
            sum(n_digits),
            2,
            hidden_layer_sizes,
            n_context=n_context,
            generator=generator,
        )
        owner = torch.arange(len(n_digits)).repeat_interleave(torch.tensor(n_digits))
        powers = [torch.tensor([2**i for i in range(b)], dtype=torch.long) for b in n_digits]
        self.register_buffer("owner", owner, persistent=False)
        self.register_buffer("value", torch.cat(powers), persistent=False)
        leading = torch.tensor([2 ** (b - 1) if b else 0 for b in n_digits])
        self.register_buffer("leading", leading, persistent=False)

    def _draw(self, code, parameters, eps):
        u, log_q = gaussian(parameters, eps)
        own = code[:, self.owner]
        positive = (own & self.value) > 0
        # Free: the digit may as well be one, as the code it then makes is read without it.
        leading = self.value == self.leading[self.owner]
        free = leading & ~positive & (own + self.value > self.last_code[self.owner])
        # softplus(u) as -log sigmoid(-u): torch's own is the identity from 20 on.
        size = (-logsigmoid(-u)).clamp_min(torch.finfo(u.dtype).tiny)
        v = torch.where(free, u, torch.where(positive, size, -size))
        return v, log_q - torch.where(free, 0.0, logsigmoid(u)).sum(1)

    def _inverse(self, z, context, draw):
        digits = (z > 0) * self.value
        pattern = digits.new_zeros(len(z), len(self.n_levels)).index_add(1, self.owner, digits)
        return torch.where(pattern > self.last_code, pattern - self.leading, pattern).to(z)
