"""Rounding to a lattice: drawn towards the latent side (dequantisation), or drawn back from it."""

import torch
from torch import Tensor

from skflow.distributions import Decoder
from skflow.distributions.normal import LOG_SQRT_2PI
from skflow.kernels.moments import weighted_moments
from skflow.transforms.base import DroppingTransform, Transform
from skflow.transforms.compose import Compose
from skflow.transforms.dense import to_channels
from skflow.transforms.flow_decoder import FlowDecoder

SLACK = 4.0  # roundings by which a point stays inside its cell: else it would round to another
TOLERANCE = 1e-6  # of a step: how far beyond its cell a point may seem to be


class LatticeTransform(Transform):
    """What both directions share: the lattice and the levels as a network is to see them.

    The cell of a level is the half-open interval of one step around it.

    Parameters
    ----------
    step, origin : Tensor of shape (d,)
        Distance of neighbouring levels of each column, and one of its levels. Their dtype is the
        layer's.
    n_levels : Tensor of shape (d,), optional
        The levels are the origin and so many less one above it: nothing is rounded to others.
    n_positions : int, default=1
        Columns that share the units in which a network sees them: the positions of a channel, for
        rows laid out as (channels, positions).
    n_context : int
        Width of the context, 0 for none.
    """

    step: Tensor
    origin: Tensor
    n_levels: Tensor
    centre: Tensor
    scale: Tensor

    def __init__(
        self,
        step: Tensor,
        origin: Tensor,
        *,
        n_levels: Tensor | None = None,
        n_positions: int = 1,
        n_context: int = 0,
    ):
        super().__init__(n_context)
        step, origin = (1.0 * torch.as_tensor(v) for v in (step, origin))
        if step.ndim != 1 or step.shape != origin.shape or not (step > 0).all():
            raise ValueError(
                f"step and origin must have one number per column, every step positive; got shapes "
                f"{tuple(step.shape)} and {tuple(origin.shape)}, smallest step {float(step.min())}"
            )
        self.n_positions = n_positions
        self.lowest = -torch.inf if n_levels is None else 0.0
        count = torch.full_like(step, torch.inf) if n_levels is None else torch.as_tensor(n_levels)
        self.register_buffer("step", step)
        self.register_buffer("origin", origin)
        self.register_buffer("n_levels", count.to(step))
        self.register_buffer("centre", origin.clone())
        self.register_buffer("scale", step.clone())

    def nearest(self, x: Tensor) -> Tensor:
        """The level in whose cell x is."""
        index = torch.floor((x - self.origin) / self.step + 0.5)
        index = torch.minimum(index, self.n_levels - 1).clamp_min(self.lowest)
        return self.origin + self.step * index

    def _has_level(self, x: Tensor, level: Tensor) -> Tensor:
        """Whether rows are in the cells of their levels: not beyond the lowest or the highest."""
        return ((x - level).abs() <= (0.5 + TOLERANCE) * self.step).all(1)

    def _inside(self, level: Tensor, probit: Tensor) -> Tensor:
        """The point of the level's cell at the normal CDF of ``probit``, 0 in the middle."""
        magnitude = 1 + (level.abs() + self.origin.abs()) / self.step
        most = 0.5 - SLACK * torch.finfo(level.dtype).eps * magnitude
        offset = torch.special.ndtr(probit) - 0.5
        return level + self.step * torch.maximum(torch.minimum(offset, most), -most)

    def _settle(self, level: Tensor, weight: Tensor | None) -> None:
        """Set the units of the levels from data; one step where they hardly vary."""
        if weight is not None:
            weight = weight.repeat_interleave(self.n_positions)
        mean, deviation = (
            v.repeat_interleave(self.n_positions)
            for v in weighted_moments(to_channels(level, self.n_positions), weight)
        )
        self.centre.copy_(mean)
        self.scale.copy_(torch.maximum(deviation, self.step))

    def _seen(self, level: Tensor, context: Tensor | None) -> Tensor:
        """Levels in units of their spread, and the context."""
        units = (level - self.centre) / self.scale
        return units if context is None else torch.cat([units, context], 1)


class Dequantize(LatticeTransform):
    r"""``z = x + step (u - 1/2)`` with u in the unit interval: rounding, read from the latent side.

    With standard normal numbers e and a transform T of them that may look at x,

    .. math::
        u = \Phi(T(e; x)), \qquad
        V = \log \mathrm{step} - \log q(u | x)
          = \log \mathrm{step} + \tfrac12 (e^2 - T(e)^2) + \log |\det T'(e)|,

    summed over columns. A generative surjection: the inverse rounds, and q has the cell of x and
    nothing else as its support, so a flow that begins with this layer gives a lower bound on the
    log-*probability* of a level. Divided by the product of the steps it is the density of the
    level's cell, spread evenly. The mean path goes to the point where e = 0, without T the level
    itself. An x between levels counts as the nearest one; beyond the cells of the lowest and of the
    highest level the contribution is -inf.

    Parameters
    ----------
    step, origin, n_levels, n_positions, n_context
        See `LatticeTransform`.
    transform : Transform, optional
        The bijection T of d columns, with the levels (in units of their spread, as `initialize`
        finds it) and the context as its context. The identity at first makes q uniform at first.
        Without it q stays uniform.

    References
    ----------
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.
    Ho, Chen, Srinivas, Duan, Abbeel (2019), "Flow++" (variational dequantisation),
    arXiv:1902.00275.

    Examples
    --------
    >>> import torch
    >>> from skflow.transforms import Affine, Coupling, Dequantize
    >>> given_levels = Coupling(2, Affine(), n_kept=0, n_context=2)
    >>> layer = Dequantize(torch.ones(2), torch.zeros(2), transform=given_levels).float()
    >>> x = torch.tensor([[3.0, 0.0]])
    >>> z, contribution = layer(x)
    >>> torch.equal(layer.inverse(z), x)
    True
    """

    exact = False

    def __init__(
        self,
        step: Tensor,
        origin: Tensor,
        *,
        n_levels: Tensor | None = None,
        n_positions: int = 1,
        n_context: int = 0,
        transform: Transform | None = None,
    ):
        super().__init__(
            step, origin, n_levels=n_levels, n_positions=n_positions, n_context=n_context
        )
        if transform is not None and transform.n_context not in (0, len(self.step) + n_context):
            raise ValueError(
                f"the transform takes a context of width {transform.n_context}, but there are "
                f"{len(self.step)} levels and the layer's own context has {n_context}."
            )
        self.transform = transform

    def _forward(self, x, context, noise):
        level = self.nearest(x)
        probit = eps = noise(x, x.shape[1])
        contribution = self.step.log().sum().expand(x.shape[0])
        if self.transform is not None:
            seen = self.transform.taken(self._seen(level, context))
            probit, log_det = self.transform._forward(eps, seen, noise)
            contribution = contribution + log_det + 0.5 * (eps * eps - probit * probit).sum(1)
        contribution = torch.where(self._has_level(x, level), contribution, -torch.inf)
        return self._inside(level, probit), contribution

    def _inverse(self, z, context, draw):
        return self.nearest(z)

    def _initialize(self, x, weight, context, noise):
        self._settle(self.nearest(x), weight)
        return self._forward(x, context, noise)[0]


class Rounding(LatticeTransform, DroppingTransform):
    r"""``z`` is the level in whose cell x is; going back, x is drawn from that cell.

    With u the place of x in its cell, from 0 to 1, and a density of its probit,

    .. math::
        V = \log p(x | z)
          = \log p_{decoder}(\Phi^{-1}(u) | z) - \log N(\Phi^{-1}(u); 0, 1) - \log \mathrm{step},

    summed over columns. An inference surjection: the likelihood is exact, and what follows is to be
    a probability of levels. Rounding down to a level is the same with an origin half a step higher.

    Parameters
    ----------
    step, origin, n_levels, n_positions, n_context
        See `LatticeTransform`.
    decoder : Decoder, optional
        Of the probits of all columns, with the levels (in units of their spread, as `initialize`
        finds it) and the context as its context. At N(0, I), the default, p(x | z) is uniform.

    References
    ----------
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.
    """

    def __init__(
        self,
        step: Tensor,
        origin: Tensor,
        *,
        n_levels: Tensor | None = None,
        n_positions: int = 1,
        n_context: int = 0,
        decoder: Decoder | None = None,
    ):
        super().__init__(
            step, origin, n_levels=n_levels, n_positions=n_positions, n_context=n_context
        )
        self.decoder = FlowDecoder(len(self.step), Compose([])) if decoder is None else decoder

    def _level_and_probit(self, x):
        level = self.nearest(x)
        # Within an interval open on both sides: the probit of its ends is infinite.
        edge = torch.finfo(x.dtype).eps
        place = (x - level) / self.step + 0.5
        return level, torch.special.ndtri(place.clamp(edge, 1 - edge))

    def _forward_in_parts(self, x, context, noise):
        level, probit = self._level_and_probit(x)
        log_uniform = (-0.5 * probit * probit - LOG_SQRT_2PI).sum(1)
        log_p = self.decoder.log_prob(probit, self._seen(level, context)) - log_uniform
        log_p = torch.where(self._has_level(x, level), log_p - self.step.log().sum(), -torch.inf)
        return level, torch.zeros_like(log_p), log_p

    def _inverse(self, z, context, draw):
        return self._inside(z, draw(self.decoder, self._seen(z, context)))

    def _initialize(self, x, weight, context, noise):
        level, probit = self._level_and_probit(x)
        self._settle(level, weight)
        self.decoder.initialize(probit, self._seen(level, context), weight)
        return level
