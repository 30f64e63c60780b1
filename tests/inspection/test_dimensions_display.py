"""The display of what columns contribute: bars, or an image."""

import numpy as np
import pytest

from skflow.inspection import DimensionContributionsDisplay

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
VALUES, NAMES = np.array([0.1, -2.0, 3.0, 0.2]), np.array(["a", "b", "c", "d"])


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    matplotlib.pyplot.close("all")


def test_bars_go_from_the_largest_to_the_rest():
    display = DimensionContributionsDisplay(VALUES, NAMES).plot(n_features=3)
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == ["c", "b", "2 other columns"]
    widths = [bar.get_width() for bar in display.ax_.patches]
    np.testing.assert_allclose(widths, [3.0, -2.0, 0.3])
    assert display.figure_ is display.ax_.figure


def test_pixels_are_an_image_summed_over_channels():
    display = DimensionContributionsDisplay(VALUES, NAMES, image_shape=(2, 1, 2)).plot()
    np.testing.assert_allclose(display.ax_.images[0].get_array(), [[3.1, -1.8]])


def test_a_display_needs_a_bar():
    with pytest.raises(ValueError, match="n_features"):
        DimensionContributionsDisplay(VALUES, NAMES).plot(n_features=0)
