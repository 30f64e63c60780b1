"""What is revealed and what is hidden while the density of a table is trained."""

import torch
from torch import Tensor

from skflow.transforms.noise import Noise

GROUPS = 16  # of a batch's rows: what is revealed and hidden in training is drawn for each
PLAIN_SHARE = 0.5  # of the groups have nothing revealed or hidden: that is the density itself
HIDDEN_SHARE = 0.5  # of the others have hidden columns as well


def training_masks(
    visible: Tensor, column_of: Tensor, is_present: Tensor, noise: Noise, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Visible and revealed variables, for half of the rows at random.

    Parameters
    ----------
    visible : bool Tensor of shape (n, V)
        Variables that have a value.
    column_of : Tensor of shape (V,)
        The columns that they belong to: these are revealed and hidden as a whole.
    is_present : bool Tensor of shape (V,)
        Which variables say that a cell is there.
    noise : Noise
    dtype : torch.dtype
        Of the numbers drawn.
    """
    n_groups = min(GROUPS, len(visible))
    n_columns = int(column_of.max()) + 1
    like = torch.zeros(n_groups, 0, dtype=dtype, device=visible.device)
    u = torch.special.ndtr(noise(like, 4 + n_columns))
    kind, share, hidden, bits = u[:, :4, None].unbind(1)
    own = u[:, 4:][:, column_of]
    mixed = kind > PLAIN_SHARE
    revealed = mixed & (own < share)
    hides = mixed & (kind > 1 - (1 - PLAIN_SHARE) * HIDDEN_SHARE)
    hide = hides & (1 - own < (1 - share) * hidden)
    # To impute is to know which cells are missing, whatever else is known.
    all_bits = mixed & (bits < 0.5) & is_present
    revealed, hide = revealed | all_bits, hide & ~all_bits
    group = torch.arange(len(visible), device=visible.device) % n_groups
    visible = visible & ~hide[group]
    return visible, revealed[group] & visible
