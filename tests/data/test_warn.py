"""Where warnings show, and how often."""

import warnings

import pytest

from skflow.data import warn as module
from skflow.data.warn import warn


@pytest.fixture(autouse=True)
def _forgetful(monkeypatch):
    monkeypatch.setattr(module, "_SHOWN", set())


def shown(filters, calls):
    """Warnings that calls on one line give, the filters being set anew before each."""
    found = []
    for text, category in calls:
        with warnings.catch_warnings(record=True) as caught:
            warnings.resetwarnings()
            for one in filters:
                warnings.filterwarnings(**one)
            warn(text, category)
        found += caught
    return found


def test_a_text_shows_once_per_line_by_default():
    calls = [("a", UserWarning), ("a", UserWarning), ("b", UserWarning), ("a", FutureWarning)]
    found = shown([], calls)
    assert [(str(one.message), one.category) for one in found] == [
        ("a", UserWarning),
        ("b", UserWarning),
        ("a", FutureWarning),
    ]
    assert found[0].filename == __file__
    assert len(shown([{"action": "default"}], calls[:2])) == 0  # by the same line


def test_filters_have_the_say():
    calls = 2 * [("loss", UserWarning)]
    assert len(shown([{"action": "always"}], calls)) == 2
    assert len(shown([{"action": "ignore", "message": "lo"}], calls)) == 0
    assert len(shown([{"action": "ignore", "category": FutureWarning}], calls)) == 1
    assert len(shown([{"action": "always", "module": "nowhere"}], calls)) == 0
    with pytest.raises(UserWarning, match="loss"):
        shown([{"action": "error", "category": Warning}], calls)
