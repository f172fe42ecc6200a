"""The ends of a map's colours by keyboard."""

import numpy as np
import pytest
from PyQt6.QtCore import Qt

from gui.plotting.plots import Plot

VALUES = np.linspace(100.0, 200.0, 400).reshape(20, 20)


@pytest.fixture
def plot(qtbot):
    shown = Plot("x", "um", "y", "um", name="map")
    shown.image("counts").show(VALUES, (0.0, 20.0), (0.0, 20.0))
    qtbot.addWidget(shown)
    shown.resize(500, 320)
    shown.show()
    qtbot.waitExposed(shown)
    return shown


@pytest.fixture
def limits(qtbot, plot):
    qtbot.keyClick(plot, Qt.Key.Key_C)
    (line,) = plot._colour_limits
    return line


def typed(qtbot, edit, text):
    edit.selectAll()
    qtbot.keyClicks(edit, text)
    qtbot.keyClick(edit, Qt.Key.Key_Return)


def test_a_key_asks_for_them_and_begins_with_what_they_are(plot, limits):
    low, high = np.percentile(VALUES, (0.5, 99.5))

    assert limits.isVisible()
    assert limits.low.hasFocus()
    assert (limits.low.value, limits.high.value) == pytest.approx((low, high))


def test_what_is_typed_stays_whatever_is_shown_afterwards(qtbot, plot, limits):
    typed(qtbot, limits.low, "120")
    typed(qtbot, limits.high, "1.5e3")
    (image,) = plot._images
    image.show(10 * VALUES, (0.0, 20.0), (0.0, 20.0))

    assert image.levels == pytest.approx((120.0, 1500.0))

    limits.auto.click()
    assert image.levels == pytest.approx(tuple(np.percentile(10 * VALUES, (0.5, 99.5))))
    image.show(VALUES, (0.0, 20.0), (0.0, 20.0))
    assert image.levels[1] < 200.0  # they follow again


@pytest.mark.parametrize(("text", "why"), [("300", "not below"), ("bright", "bright")])
def test_what_can_not_be_is_refused_in_place(qtbot, plot, limits, text, why):
    before = plot._images[0].levels

    typed(qtbot, limits.low, text)

    assert why in limits.note.said
    assert plot._images[0].levels == before


def test_what_is_dragged_at_the_bar_is_written_in_the_fields(plot, limits):
    bar = plot._images[0].bar
    bar.setLevels((110.0, 190.0))
    bar.sigLevelsChanged.emit(bar)  # as its handles do

    assert (limits.low.value, limits.high.value) == (110.0, 190.0)


def test_escape_closes_the_line_and_gives_the_keyboard_back(qtbot, plot, limits):
    qtbot.keyClick(limits.low, Qt.Key.Key_Escape)

    assert not limits.isVisible()
    assert plot.hasFocus()


def test_a_plot_without_colours_asks_for_none(qtbot):
    plain = Plot("x", "", "y", "")
    qtbot.addWidget(plain)
    qtbot.keyClick(plain, Qt.Key.Key_C)

    assert not plain._limits_action.isVisible()
