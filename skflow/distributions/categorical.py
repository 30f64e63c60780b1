"""A categorical variable given the logits of its levels."""

import torch

from skflow.distributions.base import Decoder


class Categorical(Decoder):
    """One code 0 .. n_levels - 1 per row; the context is its unnormalised log-probabilities."""

    def __init__(self, n_levels: int):
        super().__init__()
        self.n_features = 1
        self.n_levels = n_levels

    def log_prob(self, x, context=None):
        return context.log_softmax(1).gather(1, x.long())[:, 0]

    def sample(self, n, context=None, generator=None):
        cumulated = context.softmax(1).cumsum(1)[:, :-1].contiguous()
        like = {"generator": generator, "dtype": cumulated.dtype, "device": cumulated.device}
        return torch.searchsorted(cumulated, torch.rand(n, 1, **like)).to(cumulated)

    def mean(self, context):
        """The most likely code."""
        return context.argmax(1, keepdim=True).to(context)
