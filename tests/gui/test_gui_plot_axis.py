"""The axes of a plot: a grid below the data, and nothing worked out twice."""

from itertools import pairwise

import numpy as np
import pytest
from PyQt6.QtCore import QPointF
from PyQt6.QtGui import QColor

from gui.look import theme
from gui.look.theme import Role
from gui.plotting.plots import Plot

TICKS = range(1, 10)  # of a view from 0 to 10, the ends left out


@pytest.fixture
def plot(qtbot, qapp):
    shown = Plot("time", "s", "counts", "", name="grid")
    qtbot.addWidget(shown)
    shown.resize(640, 400)
    shown.show()
    qtbot.waitExposed(shown)
    shown.zoom_to(x=(0.0, 10.0), y=(0.0, 10.0))
    qapp.processEvents()
    return shown


def _colours_at(plot, x, y):
    """Return the colours of the pixels within one of a place in the view."""
    place = plot.view.mapViewToScene(QPointF(x, y)).toPoint()
    image = plot._graphics.grab().toImage()
    near = [(place.x() + i, place.y() + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    return {image.pixelColor(i, j).name() for i, j in near}


def test_the_grid_hides_nothing_of_the_data(plot, qapp):
    plot.curve("along a line of the grid", Role.DATA).show([0.0, 10.0], [4.0, 4.0])
    plot.curve("across", Role.DATA).show([6.0, 6.0], [0.0, 10.0])
    qapp.processEvents()
    data = QColor(theme.theme_of(plot).line(Role.DATA)).name()

    assert all(data in _colours_at(plot, tick, 4.0) for tick in TICKS)
    assert all(data in _colours_at(plot, 6.0, tick) for tick in TICKS)


@pytest.mark.parametrize("chosen", [theme.LIGHT, theme.DARK], ids=lambda one: one.name)
def test_the_grid_is_fainter_than_the_axis_and_seen_on_its_ground(plot, qapp, chosen):
    theme.apply(qapp, chosen)
    qapp.processEvents()
    ground, line = QColor(chosen.base), QColor(chosen.border)
    found = _colours_at(plot, 5.0, 7.5) - {ground.name()}

    lightness = [QColor(name).lightness() for name in found]

    assert lightness
    low, high = sorted((ground.lightness(), line.lightness()))
    assert low < np.median(lightness) < high


def test_an_axis_is_worked_out_once_for_a_view_however_often_it_is_painted(plot, qapp, monkeypatch):
    axis = plot.item.getAxis("left")
    worked_out = []
    whole = axis.generateDrawSpecs
    monkeypatch.setattr(
        axis, "generateDrawSpecs", lambda painter: worked_out.append(1) or whole(painter)
    )

    plot.zoom_to(y=(0.0, 20.0))
    _repaint(plot, 2)  # the labels may make room for themselves in between
    assert worked_out

    worked_out.clear()
    _repaint(plot, 5)
    assert not worked_out


def _repaint(plot, times):
    for _ in range(times):
        plot._graphics.viewport().repaint()


@pytest.mark.parametrize("width_px", [90, 120, 160, 240, 640])
def test_numbers_side_by_side_never_touch(plot, qapp, width_px):
    plot.zoom_to(x=(-300.0, 2300.0), y=(0.0, 10.0))
    plot.resize(width_px, 200)
    qapp.processEvents()
    plot.grab()

    _, _, texts = plot.item.getAxis("bottom").picture
    places = sorted((rect.left(), rect.right()) for rect, _, _ in texts)

    assert places
    for (_, right), (left, _) in pairwise(places):
        assert left - right >= 4.0
