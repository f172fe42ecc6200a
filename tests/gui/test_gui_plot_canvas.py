"""The cursor over a plot: when its picture is taken, and that nothing stays behind."""

import numpy as np
import pytest
from PyQt6.QtGui import QColor

from gui.look import theme
from gui.look.theme import Role
from gui.plotting.plot_canvas import PlotCanvas
from gui.plotting.plots import Plot


@pytest.fixture
def plot(qtbot, qapp):
    shown = Plot("time", "s", "counts", "", name="cursor")
    qtbot.addWidget(shown)
    shown.resize(500, 320)
    shown.show()
    qtbot.waitExposed(shown)
    shown.curve("data", Role.DATA).show(np.arange(11.0), np.arange(11.0))
    qapp.processEvents()
    return shown


@pytest.fixture
def taken(monkeypatch):
    """One entry for each picture of the whole plot."""
    times = []
    take = PlotCanvas._taken
    monkeypatch.setattr(PlotCanvas, "_taken", lambda self: times.append(1) or take(self))
    return times


def _columns_of_the_cursor(plot):
    """Return in how many columns the cursor's colour is seen."""
    colour = QColor(theme.theme_of(plot).cursor).rgb()
    image = plot._graphics.grab().toImage()
    middle = range(image.height() // 4, 3 * image.height() // 4)
    columns = range(image.width())
    return sum(any(image.pixel(x, y) == colour for y in middle) for x in columns)


def test_steps_over_a_plot_that_stays_take_its_picture_once(plot, qapp, taken):
    for x in range(1, 9):
        plot.show_cross(float(x))
        qapp.processEvents()

    assert len(taken) == 1


def test_a_plot_that_changes_with_every_step_is_never_taken(plot, qapp, taken):
    curve = plot.curve("live", Role.DATA)
    for x in range(1, 9):
        plot.show_cross(float(x))
        qapp.processEvents()
        curve.show(np.arange(11.0), np.arange(11.0) + x)
        qapp.processEvents()

    assert not taken


def test_a_step_leaves_no_line_behind_whether_the_plot_was_taken_or_not(plot, qapp):
    for x in (2.0, 4.0, 6.0, 8.0):
        plot.show_cross(x)
        qapp.processEvents()

        assert _columns_of_the_cursor(plot) == 1
