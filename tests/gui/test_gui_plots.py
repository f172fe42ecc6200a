"""The plot: whose view it is, scales, colours, and what it gives away."""

import csv
import math

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QWheelEvent
from PyQt6.QtWidgets import QApplication, QFileDialog

from gui.look import theme
from gui.look.theme import Role
from gui.plotting.plots import Plot


@pytest.fixture
def plot(qtbot):
    shown = Plot("energy", "eV", "counts", "", name="spectrum")
    qtbot.addWidget(shown)
    shown.resize(500, 320)
    shown.show()
    qtbot.waitExposed(shown)
    return shown


def _shown_x(plot):
    return tuple(plot.view.viewRange()[0])


def test_it_shows_everything_that_arrives(plot, qapp):
    curve = plot.curve("data", Role.DATA)
    curve.show([2.0, 2.1], [1.0, 5.0])
    qapp.processEvents()
    curve.show([1.0, 3.0], [1.0, 5.0])
    qapp.processEvents()

    low, high = _shown_x(plot)

    assert low <= 1.0
    assert high >= 3.0


def test_a_zoom_by_the_wheel_is_never_reset_by_what_arrives(plot, qapp):
    curve = plot.curve("data", Role.DATA)
    curve.show([1.0, 3.0], [1.0, 5.0])
    qapp.processEvents()
    middle = QPointF(plot._graphics.viewport().rect().center())
    QApplication.sendEvent(
        plot._graphics.viewport(),
        QWheelEvent(
            middle,
            plot._graphics.viewport().mapToGlobal(middle),
            QPoint(0, 120),
            QPoint(0, 120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        ),
    )
    zoomed = _shown_x(plot)

    curve.show([0.0, 30.0], [1.0, 500.0])
    qapp.processEvents()

    assert zoomed[1] - zoomed[0] < 2.2
    assert _shown_x(plot) == zoomed
    assert not plot.is_auto
    assert not plot._auto_button.isChecked()


def test_the_key_A_gives_the_view_back(plot, qapp, qtbot):
    curve = plot.curve("data", Role.DATA)
    curve.show([0.0, 30.0], [1.0, 500.0])
    plot.zoom_to((2.0, 2.1))

    qtbot.keyClick(plot, Qt.Key.Key_A)
    qapp.processEvents()

    assert plot.is_auto
    assert _shown_x(plot)[1] >= 30.0


def test_a_logarithmic_axis_leaves_out_what_is_not_positive_and_keeps_the_zoom_in_x(plot, qapp):
    curve = plot.curve("data", Role.DATA, marker="disc")
    curve.show([1.0, 2.0, 3.0], [-1.0, 100.0, 1000.0], [1.0, 10.0, 2000.0])
    plot.zoom_to((0.5, 3.5))

    plot.set_log(True)
    qapp.processEvents()

    assert _shown_x(plot) == (0.5, 3.5)
    drawn = curve.item.getData()[1]
    assert math.isnan(drawn[0])
    assert drawn[1:].tolist() == [2.0, 3.0]


def test_an_axis_never_takes_an_si_prefix(plot, qapp):
    plot.curve("data", Role.DATA).show([1e-7, 3e-7], [1e6, 2e6])
    qapp.processEvents()

    assert plot.item.getAxis("bottom").labelString().count("eV") == 1
    assert "neV" not in plot.item.getAxis("bottom").labelString()
    assert plot.item.getAxis("left").autoSIPrefixScale == 1.0


def test_the_colours_follow_the_palette(plot, qapp):
    curve = plot.curve("data", Role.DATA)
    theme.apply(qapp, theme.DARK)
    try:
        qapp.processEvents()
        dark = curve.item.opts["pen"].color().name()
    finally:
        theme.apply(qapp, theme.LIGHT)
    qapp.processEvents()

    assert dark == theme.DARK.data
    assert curve.item.opts["pen"].color().name() == theme.LIGHT.data


def test_the_mouse_reads_the_axes_and_a_click_says_where(plot, qapp, qtbot):
    plot.curve("data", Role.DATA).show([0.0, 10.0], [0.0, 100.0])
    plot.zoom_to((0.0, 10.0), (0.0, 100.0))
    qapp.processEvents()
    centre = plot.view.mapViewToScene(QPointF(5.0, 50.0)).toPoint()

    with qtbot.waitSignal(plot.clicked, timeout=2000) as clicked:
        qtbot.mouseClick(plot._graphics.viewport(), Qt.MouseButton.LeftButton, pos=centre)

    assert clicked.args == pytest.approx([5.0, 50.0], rel=0.02)


def test_the_numbers_behind_it_come_out_as_they_went_in(plot, tmp_path):
    plot.curve("data", Role.DATA).show([2.0, 2.1], [7.0, 9.5], [0.5, 0.25])
    plot.curve("fit", Role.FIT).show([2.05], [8.0])

    plot.save_numbers(tmp_path / "behind.csv")

    with (tmp_path / "behind.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0] == [
        "data: energy (eV)",
        "data: counts",
        "data: error",
        "fit: energy (eV)",
        "fit: counts",
    ]
    assert rows[1] == ["2.0", "7.0", "0.5", "2.05", "8.0"]
    assert rows[2] == ["2.1", "9.5", "0.25", "", ""]


def test_a_map_gives_away_its_table_with_the_middles_of_its_places(plot, tmp_path):
    image = plot.image("counts")
    image.show(np.array([[1.0, 2.0], [3.0, np.nan]]), (0.0, 2.0), (10.0, 30.0))

    plot.save_numbers(tmp_path / "map.csv")

    rows = list(csv.reader((tmp_path / "map.csv").read_text().splitlines()))
    assert rows[1] == ["", "0.5", "1.5"]
    assert rows[2] == ["15.0", "1.0", "2.0"]
    assert rows[3] == ["25.0", "3.0", "nan"]


@pytest.mark.parametrize(("ending", "begins"), [(".png", b"\x89PNG"), (".svg", b"<?xml")])
def test_its_picture_is_saved_by_the_ending_of_the_name(plot, tmp_path, ending, begins):
    plot.curve("data", Role.DATA).show([2.0, 2.1], [7.0, 9.5])

    plot.save_picture(tmp_path / f"picture{ending}")

    assert (tmp_path / f"picture{ending}").read_bytes().startswith(begins)


def test_a_picture_of_an_unknown_kind_is_refused_by_name(plot, tmp_path):
    with pytest.raises(ValueError, match=r"picture\.bmp: a picture ends in \.png or \.svg"):
        plot.save_picture(tmp_path / "picture.bmp")


def test_where_there_is_nothing_it_says_what_will_be_and_how(plot):
    plot.invite("press Live")
    curve = plot.curve("live", Role.DATA)
    image = plot.image("light")
    assert plot.invitation == "press Live"

    curve.show([1.0], [2.0])
    assert plot.invitation == ""
    curve.clear()
    assert plot.invitation == "press Live"

    image.show(np.full((200, 3), np.nan), (0, 1), (0, 1))
    assert plot.invitation == "press Live"
    values = np.full((200, 3), np.nan)
    values[150, 1] = 7.0
    image.show(values, (0, 1), (0, 1))
    assert plot.invitation == ""


@pytest.mark.parametrize("size", [(500, 320), (160, 110)])
@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_no_title_is_longer_than_its_axis(plot, qapp, size, scale):
    theme.set_text_scale(qapp, scale)
    try:
        plot.resize(*size)
        plot.set_y_axis("energy of the lines", "eV")
        image = plot.image("counts", unit="per frame")
        qapp.processEvents()

        for axis, length in (
            (plot.item.getAxis("left"), plot.view.height()),
            (plot.item.getAxis("bottom"), plot.view.width()),
            (image.bar.getAxis("left"), image.bar.vb.height()),
        ):
            assert axis.label.boundingRect().width() <= length + 12  # margins of the text item
    finally:
        theme.set_text_scale(qapp, 1.0)


def test_a_plot_whose_axis_stands_at_its_neighbour_saves_a_picture_with_it(plot, tmp_path, qapp):
    plot.curve("data", Role.DATA).show([1.0, 2.0], [2.0, 3.0])
    plot.hide_x_axis()
    qapp.processEvents()
    low_px = plot.view.height()

    plot.save_picture(tmp_path / "plot.svg")

    assert "energy" in (tmp_path / "plot.svg").read_text(encoding="utf-8")
    qapp.processEvents()
    assert plot.view.height() == low_px
    assert not plot.item.getAxis("bottom").label.isVisible()


def test_asking_for_a_file_blocks_nothing(plot, qtbot, tmp_path):
    plot.curve("data", Role.DATA).show([1.0, 2.0], [2.0, 3.0])
    plot._ask_numbers()
    dialog = next(one for one in plot.findChildren(QFileDialog) if one.isVisible())

    assert not dialog.isModal()
    dialog.fileSelected.emit(str(tmp_path / "numbers.csv"))
    dialog.close()
    assert (tmp_path / "numbers.csv").exists()


def test_error_bars_that_are_not_there_do_not_draw_the_view_to_zero(plot, qapp):
    gone, shown = (plot.curve(name, Role.DATA, marker="disc", line=False) for name in "ab")
    gone.show([1.0], [2.39], [0.01])
    shown.show([1.0, 2.0], [2.39, 2.40], [0.01, 0.01])
    gone.show([], [], [])
    qapp.processEvents()

    assert plot.view.viewRange()[1][0] > 2.3
    gone.clear()
    qapp.processEvents()
    assert plot.view.viewRange()[1][0] > 2.3
    gone.show([1.0], [1.0], [0.5])
    qapp.processEvents()
    assert plot.view.viewRange()[1][0] < 0.6  # bars are seen whole
