"""Points one after another, each from a mixture that depends on those before it."""

import math

import torch
from torch import Tensor, nn

from skflow.distributions.base import Distribution
from skflow.distributions.mixture import GaussianMixture
from skflow.distributions.normal import LOG_SQRT_2PI
from skflow.kernels.affine import bounded_log_scale
from skflow.networks.input_clamp import clamp_inputs
from skflow.networks.set_transformer import SetTransformer

N_FREQUENCIES = 4  # wavelengths of 8, 4, 2 and 1 spreads: what a network is to tell apart


def waves(x: Tensor) -> Tensor:
    """Numbers (..., f), and sines and cosines of them: (..., f * (1 + 2 * N_FREQUENCIES))."""
    frequency = math.pi / 4 * 2.0 ** torch.arange(N_FREQUENCIES, device=x.device, dtype=x.dtype)
    angle = (x[..., None] * frequency).flatten(-2)
    return torch.cat([x, angle.sin(), angle.cos()], -1)


class PointSequence(Distribution):
    r"""Points of which each has a Gaussian mixture, changed by a network that sees the ones before.

    .. math::
        p(z_1, z_2, \ldots)
          = \prod_i \sum_k \pi_k(z_{<i}) \, N(z_i; \mu_k(z_{<i}), \Sigma_k(z_{<i}))

    The network adds to the log-weights of one mixture that all points share, and moves, scales and
    shears every component in units of its own spread. Zero at first, it starts at independent
    points; without a network they stay so. The density takes one pass; a sample takes its points
    one after the other.

    Parameters
    ----------
    n_points, dim : int
        Rows are the points one after another: ``n_points * dim`` columns.
    n_components : int
    network : SetTransformer, optional
        Causal, from ``n_inputs`` to ``n_outputs``. It gets the points before, in units of
        ``centre`` and ``spread``, moved on by one place.
    view : Module, optional
        From rows to numbers (n, n_points, n_seen) that the network gets beside the points. A
        point's numbers may depend on that point and those before it.

    Attributes
    ----------
    centre, spread : Tensor of shape (n_points, dim)
        The mixture is of points in these units.
    mixture : GaussianMixture
        Of one point, shared by all.

    References
    ----------
    Bishop (1994), "Mixture Density Networks", Aston University.
    Nielsen, Jaini, Hoogeboom, Winther, Welling (2020), "SurVAE Flows", arXiv:2007.02731.
    """

    centre: Tensor
    spread: Tensor

    def __init__(
        self,
        n_points: int,
        dim: int,
        n_components: int,
        network: SetTransformer | None = None,
        view: nn.Module | None = None,
    ):
        super().__init__()
        self.n_points, self.dim = n_points, dim
        self.n_features = n_points * dim
        self.mixture = GaussianMixture(n_components, dim)
        self.network, self.view = network, view
        self.register_buffer("centre", torch.zeros(n_points, dim))
        self.register_buffer("spread", torch.ones(n_points, dim))

    @staticmethod
    def n_outputs(dim: int, n_components: int) -> int:
        """Numbers per point that the network is to give."""
        return n_components * (1 + 2 * dim + dim * (dim - 1) // 2)

    @staticmethod
    def n_inputs(dim: int, n_seen: int = 0) -> int:
        """Numbers per point that the network gets, ``n_seen`` of them by a view."""
        return (dim + n_seen) * (1 + 2 * N_FREQUENCIES)

    def _inputs(self, z: Tensor, points: Tensor) -> Tensor:
        """What the network gets: at each place what is known of the point before."""
        seen = points if self.view is None else torch.cat([points, self.view(z)], 2)
        inputs = waves(clamp_inputs(seen))
        return torch.cat([torch.zeros_like(inputs[:, :1]), inputs[:, :-1]], 1)

    def _changes(self, out: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of mixtures, by outputs of the network: log-weights, shifts, log-scales, shears."""
        k = len(self.mixture.logits)
        sizes = [1, self.dim, self.dim, self.dim * (self.dim - 1) // 2]
        logit, shift, log_scale, shear = out.unflatten(2, (k, -1)).split(sizes, 3)
        log_weight = (self.mixture.logits + logit[..., 0]).log_softmax(2)
        return log_weight, shift, bounded_log_scale(log_scale), shear

    def _no_outputs(self, n: int, n_places: int) -> Tensor:
        n_outputs = self.n_outputs(self.dim, len(self.mixture.logits))
        return self.centre.new_zeros(1, 1, n_outputs).expand(n, n_places, -1)

    def log_prob(self, x, context=None):
        points = (x.unflatten(1, (self.n_points, self.dim)) - self.centre) / self.spread
        if self.network is None:
            out = self._no_outputs(len(x), self.n_points)
        else:
            out = self.network(self._inputs(x, points))
        log_weight, shift, log_scale, shear = self._changes(out)
        factor = self.mixture.factor()
        centre = (self.mixture.means[:, None] @ factor)[:, 0]
        k, d = centre.shape
        white = (points @ factor.movedim(1, 0).reshape(d, -1)).unflatten(2, (k, d)) - centre
        moved = ((white - shift) * log_scale.exp()).unbind(3)
        # Each coordinate is sheared along the ones before it: unit triangular, no volume.
        energy, used = moved[0] ** 2, 0
        for j in range(1, d):
            column = moved[j]
            for i in range(j):
                column = column + shear[..., used] * white[..., i]
                used += 1
            energy = energy + column**2
        log_volume = log_scale.sum(3) + self.mixture.log_diagonal.sum(1) - d * LOG_SQRT_2PI
        log_p = torch.logsumexp(log_weight + log_volume - 0.5 * energy, 2)
        return log_p.sum(1) - self.spread.log().sum()

    @torch.no_grad()
    def sample(self, n, context=None, generator=None):
        like = {"dtype": self.centre.dtype, "device": self.centre.device}
        noise = torch.randn(n, self.n_points, self.dim, generator=generator, **like)
        uniform = torch.rand(n, self.n_points, 1, generator=generator, **like)
        eye = torch.eye(self.dim, **like).expand(len(self.mixture.means), -1, -1)
        inverse = torch.linalg.solve_triangular(self.mixture.factor(), eye, upper=True)
        points = torch.zeros_like(noise)
        pasts = None if self.network is None else self.network.no_past()
        for i in range(self.n_points):
            if self.network is None:
                out = self._no_outputs(n, 1)
            else:
                z = (points * self.spread + self.centre).flatten(1)
                out = self.network.following(self._inputs(z, points)[:, i : i + 1], i, pasts)
            changes = [change[:, 0] for change in self._changes(out)]
            cumulated = changes[0].exp().cumsum(1)[:, :-1].contiguous()
            component = torch.searchsorted(cumulated, uniform[:, i].contiguous())
            shift, log_scale, shear = (
                c.gather(1, component[..., None].expand(-1, 1, c.shape[2]))[:, 0]
                for c in changes[1:]
            )
            component = component[:, 0]
            white, used = [], 0
            for j in range(self.dim):
                value = noise[:, i, j]
                for earlier in white:
                    value = value - shear[:, used] * earlier
                    used += 1
                white.append(value * torch.exp(-log_scale[:, j]) + shift[:, j])
            step = torch.stack(white, 1)[:, None] @ inverse[component]
            points[:, i] = self.mixture.means[component] + step[:, 0]
        return (points * self.spread + self.centre).flatten(1)
