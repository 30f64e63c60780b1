import pytest

from skflow.model_selection.rungs import Rung, rungs


def test_each_rung_keeps_one_in_factor_and_trains_as_many_times_as_long():
    assert rungs(8, 3, 4, 100) == [Rung(8, 4), Rung(3, 12), Rung(1, None)]
    assert rungs(27, 3, 2, 100) == [Rung(27, 2), Rung(9, 6), Rung(3, 18), Rung(1, None)]


def test_where_the_epochs_end_before_all_that_is_left_goes_on_to_the_end():
    assert rungs(27, 3, 5, 12) == [Rung(27, 5), Rung(9, None)]
    assert rungs(5, 3, 12, 12) == [Rung(5, None)]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_candidates(n):
    ladder = rungs(n, 1.5, 1, 10)
    assert ladder[0].n_candidates == n
    assert ladder[-1] == Rung(1, None)
    epochs = [rung.epoch for rung in ladder[:-1]]
    assert epochs == sorted(set(epochs))
