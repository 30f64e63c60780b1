"""How to train."""

from dataclasses import dataclass

import torch

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Settings:
    """What the loop goes by; the names are those of `skflow.NormalizingFlow`.

    ``noise`` is the deviation of the Gaussian noise on encoded training rows. After the epoch
    ``pause_after`` the loop stops, to be gone on with later.
    """

    max_iter: int
    batch_size: int
    learning_rate_init: float
    weight_decay: float = 0.0
    n_iter_no_change: int = 10
    tol: float = 1e-4
    max_time: float | None = None
    noise: float = 0.0
    pause_after: int | None = None
    device: torch.device = CPU
    dtype: torch.dtype = torch.float32
