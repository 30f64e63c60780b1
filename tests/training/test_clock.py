from skflow.training import clock
from skflow.training.clock import Clock


def test_without_a_limit_there_is_always_time():
    assert Clock().left is None
    assert not Clock().past(0.0)


def test_time_runs_from_where_it_is_made(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(clock.time, "monotonic", lambda: now[0])
    one = Clock(10.0)
    assert one.left == 10.0
    assert not one.past(0.5)
    now[0] = 105.5
    assert one.left == 4.5
    assert one.past(0.5)
    assert not one.past(1.0)
    now[0] = 200.0
    assert 0 < one.left <= 1e-3
    assert one.past(1.0)
