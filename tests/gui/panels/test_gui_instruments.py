"""The instruments panel against a real engine: moves, limits, refusals, stops, ages."""

import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QWheelEvent
from PyQt6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from acquisition.channel.messages import (
    ChannelReading,
    Mode,
    Movable,
    MoveState,
    Snapshot,
)
from gui.link.engine_link import EngineLink
from gui.look.theme import Tone
from gui.panels.instruments import InstrumentsPanel
from gui.panels.move_row import first_step


@pytest.fixture
def panel(watching, qtbot: QtBot) -> InstrumentsPanel:
    panel = InstrumentsPanel(watching.link)
    qtbot.addWidget(panel)
    panel.show()
    watching.until(lambda: bool(panel.moves) and bool(panel.readings))
    watching.until(panel.moves["temperature_K"].target.isEnabled)
    return panel


def typed(qtbot: QtBot, edit: QWidget, text: str) -> None:
    edit.setFocus()
    edit.selectAll()
    qtbot.keyClicks(edit, text)
    qtbot.keyClick(edit, Qt.Key.Key_Return)


def test_every_movable_of_the_station_has_a_row_with_its_parts(panel, watching) -> None:
    hello = watching.link.hello

    assert list(panel.moves) == [movable.quantity for movable in hello.movables]
    assert {"temperature_K", "angle_deg", "field_kV_per_cm", "grating", "shutter"} <= set(
        panel.moves
    )
    for row in panel.moves.values():
        assert row.stop.accessibleName().startswith("stop ")
        assert (row.choice or row.target).accessibleName()
        assert row.readback.accessibleName()


def test_a_typed_target_is_reached_and_the_pill_says_so(panel, watching, qtbot: QtBot) -> None:
    row = panel.moves["angle_deg"]
    typed(qtbot, row.target, "90 deg")

    watching.until_there("angle_deg", 90.0, within=0.2)
    assert row.pill.text() == "at rest"
    assert row.readback.text().endswith("deg")
    assert float(row.readback.text().split()[0]) == pytest.approx(90, abs=0.2)


def test_a_target_in_another_unit_is_understood(panel, watching, qtbot: QtBot) -> None:
    typed(qtbot, panel.moves["centre_nm"].target, "0.521 um")

    watching.until_there("centre_nm", 521.0)


@pytest.mark.parametrize(
    ("quantity", "text", "parts"),
    [
        ("temperature_K", "400 K", ("5.2 to 305 K", "cryostat.max")),
        ("field_kV_per_cm", "500 kV/cm", ("outside",)),
        ("centre_nm", "3 eV", ("nm",)),
        ("angle_deg", "north", ("north",)),
    ],
)
def test_what_is_outside_is_refused_in_place_with_the_limit_and_where_it_stands(
    panel, watching, qtbot: QtBot, quantity: str, text: str, parts: tuple[str, ...]
) -> None:
    row = panel.moves[quantity]
    typed(qtbot, row.target, text)

    assert all(part in row.message.said for part in parts)
    assert row.message.tone is Tone.BAD
    assert row.target.text() == text
    assert all(move.state is not MoveState.MOVING for move in watching.latest.moves)


def test_a_move_is_stopped_by_its_own_button(panel, watching, qtbot: QtBot) -> None:
    row = panel.moves["temperature_K"]
    typed(qtbot, row.target, "200 K")
    watching.until(lambda: row.pill.text() == "moving")

    qtbot.mouseClick(row.stop, Qt.MouseButton.LeftButton)

    watching.until(lambda: row.pill.text() == "stopped")
    assert "by hand" in row.message.said


def test_one_button_stops_all(panel, watching, qtbot: QtBot) -> None:
    typed(qtbot, panel.moves["temperature_K"].target, "150 K")
    watching.until(lambda: panel.moves["temperature_K"].pill.text() == "moving")

    qtbot.keyClick(panel.stop_all, Qt.Key.Key_Space)

    watching.until(lambda: panel.moves["temperature_K"].pill.text() == "stopped")


def test_a_jog_is_one_step_of_the_length_typed(panel, watching, qtbot: QtBot) -> None:
    row = panel.moves["angle_deg"]
    typed(qtbot, row.target, "30 deg")
    watching.until_there("angle_deg", 30.0, within=0.2)
    typed(qtbot, row.step, "5 deg")

    qtbot.keyClick(row.jogs[1], Qt.Key.Key_Space)
    watching.until_there("angle_deg", 35.0, within=0.2)
    qtbot.mouseClick(row.jogs[0], Qt.MouseButton.LeftButton)
    watching.until_there("angle_deg", 30.0, within=0.2)


def test_a_choice_is_one_of_those_of_the_engine(panel, watching, qtbot: QtBot) -> None:
    row = panel.moves["shutter"]
    assert [row.choice.itemText(i) for i in range(row.choice.count())] == ["closed", "open"]

    row.choice.setCurrentIndex(1)
    row.choice.activated.emit(1)
    watching.until(lambda: row.readback.text() == "open")
    row.choice.setCurrentIndex(0)
    row.choice.activated.emit(0)
    watching.until(lambda: row.readback.text() == "closed")


def test_the_wheel_changes_nothing(panel, qtbot: QtBot) -> None:
    choice, target = panel.moves["grating"].choice, panel.moves["angle_deg"].target
    before = choice.currentText(), target.text()
    for widget in (choice, target):
        widget.setFocus()
        centre = QPointF(widget.rect().center())
        turn = QWheelEvent(
            centre,
            QPointF(widget.mapToGlobal(widget.rect().center())),
            QPoint(),
            QPoint(0, 120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(widget, turn)

    assert (choice.currentText(), target.text()) == before


def test_every_control_is_reached_by_the_tab_key(panel, qtbot: QtBot) -> None:
    panel.activateWindow()
    panel.stop_all.setFocus()
    reached: set[QWidget] = set()
    for _ in range(200):
        widget = QApplication.focusWidget()
        if widget in reached:
            break
        reached.add(widget)
        qtbot.keyClick(widget, Qt.Key.Key_Tab)

    for row in panel.moves.values():
        controls = (row.stop, row.target, row.choice, row.step, *row.jogs)
        assert {c for c in controls if c is not None and c.isEnabled()} <= reached


def test_readings_come_with_value_and_age(panel, watching) -> None:
    row = panel.readings["detector_temperature_C"]
    watching.until(lambda: row.pill.text() == "ok")

    assert row.value.text().endswith(" degC") or row.value.text().endswith(" C")
    assert float(row.value.text().split()[0]) < -50
    assert row.age.text() == "now" or row.age.text().endswith("ago")


def snapshot(*readings: ChannelReading, utc: float = 100.0) -> Snapshot:
    return Snapshot(Mode.ALIGNING, utc, readings=readings)


def test_a_value_that_could_not_be_read_is_a_dash_with_its_age(panel) -> None:
    lost = ChannelReading("detector_temperature_C", "C", None, 58.0, "the camera does not answer")
    panel._show(snapshot(lost))
    row = panel.readings["detector_temperature_C"]

    assert row.value.text() == "–"
    assert row.pill.text() == "no reading"
    assert row.age.text() == "42 s ago"
    assert "does not answer" in row.text.said


def test_a_run_locks_the_moves_and_says_why(panel, watching) -> None:
    watching.link._latest = Snapshot(Mode.RUNNING, 0.0)
    panel._show(watching.link._latest)

    assert not panel.moves["angle_deg"].target.isEnabled()
    assert panel.moves["angle_deg"].stop.isEnabled()
    assert "a run owns the instruments" in panel.note.said


def test_without_an_engine_there_is_nothing_to_move(qtbot: QtBot) -> None:
    panel = InstrumentsPanel(EngineLink())
    qtbot.addWidget(panel)

    assert panel.moves == {}
    assert "no engine is connected" in panel.note.said
    assert not panel.stop_all.isEnabled()


@pytest.mark.parametrize(
    ("movable", "step"),
    [
        (Movable("temperature_K", "temperature", "K", 5.2, 305.0), 0.1),
        (Movable("centre_nm", "centre", "nm", 0.0, 1500.0), 1.0),
        (Movable("position_x_um", "x", "um", -5000.0, 5000.0, is_relative=True), 1.0),
        (Movable("odd", "odd", "", 3.0, 3.0), 1.0),
    ],
)
def test_the_first_step_of_a_jog_is_small_against_the_range(movable: Movable, step: float) -> None:
    assert first_step(movable) == pytest.approx(step)
