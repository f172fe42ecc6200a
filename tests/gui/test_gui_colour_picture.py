"""A map of colours: what pyqtgraph draws, with single lines drawn anew."""

import numpy as np
import pyqtgraph as pg
import pytest
from PyQt6.QtGui import QColor, QImage

from gui.plotting.colour_picture import ColourPicture
from gui.plotting.plots import Plot

TABLE = pg.colormap.get("viridis").getLookupTable(nPts=256)


def _drawn(item):
    """Return the pixels as (lines, columns, 4): red, green, blue, alpha."""
    item.render()
    image = item.qimage.convertToFormat(QImage.Format.Format_RGBA8888)
    bits = image.constBits().asarray(image.sizeInBytes())
    return np.array(bits, np.uint8).reshape(image.height(), image.width(), 4)


def _set_up(item, values, levels=(0.0, 10.0)):
    item.setLookupTable(TABLE)
    item.setImage(values, levels=levels)
    return item


def test_the_colours_are_those_of_pyqtgraph(qapp, commit_seed):
    values = np.random.default_rng(commit_seed).uniform(-3.0, 13.0, (40, 50)).astype(np.float32)
    values[3, 4] = values[7] = np.nan

    ours = _drawn(_set_up(ColourPicture(), values))
    theirs = _drawn(_set_up(pg.ImageItem(axisOrder="row-major"), values))

    np.testing.assert_array_equal(ours[..., 3], theirs[..., 3])
    is_there = theirs[..., 3] > 0
    away = np.abs(ours[is_there].astype(int) - theirs[is_there].astype(int))
    assert away.max() <= 4  # a place between two colours may round to either


def test_of_lines_that_change_the_picture_changes_those(qapp):
    values = np.full((6, 5), np.nan, np.float32)
    item = _set_up(ColourPicture(), values)
    before = _drawn(item)
    values[2], values[4] = 0.0, 10.0
    item.renew(values, np.array([2, 4]))

    assert not item._renderRequired
    after = _drawn_without_rendering(item)
    np.testing.assert_array_equal(after[2, :, :3], np.tile(TABLE[0, :3], (5, 1)))
    np.testing.assert_array_equal(after[4, :, :3], np.tile(TABLE[-1, :3], (5, 1)))
    others = [0, 1, 3, 5]
    np.testing.assert_array_equal(after[others], before[others])


def _drawn_without_rendering(item):
    image = item.qimage
    return np.array(
        [
            [QColor(image.pixelColor(x, y)).getRgb() for x in range(image.width())]
            for y in range(image.height())
        ]
    )


@pytest.mark.parametrize("change", ["levels", "colours"])
def test_other_levels_or_colours_draw_everything_anew(qapp, change):
    values = np.linspace(0.0, 10.0, 30, dtype=np.float32).reshape(6, 5)
    item = _set_up(ColourPicture(), values)
    before = _drawn(item)

    if change == "levels":
        item.setLevels((0.0, 20.0))
    else:
        item.setLookupTable(TABLE[::-1])
    item.renew(values, np.array([0]))

    assert item._renderRequired
    after = _drawn(item)
    wanted = before[:, :, :3] if change == "levels" else TABLE[::-1][0][:3]
    assert not np.array_equal(after, before)
    if change == "colours":
        np.testing.assert_array_equal(after[0, 0, :3], wanted)


@pytest.fixture
def picture(qtbot, monkeypatch):
    plot = Plot("energy", "eV", "row", "", name="map")
    qtbot.addWidget(plot)
    plot.resize(500, 320)
    plot.show()
    qtbot.waitExposed(plot)
    return plot.image("counts")


def test_a_row_that_comes_colours_one_line_and_the_ends_of_the_colours_follow_later(
    picture, qapp, monkeypatch
):
    whole, lines = [], []
    render, renew = ColourPicture.render, ColourPicture.renew
    monkeypatch.setattr(ColourPicture, "render", lambda self: whole.append(1) or render(self))
    monkeypatch.setattr(
        ColourPicture, "renew", lambda self, v, n: lines.append(n.size) or renew(self, v, n)
    )
    values = np.full((1000, 64), np.nan, np.float32)
    values[:500] = np.linspace(100.0, 200.0, 64)
    picture.show(values, (0.0, 1.0), (0.0, 1.0))
    qapp.processEvents()
    drawn_at_first = len(whole)

    for row in range(500, 520):
        values[row] = np.linspace(100.0, 900.0, 64)
        picture.show(values, (0.0, 1.0), (0.0, 1.0), changed=np.array([row]))
        qapp.processEvents()

    assert lines == [1] * 20
    assert 1 <= len(whole) - drawn_at_first <= 3  # when a fiftieth of the lines was new
    assert picture.bar.levels()[1] > 200.0


def test_with_few_rows_the_ends_of_the_colours_follow_every_row(picture):
    values = np.full((1000, 64), np.nan, np.float32)
    picture.show(values, (0.0, 1.0), (0.0, 1.0))
    for row in range(10):
        values[row] = 100.0 * (row + 1) + np.arange(64)
        picture.show(values, (0.0, 1.0), (0.0, 1.0), changed=np.array([row]))
        assert picture.bar.levels()[1] > 100.0 * (row + 1)
