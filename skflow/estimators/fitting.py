"""From rows to a trained flow: hold out, spread repeated values, encode, run the loop."""

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from skflow.estimators.starts import Rows
from skflow.flow import Flow
from skflow.training.loop import Epoch, Outcome, Settings, train

MIN_HELD_OUT = 5  # fewer held-out rows cannot tell a better density from a worse one


def split_rows(
    rows: Rows, fraction: float, rng: np.random.RandomState, groups: np.ndarray | None
) -> tuple[Rows, Rows | None]:
    """Hold out a random share of the rows; none where that would leave too few to judge by.

    ``groups`` numbers the rows so that repetitions share a number: they stay together, else the
    held-out part would hold rows that were fitted. None where every row is its own group.
    """
    n = len(rows) if groups is None else int(groups.max()) + 1
    n_held_out = max(round(fraction * n), MIN_HELD_OUT)
    if n_held_out > n // 4 and n_held_out > fraction * n + 1:
        return rows, None
    if n - n_held_out < 2:
        raise ValueError(
            f"validation_fraction={fraction} leaves {n - n_held_out} of {n} rows to fit; lower it."
        )
    order = rng.permutation(n)
    if groups is None:
        return rows[order[n_held_out:]], rows[order[:n_held_out]]
    held_out = np.isin(groups, order[:n_held_out])
    return rows[np.flatnonzero(~held_out)], rows[np.flatnonzero(held_out)]


def spread(x: Tensor, width: Tensor, generator: torch.Generator) -> Tensor:
    """Add uniform noise of ``width`` per column, centred: the noise floor."""
    if not bool((width > 0).any()):
        return x
    noise = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    return x + width * (noise - 0.5)


def train_flow(
    flow: Flow,
    rows: Rows,
    held_out: Rows | None,
    width: np.ndarray,
    settings: Settings,
    *,
    device: torch.device,
    dtype: torch.dtype,
    noise: float,
    seed: int,
    on_epoch: Callable[[Epoch], bool],
    optimizer_state: dict | None = None,
) -> Outcome:
    """Train the learned part of ``flow`` in ``dtype``; the fixed part stays in float64.

    The data pass the fixed maps once, in float64, or once an epoch where the noise floor is
    drawn afresh. Losses and scores in the outcome are in the units of x.

    Parameters
    ----------
    flow : Flow
        Of two transforms: the fixed maps and the learned ones. Trained in place.
    rows, held_out : Rows
    width : ndarray of shape (d,)
        Noise floor, in units of x.
    settings : Settings
    device, dtype
        Where and in which precision to train.
    noise : float
        Standard deviation of the Gaussian noise added to the encoded training rows.
    seed : int
    on_epoch : callable
        See `skflow.training.loop.train`.
    optimizer_state : dict, optional
        Of an earlier pass.
    """
    flow.to(device)
    fixed, learned = flow.transform.steps
    trunk = Flow([copy.deepcopy(learned)], copy.deepcopy(flow.base)).to(dtype).requires_grad_(True)
    generator = torch.Generator(device).manual_seed(seed)
    widths = torch.as_tensor(width, device=device)

    @torch.no_grad()
    def encode(part: Rows) -> tuple[Tensor, float]:
        z, contribution = fixed(spread(part.x.to(device), widths, generator))
        return z.to(dtype), part.mean(contribution.cpu())

    def weight_of(part: Rows) -> Tensor | None:
        # Of mean 1, in float64: a weight's unit must not matter, nor underflow in float32.
        weight = part.weight_of_mean_one()
        return None if weight is None else weight.to(device, dtype)

    z, train_offset = encode(rows)
    redraw = bool((width > 0).any())

    def draw_epoch(epoch: int) -> Tensor:
        encoded = encode(rows)[0] if redraw and epoch > 1 else z
        if noise == 0:
            return encoded
        eps = torch.randn(z.shape, generator=generator, dtype=dtype, device=device)
        return encoded + noise * eps

    validation, validation_offset = encode(held_out) if held_out is not None else (None, 0.0)

    def in_units_of_x(epoch: Epoch) -> Epoch:
        return replace(
            epoch,
            train_loss=epoch.train_loss - train_offset,
            validation_score=epoch.validation_score + validation_offset,
        )

    outcome = train(
        trunk,
        draw_epoch,
        weight_of(rows),
        validation,
        weight_of(held_out) if held_out is not None else None,
        settings,
        generator,
        lambda epoch: on_epoch(in_units_of_x(epoch)),
        optimizer_state,
    )
    outcome.history = [in_units_of_x(epoch) for epoch in outcome.history]
    outcome.best_score += validation_offset
    outcome.start_score += validation_offset
    # The trained layers themselves, not only their weights: some count what happened to them.
    trunk.zero_grad(set_to_none=True)
    flow.transform.steps[1] = trunk.transform.steps[0].double()
    flow.base.load_state_dict(trunk.base.state_dict())
    return outcome
