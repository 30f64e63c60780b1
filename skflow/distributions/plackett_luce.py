"""Random orders: Plackett and Luce's distribution of permutations."""

import torch
from torch import Tensor

from skflow.distributions.base import Decoder


class PlackettLuce(Decoder):
    r"""Orders of ``n_items`` items, drawn one after another; the context is their log-weights.

    .. math:: P(\pi | w) = \prod_i \frac{\exp w_{\pi_i}}{\sum_{j \ge i} \exp w_{\pi_j}}

    An order is a row of item numbers. Equal weights give every order the probability 1 / n!.

    References
    ----------
    Plackett (1975), "The analysis of permutations", Applied Statistics 24, 193-202.
    """

    def __init__(self, n_items: int):
        super().__init__()
        self.n_features = n_items

    def log_prob(self, x, context=None):
        drawn = context.gather(1, x.long())
        still_there = drawn.flip(1).logcumsumexp(1).flip(1)
        return (drawn - still_there).sum(1)

    def sample(self, n, context=None, generator=None):
        like = {"generator": generator, "dtype": context.dtype, "device": context.device}
        return order_of(context, torch.rand(n, self.n_features, **like)).to(context)

    def mean(self, context):
        """The most likely order; of equal weights, the order as it is."""
        return context.argsort(dim=1, descending=True, stable=True).to(context)


def order_of(log_weight: Tensor, uniform: Tensor) -> Tensor:
    """The order that numbers in the unit interval draw: descending by weight and Gumbel noise."""
    tiny = torch.finfo(uniform.dtype).tiny
    uniform = uniform.clamp(tiny, 1 - torch.finfo(uniform.dtype).eps)
    gumbel = -torch.log(-torch.log(uniform))
    return (log_weight + gumbel).argsort(dim=1, descending=True, stable=True)
