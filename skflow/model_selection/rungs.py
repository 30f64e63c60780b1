"""Successive halving: how many candidates are trained how far."""

from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class Rung:
    """So many candidates, trained until the end of that epoch; None is as far as they go."""

    n_candidates: int
    epoch: int | None


def rungs(n_candidates: int, factor: float, min_epochs: int, max_epochs: int) -> list[Rung]:
    """Rungs of which each keeps one in ``factor`` and trains ``factor`` times as long.

    The last one trains what is left, one candidate unless the epochs come to an end before, as far
    as it goes.
    """
    ladder, epoch = [], min_epochs
    while n_candidates > 1 and epoch < max_epochs:
        ladder.append(Rung(n_candidates, epoch))
        # At least one falls, even where the factor is near one.
        n_candidates = min(n_candidates - 1, ceil(n_candidates / factor))
        epoch = ceil(epoch * factor)
    return [*ladder, Rung(n_candidates, None)]
