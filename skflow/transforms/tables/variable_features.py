"""What networks see of the variables of a table."""

from collections.abc import Sequence

import torch
from torch import Tensor

from skflow.networks.input_clamp import clamp_inputs
from skflow.transforms.tables.variable import Variable

N_STEPS = 20  # pieces of a score's range that a network sees apart: what it says may jump there


def n_features(variable: Variable) -> int:
    """Numbers that a network sees of a variable."""
    if variable.kind == "code":
        return variable.n_levels
    return 2 if variable.circular else 1 + N_STEPS


def piece_ends() -> Tensor:
    """Ends of the pieces, of equal probability: shape (N_STEPS + 1,)."""
    levels = torch.arange(1, N_STEPS + 2, dtype=torch.float64) / (N_STEPS + 2)
    return torch.special.ndtri(levels)


def features(
    variables: Sequence[Variable], ends: Tensor, visible: Tensor, pieces: Tensor
) -> Tensor:
    """One block per variable: what it is, or zeros, and whether it is visible.

    Parameters
    ----------
    variables : sequence of Variable
    ends : Tensor of shape (n, V, 3)
    visible : bool Tensor of shape (n, V)
    pieces : Tensor of shape (N_STEPS + 1,)
        Ends of the pieces of a score's range.
    """
    value = torch.where(visible, ends[..., 0], 0.0)
    blocks = [value[:, :0]]
    flags = visible.to(value)
    for i, variable in enumerate(variables):
        own, flag = value[:, i : i + 1], flags[:, i : i + 1]
        if variable.kind == "code":
            levels = torch.arange(variable.n_levels, device=own.device, dtype=own.dtype)
            block = (own == levels).to(own) * flag
        elif variable.circular:
            block = torch.cat([own.cos(), own.sin()], 1) * flag
        else:
            share = (own - pieces[:-1]) / pieces.diff()
            block = torch.cat([clamp_inputs(own), share.clamp(0, 1) * flag], 1)
        blocks += [block, flag]
    return torch.cat(blocks, 1)
