"""The window: what its buttons ask, what the keyboard does, what it shows, how it closes."""

import threading
from dataclasses import replace
from typing import ClassVar

import pytest
from PyQt6 import sip
from PyQt6.QtCore import QCoreApplication, QEvent, QObject, QPoint, QPointF, Qt
from PyQt6.QtGui import QKeySequence, QWheelEvent
from PyQt6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QComboBox,
    QFileDialog,
    QHeaderView,
    QLineEdit,
    QMainWindow,
    QMenu,
    QPlainTextEdit,
    QSpinBox,
    QTableView,
    QWidget,
)

from acquisition.channel.engine_status import EngineState, FinishReason, Safety
from acquisition.channel.messages import Hello, Mode, Movable, QueuedSweep, Said, Snapshot, Verb
from acquisition.channel.watcher_link import WatcherLink
from acquisition.storage.record import Level
from gui.link.engine_link import Connection
from gui.look import theme
from gui.look.wheel_guard import WheelGuard
from gui.plotting.plots import Plot
from gui.window.main_window import PANELS
from gui.window.panel_docks import Perspective
from gui.window.window_memory import WindowMemory

UTC = 1.8e9
LIGHT = tuple(panel for panel in PANELS if panel.key in ("map", "log"))
PLAIN, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def shows(qtbot, window, engine):
    """Let the engine say a snapshot, and wait until the window shows it."""

    def show(snapshot):
        engine.snapshot = snapshot

        def is_shown():
            shown = window.situation.snapshot
            return shown is not None and (shown.mode, shown.status, shown.unacknowledged) == (
                snapshot.mode,
                snapshot.status,
                snapshot.unacknowledged,
            )

        qtbot.waitUntil(is_shown, timeout=5000)

    return show


# --- actions and the keyboard


@pytest.mark.parametrize(
    ("state", "key", "modifier", "verb"),
    [
        (EngineState.MEASURING, Qt.Key.Key_F8, PLAIN, "pause"),
        (EngineState.SETTLING, Qt.Key.Key_F8, PLAIN, "pause"),
        (EngineState.PAUSED, Qt.Key.Key_F8, PLAIN, "resume"),
        (
            EngineState.MEASURING,
            Qt.Key.Key_F8,
            Qt.KeyboardModifier.ShiftModifier,
            "stop after point",
        ),
        (EngineState.MEASURING, Qt.Key.Key_Escape, SHIFT, "stop now"),
        (EngineState.PREPARING, Qt.Key.Key_Escape, SHIFT, "stop now"),
    ],
)
def test_a_key_asks_the_engine(qtbot, window, engine, shows, running, state, key, modifier, verb):
    shows(running(state))

    qtbot.keyClick(window, key, modifier)

    qtbot.waitUntil(lambda: engine.verbs == [verb], timeout=5000)


def test_a_key_of_an_action_that_is_not_offered_asks_nothing(qtbot, window, engine, shows, running):
    shows(running(EngineState.FINISHING))

    for key in (Qt.Key.Key_F5, Qt.Key.Key_F8):
        qtbot.keyClick(window, key)
    qtbot.keyClick(window, Qt.Key.Key_Escape, Qt.KeyboardModifier.ShiftModifier)
    qtbot.wait(150)

    assert engine.verbs == []


@pytest.mark.parametrize("kind", [QLineEdit, QPlainTextEdit, QComboBox, QSpinBox, QTableView])
def test_stop_works_whatever_has_the_keyboard(qtbot, window, engine, shows, running, kind):
    shows(running(EngineState.MEASURING))
    field = kind(window)
    field.show()
    field.setFocus()
    assert window.focusWidget() is field

    qtbot.keyClick(field, Qt.Key.Key_Escape, Qt.KeyboardModifier.ShiftModifier)

    qtbot.waitUntil(lambda: engine.verbs == ["stop now"], timeout=5000)


@pytest.mark.parametrize("state", EngineState)
def test_the_buttons_are_grey_exactly_when_the_table_says_so_and_say_why(
    window, shows, running, state
):
    shows(running(state) if state is not EngineState.IDLE else Snapshot(Mode.ALIGNING, UTC))
    bar = window.run_bar

    assert bar.start.isEnabled() == (state is EngineState.IDLE)
    assert bar.stop.isEnabled() == (state is not EngineState.FINISHING)
    pausable = (EngineState.SETTLING, EngineState.MEASURING, EngineState.PAUSED)
    assert bar.pause.isEnabled() == (state in pausable)
    wanted = "Resume" if state is EngineState.PAUSED else "Pause"
    assert bar.pause.accessibleName() == wanted
    if not bar.pause.isEnabled():
        assert f"while {state.value}" in bar.pause.toolTip()


def test_every_button_of_the_bar_has_an_accelerator_and_shows_its_key(window):
    for button in (window.run_bar.start, window.run_bar.pause, window.run_bar.stop):
        assert not QKeySequence.mnemonic(button.text()).isEmpty()
    assert window.run_bar.start.text().endswith("F5")
    assert window.run_bar.pause.text().endswith("F8")
    assert window.run_bar.stop.text().endswith("Shift+Esc")


def test_an_answer_that_is_no_is_said(qtbot, window, engine, shows, running):
    shows(running(EngineState.MEASURING))
    engine.server._take = lambda watcher, request: engine.server.answer(
        watcher, request.number, False, "not now"
    )

    window.bound.by_name["pause"].trigger()

    qtbot.waitUntil(lambda: "not now" in window.notice.text(), timeout=5000)


# --- the command palette


def test_the_palette_finds_by_a_few_letters_and_enter_does_it(
    qtbot, window, engine, shows, running
):
    shows(running(EngineState.MEASURING))

    qtbot.keyClick(window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    assert window.palette_.isVisible()
    qtbot.keyClicks(window.palette_._field, "stap")
    assert window.palette_.shown[0].text == "Stop after this point"
    qtbot.keyClick(window.palette_._field, Qt.Key.Key_Return)

    qtbot.waitUntil(lambda: engine.verbs == ["stop after point"], timeout=5000)
    assert not window.palette_.isVisible()


def test_the_palette_says_why_something_cannot_be_done_and_does_not_do_it(
    qtbot, window, engine, shows, running
):
    shows(running(EngineState.MEASURING))
    qtbot.keyClick(window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)

    qtbot.keyClicks(window.palette_._field, "resume")
    (found,) = [one for one in window.palette_.shown if one.text == "Resume"]
    qtbot.keyClick(window.palette_._field, Qt.Key.Key_Return)
    qtbot.wait(100)

    assert found.why_not == "resume is not possible while measuring"
    assert engine.verbs == []
    qtbot.keyClick(window.palette_._field, Qt.Key.Key_Escape)
    assert not window.palette_.isVisible()


def test_the_palette_lists_every_action_and_every_panel(window):
    texts = {command.text for command in window._commands()}

    for panel in window.docks.panels.values():
        assert f"Panel: {panel.title}" in texts
    assert {"Start", "STOP", "Take command", "Dark or light"} <= texts


def test_a_stations_folder_does_not_lead_the_palette_away_from_stop(qtbot, window, tmp_path):
    station = tmp_path / "st" / "station_served.toml"
    station.parent.mkdir()
    station.write_text("[station]\n")
    window.memory.keep_station(station)

    qtbot.keyClick(window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClicks(window.palette_._field, "st")

    texts = [command.text for command in window.palette_.shown]
    assert "Station: station_served" in texts
    assert texts.index("STOP") < texts.index("Station: station_served")
    window.palette_.dismiss()


def test_an_open_palette_follows_the_theme(qapp, window):
    window.palette_.open()
    try:
        theme.apply(qapp, theme.DARK)
        qapp.processEvents()
        inks = {
            window.palette_._list.topLevelItem(row).foreground(1).color().name()
            for row in range(window.palette_._list.topLevelItemCount())
        }
    finally:
        theme.apply(qapp, theme.LIGHT)

    assert inks == {theme.DARK.muted}
    window.palette_.dismiss()


@pytest.mark.parametrize("look", [theme.LIGHT, theme.DARK], ids=lambda one: one.name)
def test_the_perspective_that_is_on_is_underlined(qapp, window, look):
    try:
        theme.apply(qapp, look)
        marked = [
            name
            for name, button in window.switch._buttons.items()
            if button.grab().toImage().pixelColor(button.width() // 2, button.height() - 2).name()
            == look.accent
        ]
    finally:
        theme.apply(qapp, theme.LIGHT)

    assert marked == [window.perspective.value]


def test_the_sheet_of_shortcuts_opens_with_F1_and_closes_with_escape(qtbot, window):
    qtbot.keyClick(window, Qt.Key.Key_F1)
    assert window._sheet.isVisible()

    qtbot.keyClick(window._sheet, Qt.Key.Key_Escape)

    assert not window._sheet.isVisible()


# --- panels, perspectives, what is remembered


def test_control_and_a_digit_bring_a_panel_to_the_front_with_the_keyboard(qtbot, whole_window):
    for number, key in enumerate(list(whole_window.docks.panels)[:9], start=1):
        digit = Qt.Key(Qt.Key.Key_0.value + number)
        qtbot.keyClick(whole_window, digit, Qt.KeyboardModifier.ControlModifier)

        assert whole_window.docks.docks[key].isVisible()
        assert whole_window.docks.widget(key) is not None


def test_a_panel_is_not_built_before_it_is_seen(qtbot, window):
    assert window.perspective is Perspective.ALIGN
    assert window.docks.widget("map") is None

    window.show_perspective(Perspective.BROWSE)

    qtbot.waitUntil(lambda: window.docks.widget("map") is not None, timeout=20_000)


def test_every_control_is_reached_by_the_tab_key(whole_window):
    """But those that Qt and pyqtgraph build into others, which have another key."""
    kinds = (QAbstractButton, QLineEdit, QComboBox, QAbstractItemView, QPlainTextEdit, Plot)
    controls = []
    for panel in PANELS:
        controls += [
            control
            for control in whole_window.docks.need(panel.key).findChildren(QWidget)
            if isinstance(control, kinds) and not _is_built_in(control)
        ]

    assert len(controls) > 150
    assert [one for one in controls if not one.focusPolicy() & Qt.FocusPolicy.TabFocus] == []


def _is_built_in(control):
    above = control.parent()
    if isinstance(control, QHeaderView) or isinstance(
        above, QComboBox | QLineEdit | QTableView
    ):  # lists, clear buttons, corners
        return True
    while above is not None:
        if isinstance(above, QMenu):
            return True
        above = above.parent()
    return False


def test_a_panel_that_comes_to_the_front_leaves_the_others_their_room(qtbot, qapp, whole_window):
    whole_window.show_perspective(Perspective.SWEEP)
    docks = whole_window.docks.docks
    shares = {"sweep": 0.28, "spectrum": 0.42, "parameters": 0.30}

    def is_shared():
        return all(
            abs(docks[key].width() / whole_window.width() - share) < 0.03
            for key, share in shares.items()
        )

    qtbot.waitUntil(is_shared, timeout=20_000)
    for key in ("queue", "polar", "runs", "strips"):
        docks[key].raise_()
        whole_window.docks.need(key)
        qapp.processEvents()
        assert is_shared(), key


def test_a_map_of_light_has_room_on_a_small_screen(qtbot, whole_window):
    whole_window.docks.need("raster")
    raster = whole_window.docks.built["raster"]

    rate = whole_window.docks.need("count_rate")
    frame = whole_window.docks.docks["count_rate"].widget()

    qtbot.waitUntil(lambda: raster.plot.view.height() > 90, timeout=20_000)  # 64 once
    qtbot.waitUntil(lambda: rate.height() == frame.viewport().height())  # and nothing scrolls


def test_text_that_grew_and_shrank_leaves_the_instruments_one_scroll_bar(qtbot, qapp, engine, make):
    engine.hello = replace(
        engine.hello,
        movables=tuple(Movable(f"axis_{i}_um", f"axis {i}", "um", 0.0, 1.0) for i in range(12)),
    )
    window = make(PANELS)
    try:
        qtbot.waitUntil(lambda: len(window.docks.need("instruments").moves) == 12, timeout=20_000)
        frame = window.docks.docks["instruments"].widget()
        for scale in (2.0, 1.0):
            theme.set_text_scale(qapp, scale)
            qtbot.wait(100)
        assert window.docks.built["instruments"].height() == frame.viewport().height()
    finally:
        theme.set_text_scale(qapp, 1.0)
        window.close_for_good()
        window.deleteLater()


def test_titles_of_panels_grow_with_the_text(qapp, whole_window):
    title = whole_window.docks.docks["log"].titleBarWidget()
    small_px = title.label.sizeHint().height()
    try:
        for _ in range(8):
            whole_window.scale_text(1.1)
        qapp.processEvents()
        assert title.label.sizeHint().height() > 1.7 * small_px
        assert title.label.text() == "Log"
    finally:
        theme.set_text_scale(qapp, 1.0)


@pytest.mark.qt_log_ignore("does not support raise")  # the platform of the tests can't
def test_the_panel_with_the_keyboard_floats_and_closes_by_name(qtbot, qapp, whole_window):
    whole_window.docks.reveal("log")
    dock = whole_window.docks.docks["log"]
    log = whole_window.docks.need("log")
    qtbot.waitUntil(lambda: whole_window.focusWidget() is log, timeout=5000)

    whole_window.bound.by_name["float_panel"].trigger()
    assert dock.isFloating()
    log.setFocus()
    whole_window.bound.by_name["float_panel"].trigger()
    assert not dock.isFloating()
    log.setFocus()
    whole_window.bound.by_name["close_panel"].trigger()
    assert dock.isHidden()


def test_every_panel_can_be_built_and_has_its_title(whole_window):
    for key, panel in whole_window.docks.panels.items():
        built = whole_window.docks.need(key)
        assert built.title, panel.key


def test_no_part_of_a_panel_is_ever_a_window_of_its_own(qtbot, qapp, whole_window):
    class Windows(QObject):
        seen: ClassVar[list[str]] = []

        def eventFilter(self, watched, event):
            is_shown = event.type() == QEvent.Type.Show and isinstance(watched, QWidget)
            if is_shown and watched.isWindow() and not isinstance(watched, QMainWindow):
                self.seen.append(repr(watched))
            return False

    windows = Windows(whole_window)
    qapp.installEventFilter(windows)
    for key in whole_window.docks.panels:
        whole_window.docks.reveal(key)
        qapp.processEvents()
    qapp.removeEventFilter(windows)

    assert windows.seen == []


def test_what_was_arranged_is_there_again_in_the_next_window(qtbot, window, open_window):
    window.show_perspective(Perspective.BROWSE)
    window.docks.docks["log"].hide()
    window.bound.by_name["larger"].trigger()
    window.close()

    again = open_window()

    assert again.perspective is Perspective.BROWSE
    assert not again.docks.docks["log"].isVisible()
    again.show_perspective(Perspective.ALIGN)
    assert again.docks.docks["log"].isVisible()
    assert again._text_scale == pytest.approx(1.1)
    again.scale_text(1 / 1.1)


def _shown(window):
    return {key for key, dock in window.docks.docks.items() if not dock.isHidden()}


@pytest.mark.parametrize("perspective", list(Perspective))
def test_the_next_window_has_the_same_panels_and_no_other(qtbot, make, perspective):
    window = make(PANELS)
    window.show_perspective(perspective)
    window.docks.docks["log"].hide()
    before = _shown(window)
    window.close_for_good()
    again = make(PANELS)
    after = _shown(again)
    for other in (Perspective.SWEEP, Perspective.ALIGN, perspective):
        again.show_perspective(other)
    back = _shown(again)
    again.close_for_good()
    for one in (window, again):
        one.deleteLater()

    assert before == after == back
    assert "log" not in before
    assert len(before) < len(PANELS) - 4


def test_a_panel_of_another_perspective_stands_beside_the_others_not_over_them(qtbot, settled):
    settled.show_perspective(Perspective.SWEEP)
    settled.docks.reveal("live")
    live, spectrum = (settled.docks.docks[key] for key in ("live", "spectrum"))

    qtbot.waitUntil(lambda: not live.visibleRegion().isEmpty())
    assert spectrum in settled.tabifiedDockWidgets(live)
    assert spectrum.visibleRegion().isEmpty()


def test_settings_that_are_no_settings_are_forgotten(qtbot, settings, open_window):
    WindowMemory(settings)
    settings.setValue("perspective", "nonsense")
    settings.setValue("layout/align", "nonsense")
    settings.setValue("geometry", "nonsense")
    settings.setValue("text_scale", "huge")
    settings.setValue("panel/log", "{")

    window = open_window()

    assert window.perspective is Perspective.ALIGN
    assert window.docks.docks["log"].isVisible()


@pytest.mark.parametrize("size", [(1366, 768), (3840, 2160), (1024, 768)])
def test_the_run_bar_is_whole_at_every_size(qtbot, window, shows, running, size):
    shows(running(EngineState.SETTLING))
    for perspective in Perspective:
        window.show_perspective(perspective)
        window.resize(*size)
        QApplication.processEvents()

        for part in (window.run_bar.stop, window.run_bar.pill, window.run_bar.left):
            corner = part.mapTo(window, QPoint(part.width(), part.height()))
            assert corner.x() <= window.width(), part
            assert part.width() >= part.sizeHint().width(), part


def test_light_and_dark_are_one_key_and_remembered(qtbot, qapp, window, settings):
    window.bound.by_name["dark"].trigger()
    try:
        assert theme.theme_of(window) is theme.DARK
        assert settings.value("theme") == "dark"
    finally:
        window.bound.by_name["dark"].trigger()
    assert theme.theme_of(window) is theme.LIGHT


def test_the_wheel_never_changes_a_field_even_with_the_keyboard_in_it(qtbot, qapp, window):
    guard = WheelGuard(qapp)
    box = QComboBox(window)
    box.addItems(["a", "b", "c"])
    spin = QSpinBox(window)
    try:
        for field in (box, spin):
            field.show()
            field.setFocus()
            place = QPointF(4, 4)
            turn = QWheelEvent(
                place,
                field.mapToGlobal(place),
                QPoint(0, -120),
                QPoint(0, -120),
                Qt.MouseButton.NoButton,
                Qt.KeyboardModifier.NoModifier,
                Qt.ScrollPhase.NoScrollPhase,
                False,
            )
            QApplication.sendEvent(field, turn)
    finally:
        qapp.removeEventFilter(guard)

    assert box.currentIndex() == 0
    assert spin.value() == 0


# --- what is shown


def test_the_bar_shows_name_point_time_left_and_what_is_awaited(window, shows, running):
    shows(running(EngineState.SETTLING))
    bar = window.run_bar

    assert bar.name.text() == "stark, cs-03"
    assert bar.pill.text() == "SETTLING"
    assert bar.point.text() == "point 5 of 21"
    assert bar.left.text() == "20 min left"
    assert bar.awaited.text() == "temperature 6.2 K on its way to 5.5 K, for 12 s"


def test_the_banner_is_there_as_long_as_instruments_are_simulated(qtbot, window, engine):
    assert window.banner.isVisible()
    assert "SIMULATED" in window.banner.text()

    engine.hello = replace(engine.hello, is_simulated=False)
    engine.server.greet_again()

    qtbot.waitUntil(lambda: not window.banner.isVisible(), timeout=5000)


def test_who_is_in_command_is_shown_and_who_only_reads_can_still_stop(qtbot, window, engine):
    pill = window.chip.pill
    assert pill.text() == "nobody in command"
    lena = WatcherLink.connect(engine.server.address, "lena's window")
    try:
        lena.request(Verb.TAKE_COMMAND)
        qtbot.waitUntil(lambda: pill.text() == f"read only: {lena.hello.watcher}", timeout=5000)
        assert not window.run_bar.start.isEnabled()
        assert window.run_bar.start.toolTip().endswith(f"{lena.hello.watcher} is in command")
        assert window.run_bar.stop.isEnabled()
        assert not window.chip.button.isVisible()
    finally:
        lena.close()
    qtbot.waitUntil(lambda: pill.text() == "nobody in command", timeout=5000)

    window.chip.button.click()

    qtbot.waitUntil(lambda: pill.text() == "in command: you", timeout=5000)


def test_a_silent_engine_is_not_shown_as_a_running_one(qtbot, window, shows, running):
    shows(running(EngineState.MEASURING))

    window._silence.seconds = 7.0
    window._refresh()

    assert window.run_bar.pill.text() == "NO ANSWER"
    assert window.run_bar.awaited.text() == (
        "the engine has said nothing for 7 s; the run may go on"
    )
    window._silence.seconds = 0.0


@pytest.mark.parametrize("finish", FinishReason)
def test_the_end_of_a_run_stays_shown_with_its_safe_state(window, shows, ended, finish):
    shows(ended(finish))

    assert window.run_bar.pill.text() != "IDLE"
    assert window.run_bar.name.text() == "last run: stark, cs-03"
    assert "safe state confirmed" in window.run_bar.awaited.text()


def test_without_an_engine_the_bar_says_what_one_can_do(qtbot, engine, open_window):
    engine.stop()
    window = open_window()

    qtbot.waitUntil(lambda: window.run_bar.awaited.text() != "", timeout=5000)

    assert window.run_bar.pill.text() == "DISCONNECTED"
    assert window.run_bar.awaited.text() == (
        "no engine is running: Ctrl+Shift+O chooses a station, Ctrl+O opens a run"
    )


def test_a_station_that_is_known_can_be_started_and_the_bar_says_by_which_key(
    qtbot, engine, open_window, tmp_path
):
    engine.stop()
    window = open_window()
    window.search._station = tmp_path / "station.toml"  # as one that was told at the start
    qtbot.waitUntil(lambda: window.run_bar.awaited.text() != "", timeout=5000)
    window._refresh()

    assert "Ctrl+Shift+E starts it" in window.run_bar.awaited.text()
    window.resize(1366, 768)
    qtbot.wait(50)
    bar = window.run_bar.awaited
    assert bar.fontMetrics().horizontalAdvance(bar.text()) <= bar.width()  # all of it is read


def test_an_engine_that_comes_back_is_shown_again(qtbot, window, engine):
    engine.stop()
    qtbot.waitUntil(lambda: window.run_bar.pill.text() == "DISCONNECTED", timeout=5000)
    assert not window.run_bar.stop.isEnabled()
    assert not window.banner.isVisible()

    engine.hello = Hello(engine="two", station="laboratory")
    engine.start()

    qtbot.waitUntil(lambda: window.run_bar.pill.text() == "IDLE", timeout=5000)
    assert any("connection lost" in entry.said.text for entry in window.log.entries)


def test_a_stop_that_a_silent_engine_has_not_heard_is_said_to_be_unconfirmed(
    qtbot, window, shows, running
):
    shows(running(EngineState.MEASURING))
    window._silence._tell(9.0)

    qtbot.keyClick(window, Qt.Key.Key_Escape, SHIFT)

    said = window.log.entries[-1].said
    assert said.text == "stop now: sent to an engine that says nothing"
    assert said.done == "nothing is confirmed"
    assert "go to the instruments" in said.advice
    assert window.alarms.waiting


@pytest.mark.parametrize(
    ("state", "level", "text", "done"),
    [
        (EngineState.MEASURING, Level.ERROR, "it died in the middle of a run", "NOT confirmed"),
        (EngineState.IDLE, Level.WARNING, "it has ended", "not known"),
    ],
)
def test_an_engine_that_dies_is_told_from_a_lost_connection(
    qtbot, window, engine, shows, running, state, level, text, done
):
    shows(running(state) if state is EngineState.MEASURING else Snapshot(Mode.ALIGNING, UTC))
    engine.stop()  # and nobody finds one any more

    def said():
        return next((e.said for e in window.log.entries if e.said.text.startswith(text)), None)

    qtbot.waitUntil(lambda: said() is not None, timeout=10_000)
    assert said().level is level
    assert done in said().done
    assert "look at the instruments" in said().advice
    assert bool(window.alarms.waiting) is (level is Level.ERROR)


def test_an_engine_that_was_shut_down_is_no_alarm(qtbot, window, engine, shows):
    shows(Snapshot(Mode.ALIGNING, UTC))
    window.ask(Verb.QUIT)
    qtbot.waitUntil(lambda: engine.verbs == ["quit"], timeout=5000)
    engine.stop()

    qtbot.waitUntil(
        lambda: any(e.said.text == "it has been shut down" for e in window.log.entries),
        timeout=10_000,
    )
    assert {entry.said.level for entry in window.log.entries} == {Level.INFO}


# --- messages


def test_what_repeats_is_counted_and_stays_one_line(qtbot, window, engine):
    for number in range(40):
        engine.server.publish(
            Said(Level.WARNING, "reply came late", UTC + number, device="cryostat")
        )

    entries = window.log.entries
    qtbot.waitUntil(lambda: [entry.count for entry in entries][-1:] == [40], timeout=5000)

    assert len([e for e in window.log.entries if e.said.device == "cryostat"]) == 1
    table = window.docks.need("log").table.model()
    texts = [table.index(0, column).data() for column in range(table.columnCount())]
    assert texts[2:4] == ["cryostat", "reply came late"]
    assert texts[-1] == "×40"
    assert "(×40)" in window.notice.text()


def test_a_blocking_message_says_it_all_and_stays_until_dismissed(qtbot, window, engine):
    said = Said(
        Level.ERROR,
        "leakage 60 nA above 50 nA",
        UTC,
        code="interlock",
        device="bias",
        done="bias 0 V read back, shutter closed: safe state confirmed",
        advice="look at the sample before the next run",
    )
    engine.server.publish(said)
    engine.server.publish(replace(said, utc=UTC + 1))

    qtbot.waitUntil(
        lambda: window.alarms.waiting != [] and window.alarms.waiting[0].count == 2, timeout=5000
    )
    strip = window.alarms.message

    assert strip.isVisible()
    for part in ("bias", "leakage 60 nA", "safe state confirmed", "look at the sample", "×2"):
        assert part in strip.text()
    window.alarms.copy_button.click()
    assert "code: interlock" in QApplication.clipboard().text()
    window.alarms.seen_button.click()
    assert not strip.isVisible()


def test_messages_of_the_past_are_listed_and_block_nothing(window):
    window.log.recall([Said(Level.ERROR, "an old one", UTC)])
    window.log.recall([Said(Level.ERROR, "an old one", UTC)])  # read twice

    assert [entry.count for entry in window.log.entries] == [1]
    assert not window.alarms.message.isVisible()


def test_a_safe_state_that_was_not_confirmed_stays_until_a_person_says_so(
    qtbot, window, engine, shows, ended
):
    unsafe = ended(FinishReason.FAILED, Safety.NOT_CONFIRMED)
    shows(replace(unsafe, unacknowledged=Safety.NOT_CONFIRMED))
    assert window.alarms.unsafe.isVisible()
    assert "NOT CONFIRMED" in window.alarms.unsafe.text()

    window.alarms.know_button.click()
    qtbot.waitUntil(lambda: engine.verbs == ["acknowledge"], timeout=5000)
    assert window.alarms.unsafe.isVisible()  # until the engine says it has noted it
    shows(unsafe)

    assert not window.alarms.unsafe.isVisible()


def test_an_error_of_the_window_itself_is_shown_and_says_that_the_run_is_safe(window):
    window.report_error("ValueError: nonsense", "views/map.py:12")

    assert "the window met an error: ValueError: nonsense" in window.alarms.message.text()
    assert "engine and run are not affected" in window.alarms.message.text()


def test_a_long_message_does_not_make_the_window_grow(qtbot, window):
    window.resize(1366, 768)
    window.log.take([Said(Level.ERROR, "word " * 60, UTC, device="bias", advice="look " * 20)])
    QApplication.processEvents()

    window.resize(1366, 768)
    QApplication.processEvents()

    assert window.alarms.message.isVisible()
    assert window.height() == 768


def test_the_buttons_follow_the_palette_at_once(qtbot, qapp, window, shows, running):
    shows(running(EngineState.MEASURING))
    stop = window.run_bar.stop

    def ground():
        qapp.processEvents()
        return stop.palette().color(stop.palette().ColorRole.Button).name()

    assert ground() == theme.LIGHT.bad
    theme.apply(qapp, theme.DARK)
    try:
        assert ground() == theme.DARK.bad
    finally:
        theme.apply(qapp, theme.LIGHT)
    assert ground() == theme.LIGHT.bad


def test_nothing_modal_while_a_run_goes_on(qtbot, window, engine, shows, running):
    shows(running(EngineState.MEASURING))
    engine.server.publish(Said(Level.ERROR, "trouble", UTC))
    for name in ("open", "open_station", "palette", "shortcuts", "close"):
        window.bound.by_name[name].trigger()
        assert QApplication.activeModalWidget() is None, name
    for dialog in window.findChildren(QFileDialog):
        dialog.close()


# --- closing


def test_closing_while_a_run_goes_on_asks_once_in_place(qtbot, window, shows, running):
    shows(running(EngineState.MEASURING))

    assert not window.close()
    assert window.isVisible()
    assert window.question.isVisible()
    assert window.focusWidget() is window.question.stay_button
    window.question.stay_button.click()
    assert not window.question.isVisible()
    assert window.isVisible()


def test_closing_twice_closes_and_the_engine_hears_of_no_stop(
    qtbot, window, engine, shows, running
):
    shows(running(EngineState.MEASURING))

    window.close()
    assert window.close()

    qtbot.waitUntil(lambda: engine.server.watchers == 0, timeout=5000)
    assert engine.verbs == []


def test_stop_then_close_waits_for_the_end_of_the_run(qtbot, window, engine, shows, running, ended):
    shows(running(EngineState.MEASURING))
    window.close()

    window.question.stop_button.click()
    qtbot.waitUntil(lambda: engine.verbs == ["stop now"], timeout=5000)
    assert window.isVisible()
    engine.snapshot = ended(FinishReason.STOPPED)

    qtbot.waitUntil(lambda: not window.isVisible(), timeout=5000)


def test_closing_with_a_queue_asks_too_and_without_either_does_not(qtbot, window, engine):
    engine.snapshot = replace(engine.snapshot, queue=(QueuedSweep("a", "stark", 21, 60.0),))
    qtbot.waitUntil(lambda: bool(window.situation.snapshot.queue), timeout=5000)
    assert not window.close()

    engine.snapshot = replace(engine.snapshot, queue=())
    window.question.stay_button.click()
    qtbot.waitUntil(lambda: not window.situation.snapshot.queue, timeout=5000)

    assert window.close()


@pytest.mark.parametrize(("times", "panels"), [(50, LIGHT), (3, PANELS)], ids=["bar", "whole"])
def test_windows_come_and_go_and_leave_nothing_behind(qtbot, qapp, engine, make, times, panels):
    threads = threading.active_count()
    for _ in range(times):
        window = make(panels)
        link = window.link
        assert {*window.docks.docks} == {panel.key for panel in panels}
        qtbot.waitUntil(lambda of=link: of.connection is Connection.CONNECTED, timeout=5000)
        window.close_for_good()
        window.deleteLater()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        qapp.processEvents()
        assert sip.isdeleted(window)

    qtbot.waitUntil(lambda: engine.server.watchers == 0, timeout=5000)
    qtbot.waitUntil(lambda: threading.active_count() <= threads, timeout=5000)
    assert [one for one in qapp.topLevelWidgets() if one.isVisible()] == []


# --- what else is done by the mouse


def _presses(qtbot, window, key, modifiers):
    qtbot.keyClick(window, key, modifiers)
    QApplication.processEvents()


CTRL_ALT = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier
CTRL_SHIFT = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def settled(qtbot, whole_window):
    """The window in Align when its panels have their sizes."""
    whole_window.resize(2000, 1200)
    docks = whole_window.docks
    for key in ("raster", "count_rate", "detector"):
        docks.need(key)
    qtbot.waitUntil(lambda: not docks._settling.isActive(), timeout=20_000)
    return whole_window


def test_a_panel_grows_and_shrinks_by_keys(qtbot, settled):
    settled.docks.reveal("live")
    dock = settled.docks.docks["live"]
    for more, less, size in (
        (Qt.Key.Key_Right, Qt.Key.Key_Left, dock.width),
        (Qt.Key.Key_Up, Qt.Key.Key_Down, dock.height),
    ):
        before = size()
        _presses(qtbot, settled, less, CTRL_ALT)
        smaller = size()
        assert smaller < before - 10  # the neighbours have a say
        _presses(qtbot, settled, more, CTRL_ALT)
        assert size() > smaller + 10


def test_a_divider_in_a_panel_moves_by_keys(qtbot, settled):
    settled.docks.reveal("detector")
    chip = settled.docks.built["detector"].plot
    before = chip.width()

    _presses(qtbot, settled, Qt.Key.Key_PageUp, CTRL_ALT)
    assert chip.width() == pytest.approx(before - 40, abs=4)

    _presses(qtbot, settled, Qt.Key.Key_PageDown, CTRL_ALT)
    assert chip.width() == pytest.approx(before, abs=4)


@pytest.mark.qt_log_ignore("does not support raise")  # the platform of the tests can't
def test_a_panel_visits_every_place_by_a_key(qtbot, settled):
    docks = settled.docks
    docks.reveal("raster")
    met = []
    for _ in range(8):
        _presses(qtbot, settled, Qt.Key.Key_M, CTRL_SHIFT)
        met += settled.tabifiedDockWidgets(docks.docks["raster"])
    names = {dock.objectName() for dock in met}

    assert {"instruments", "live", "count_rate", "position", "detector", "log"} <= names
    assert docks.docks["raster"].isVisible()
