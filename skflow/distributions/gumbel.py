"""Independent Gumbel columns: the base under which the largest of several is a softmax."""

import torch
from torch import Tensor, nn

from skflow.distributions.base import Distribution

STEEPEST = 15.0  # exp of it: the density is zero there in any precision, its logarithm goes on


class Gumbel(Distribution):
    r"""Product of Gumbel densities of scale one with learned locations.

    .. math:: \log p(x) = \sum_i (\mu_i - x_i) - e^{\mu_i - x_i}

    Column i is the largest with probability softmax(mu)_i, whatever the largest value is. Far below
    a location the exponential goes on as its tangent, so that no gradient overflows; the mass that
    this concerns is exp(-exp(15)).

    Parameters
    ----------
    loc : Tensor of shape (d,)
        Initial locations. Those of `GumbelArgmax` make its bound tight.

    References
    ----------
    Maddison, Tarlow, Minka (2014), "A* Sampling", arXiv:1411.0030.
    Hoogeboom, Nielsen, Jaini, Forré, Welling (2021), "Argmax Flows and Multinomial Diffusion",
    arXiv:2102.05379.
    """

    def __init__(self, loc: Tensor):
        super().__init__()
        self.n_features = len(loc)
        self.loc = nn.Parameter(loc.detach().clone())

    def log_prob(self, x, context=None):
        below = self.loc - x
        tangent = 1 + (below - STEEPEST).clamp_min(0)
        return (below - below.clamp_max(STEEPEST).exp() * tangent).sum(1)

    def sample(self, n, context=None, generator=None):
        like = {"dtype": self.loc.dtype, "device": self.loc.device}
        uniform = torch.rand(n, self.n_features, generator=generator, **like)
        # Drawn from [0, 1): the guard is against 0, and gives a small value, not an infinite one.
        uniform = uniform.clamp_min(torch.finfo(uniform.dtype).tiny)
        return self.loc - (-uniform.log()).log()
