"""How far a conditioner looks."""

from torch import Tensor

CONDITIONER_REACH = 10.0  # in latent units, where data have a spread of about one


def within_reach(x: Tensor) -> Tensor:
    """Clamp what a network is to see: a far outlier meets a map like that of the border."""
    return x.clamp(-CONDITIONER_REACH, CONDITIONER_REACH)
