"""The loop step by step, on densities whose gradients are known by hand.

`run` is all that knows how the loop is called.
"""

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from skflow.data.batches import MemoryBatches
from skflow.data.rows import Rows
from skflow.distributions import Distribution
from skflow.training.loop import train
from skflow.training.optimizer import Optimizer, flat_weights
from skflow.training.settings import Settings
from skflow.training.state import TrainState
from skflow.training.stopping import AllEpochs, EarlyStopping

RATE = 1e-2
WARMUP = 100  # steps until the rate is whole
AVERAGING = 0.98
AT_REST = 1e-30  # a rate at which nothing moves


def run(
    flow,
    rows: Tensor,
    *,
    weight=None,
    held_out=None,
    held_out_weight=None,
    on_epoch=lambda epoch: False,
    optimizer_state=None,
    rows_of=None,
    **settings,
):
    """Train ``flow`` in place; ``rows_of`` gives the rows of an epoch by its number, from 1."""
    whole = {
        "max_iter": 1,
        "batch_size": 10**6,
        "learning_rate_init": RATE,
        "weight_decay": 0.0,
        "n_iter_no_change": 10**6,
        "tol": 0.0,
        "max_time": None,
    }
    settings = Settings(**{**whole, **settings})
    rule = AllEpochs()
    if held_out is not None:
        rule = EarlyStopping(
            Rows(held_out, held_out_weight), settings.n_iter_no_change, settings.tol
        )
    state = TrainState(flow, settings, torch.Generator().manual_seed(0), rule)
    if optimizer_state is not None:
        state.optimizer.load_state_dict(optimizer_state)
    batches = MemoryBatches(
        rows_of or (lambda _: rows), len(rows), settings.batch_size, weight, state.generator
    )
    return train(state, batches, settings, lambda epoch, module: on_epoch(epoch))


class Centre(nn.Module):
    """What a layer learns: one number."""

    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.zeros((), dtype=torch.float64))


class CentredBase(Distribution):
    """What a base learns: one number too."""

    n_features = 1

    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.zeros((), dtype=torch.float64))

    def log_prob(self, x, context=None):
        return -0.5 * (x[:, 0] - self.value) ** 2

    def sample(self, n, context=None, generator=None):
        raise NotImplementedError


class Bell(nn.Module):
    """Log-density -(x - layer - base)^2 / 2, its constant left out."""

    def __init__(self):
        super().__init__()
        self.learned, self.base = Centre(), CentredBase()

    @property
    def centre(self) -> float:
        return float(self.learned.value.detach())

    def forward(self, x, context=None, noise=None):
        return self.base.log_prob(x - self.learned.value, context)

    def take_training_terms(self):
        return []


class Slope(Bell):
    """Log-density x * layer: the gradient is the mean row."""

    def forward(self, x, context=None, noise=None):
        return x[:, 0] * self.learned.value


def column(*values) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def path(flow, rows, **arguments):
    """The layer's number after every epoch, from 0 on."""
    values = [flow.centre]
    outcome = run(flow, rows, on_epoch=lambda epoch: values.append(flow.centre), **arguments)
    return outcome, values


ROWS = column(*torch.linspace(-1, 3, 100).tolist())


def test_terms_of_layers_are_part_of_the_loss():
    class Held(Bell):
        def take_training_terms(self):
            return [torch.full((100,), 7.0), (self.learned.value - 5).square().expand(100)]

    plain, held = Bell(), Held()
    loss = run(plain, ROWS, learning_rate_init=AT_REST).history[0].train_loss
    assert run(held, ROWS, learning_rate_init=AT_REST).history[0].train_loss == pytest.approx(
        loss + 7 + 25
    )
    run(held, ROWS, max_iter=1500)
    # Where the slopes of (centre - 1)^2 / 2 and of (layer - 5)^2 cancel.
    centre = held.centre + float(held.base.value.detach())
    assert 2 * (5 - held.centre) == pytest.approx(centre - 1, abs=0.1)


def test_a_weight_stays_with_its_row_in_every_batch():
    weight = torch.linspace(0.0, 2.0, 100, dtype=torch.float64)
    expected = float((weight * ROWS[:, 0] ** 2 / 2).mean())
    for batch_size in (5, 10, 50, 100):
        outcome = run(
            Bell(), ROWS, weight=weight, batch_size=batch_size, learning_rate_init=AT_REST
        )
        assert outcome.history[0].train_loss == pytest.approx(expected)
    flow = Bell()
    run(flow, ROWS, weight=weight, batch_size=10, max_iter=300, learning_rate_init=3e-3)
    mean = float((weight * ROWS[:, 0]).mean())
    assert flow.centre + float(flow.base.value.detach()) == pytest.approx(mean, abs=0.03)


def test_held_out_weights_weigh_the_score_that_epochs_are_chosen_by():
    held_out, weight = column(-1.0, 1.0), torch.tensor([0.25, 1.75], dtype=torch.float64)
    outcome = run(Bell(), ROWS, held_out=column(0.0, 2.0), held_out_weight=weight)
    assert outcome.start_score == pytest.approx(-0.5 * 4 * 1.75 / 2)
    # Training moves to 1: better for the heavy row, no better without the weights.
    heavy, equal = Bell(), Bell()
    chosen = run(heavy, ROWS, held_out=held_out, held_out_weight=weight)
    assert chosen.best_epoch == 1
    assert chosen.history[0].validation_score > chosen.start_score
    assert run(equal, ROWS, held_out=held_out).best_epoch == 0


@pytest.mark.parametrize("pieces", [(1, 1, 1), (2, 1), (1, 2)])
def test_a_training_in_pieces_is_the_training_in_one(pieces):
    whole, resumed, state = Bell(), Bell(), None
    run(whole, ROWS, max_iter=3)
    for n in pieces:
        state = run(resumed, ROWS, max_iter=n, optimizer_state=state).optimizer_state
    assert resumed.centre == whole.centre
    again = Bell()
    for _ in range(3):
        run(again, ROWS)
    assert again.centre < 0.6 * whole.centre  # the warm-up begins anew every time


def test_a_base_takes_the_same_steps():
    flow = Bell()
    run(flow, ROWS)
    assert flow.centre == pytest.approx(RATE / WARMUP, rel=1e-4)
    assert float(flow.base.value.detach()) == pytest.approx(flow.centre, rel=1e-4)


def test_the_rate_rises_to_its_peak_and_stays():
    rates = [epoch.learning_rate for epoch in run(Bell(), ROWS, max_iter=120).history]
    expected = [RATE * min(1, step / WARMUP) for step in range(1, 121)]
    assert rates == pytest.approx(expected)


def test_a_steep_batch_counts_as_one_three_times_as_long_as_usual():
    def end(steep, at):
        flow = Slope()
        run(flow, ROWS, rows_of=lambda k: column(steep if k == at else 1.0), max_iter=60)
        return flow.centre

    # What is usual is 5 at first; then 5 % of every length goes in, and all others are 1.
    for at in (1, 2, 40):
        usual = 1 + 4 * 0.95 ** (at - 1)
        assert end(1e6, at) == pytest.approx(end(3 * usual, at), rel=1e-5)
        assert end(2 * usual, at) != pytest.approx(end(3 * usual, at), rel=1e-3)


def test_what_is_usual_follows_steep_gradients():
    weights = flat_weights(Slope())
    optimizer = Optimizer(weights, Settings(max_iter=1, batch_size=1, learning_rate_init=RATE))
    for _ in range(100):
        weights.gradient.fill_(1e3)
        length = float(weights.gradient_norm())
        optimizer.step(1.0)
    assert float(weights.gradient_norm()) == length  # not shortened any more


class Stumbling(Slope):
    """Its loss is no number at one step."""

    def __init__(self, bad_step):
        super().__init__()
        self.bad_step, self.step = bad_step, 0

    def forward(self, x, context=None, noise=None):
        score = super().forward(x)
        if torch.is_grad_enabled():
            self.step += 1
        return score * math.nan if self.step == self.bad_step else score


def test_a_roll_back_makes_the_step_smaller():
    outcome, values = path(Stumbling(4), column(1.0), max_iter=6)
    assert outcome.n_rollbacks == 1
    moves = [b - a for a, b in itertools.pairwise(values)]
    assert moves[:3] == pytest.approx([RATE * k / WARMUP for k in (1, 2, 3)], rel=1e-3)
    assert moves[3] == pytest.approx(-moves[2])  # to where the last good epoch began
    assert moves[4:] == pytest.approx([0.3 * RATE * k / WARMUP for k in (1, 2)], rel=1e-3)


def test_what_is_kept_is_the_average_of_the_weights():
    flow = Bell()
    _, values = path(Bell(), ROWS, max_iter=8)
    outcome = run(flow, ROWS, held_out=column(3.0), max_iter=8)
    average = values[0]
    for value in values[1:]:
        average = AVERAGING * average + (1 - AVERAGING) * value
    assert outcome.best_epoch == 8
    assert flow.centre == pytest.approx(average)
    assert average < 0.1 * values[-1]


def test_the_best_epoch_is_what_stays():
    flow, kept = Bell(), []
    # Towards 1 and past the held-out 0.001: better at first, then worse.
    outcome = run(
        flow,
        ROWS,
        held_out=column(0.001),
        max_iter=60,
        on_epoch=lambda epoch: kept.append(epoch.validation_score),
    )
    assert 1 < outcome.best_epoch < 60
    assert outcome.best_score == max(kept) == kept[outcome.best_epoch - 1]
    x = column(0.001)
    assert float(flow(x).detach()[0]) == pytest.approx(outcome.best_score, abs=1e-15)


def test_a_stall_goes_back_to_the_best_with_a_smaller_step():
    outcome, values = path(Slope(), column(1.0), held_out=column(-1.0), n_iter_no_change=3)
    assert len(values) == 2
    outcome, values = path(
        Slope(), column(1.0), held_out=column(-1.0), n_iter_no_change=3, max_iter=50
    )
    # Each epoch is worse than the start: three steps, back, a third of that at 0.3, the end.
    steps = [RATE * k / WARMUP for k in range(1, 5)]
    first = [sum(steps[:k]) for k in (1, 2, 3)]
    second = [0.3 * steps[3]]
    assert values == pytest.approx([0, *first, *second], rel=1e-3)
    assert outcome.stopped_early
    average = second[0] * (1 - AVERAGING)  # it begins anew as well
    assert outcome.history[3].validation_score == pytest.approx(-average, rel=1e-3)


GO = "go on"
CUT = "smaller step"


@pytest.mark.parametrize(
    ("scores", "verdicts"),
    [
        ([0] * 6, [*[GO] * 4, CUT, GO, "stop"]),
        ([1, 0, 0, 0, 0, 0, 0], [*[GO] * 5, CUT, GO, "stop"]),
        ([1, 0, 0, 0, 0, 2, 0, 0, 3, 0, 0], [*[GO] * 5, CUT, GO, GO, CUT, GO, GO, "stop"]),
    ],
)
def test_a_cut_that_brought_nothing_is_the_last(scores, verdicts):
    rule = EarlyStopping(Rows(ROWS), n_iter_no_change=4, tol=0.0)
    rule.improved(0, 0.0)
    found = [rule.verdict()]
    for epoch, score in enumerate(scores, 1):
        rule.improved(epoch, score)
        found.append(rule.verdict())
    assert found == verdicts


def test_the_order_of_the_rows_is_drawn_for_every_epoch():
    first_batches = []

    class Watching(Bell):
        def forward(self, x, context=None, noise=None):
            if torch.is_grad_enabled():
                first_batches.append(tuple(x[:, 0].tolist()))
            return super().forward(x)

    run(Watching(), ROWS, batch_size=20, max_iter=3)
    epochs = [first_batches[i : i + 5] for i in (0, 5, 10)]
    assert len(first_batches) == 15
    everything = sorted(ROWS[:, 0].tolist())
    for batches in epochs:
        assert sorted(value for batch in batches for value in batch) == everything
    assert len({batches[0] for batches in epochs}) == 3
