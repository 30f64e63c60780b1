"""A conditional flow as a decoder."""

import torch
from torch import Tensor

from skflow.distributions import Decoder, StandardNormal
from skflow.transforms.base import Transform


class FlowDecoder(Decoder):
    """Density of x given z by a transform with the context z, onto a standard normal.

    With `Autoregressive` and a spline family: a conditional spline flow, N(0, I) at first.

    Parameters
    ----------
    n_features : int
    transform : Transform
        From rows of ``n_features`` columns to as many, with a context; or without, if z tells it
        nothing.
    """

    def __init__(self, n_features: int, transform: Transform):
        super().__init__()
        self.n_features = n_features
        self.transform = transform
        self.base = StandardNormal(n_features)

    def log_prob(self, x, context=None):
        z, contribution = self.transform(x, self.transform.taken(context))
        return self.base.log_prob(z) + contribution

    def sample(self, n, context=None, generator=None):
        z = self.base.sample(n, generator=generator)
        return self.transform.inverse(z, self.transform.taken(context))

    def mean(self, context: Tensor) -> Tensor:
        """Image of the normal's centre."""
        centre = torch.zeros(
            len(context), self.n_features, dtype=context.dtype, device=context.device
        )
        return self.transform.inverse(centre, self.transform.taken(context))
