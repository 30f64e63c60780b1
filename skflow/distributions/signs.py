"""Random signs given their log-odds."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from skflow.distributions.base import Decoder


class Signs(Decoder):
    """Independent signs -1 and 1; the context is the log-odds of each being 1."""

    def __init__(self, n_signs: int):
        super().__init__()
        self.n_features = n_signs

    def log_prob(self, x, context=None):
        return logsigmoid(x * context).sum(1)

    def sample(self, n, context=None, generator=None):
        like = {"generator": generator, "dtype": context.dtype, "device": context.device}
        return signs_of(context, torch.rand(n, self.n_features, **like))

    def mean(self, context):
        """The likelier signs; 1 where both are equally likely."""
        return signs_of(context, torch.full_like(context, 0.5))


def signs_of(log_odds: Tensor, uniform: Tensor) -> Tensor:
    """The signs that numbers in the unit interval draw."""
    return torch.where(uniform <= torch.sigmoid(log_odds), 1.0, -1.0).to(log_odds)
