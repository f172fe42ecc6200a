"""The window: the run bar, the panels in their perspectives, what was said, and the keyboard.

It decides nothing about an experiment: it shows what the engine says and asks for what the user
wants. Whoever adds a panel adds one line to PANELS.
"""

from collections.abc import Callable, Sequence
from math import isfinite
from pathlib import Path

from PyQt6.QtCore import QDateTime, Qt, QUrl
from PyQt6.QtGui import QAction, QCloseEvent, QDesktopServices, QKeyEvent
from PyQt6.QtWidgets import (
    QApplication,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QMenu,
    QMenuBar,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from acquisition.channel.event_words import said_of
from acquisition.channel.messages import Answer, Hello, Mode, Said, Snapshot, Verb
from acquisition.storage.record import Event, Level
from gui.link.engine_link import EngineLink
from gui.link.engine_loss import EngineLoss
from gui.link.engine_search import EngineSearch
from gui.link.silence import Silence
from gui.link.situation import Situation
from gui.look import theme
from gui.look.focus_ring import FocusRing
from gui.look.wording import homely
from gui.panels.message_log import MessageLog
from gui.panels.run_bar import RunBar
from gui.shown.cursor import Cursor
from gui.shown.run_follower import RunFollower
from gui.shown.run_model import RunModel
from gui.widgets.command_chip import CommandChip
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.perspective_switch import PerspectiveSwitch
from gui.widgets.simulated_banner import SimulatedBanner
from gui.window.actions import Group
from gui.window.alarm_strip import AlarmStrips, summary
from gui.window.bound_actions import BoundActions
from gui.window.close_question import CloseQuestion, needs_question
from gui.window.command_palette import Command, CommandPalette
from gui.window.go_there import GoThere
from gui.window.panel_docks import Panel, PanelDocks, Perspective, Place
from gui.window.shortcut_sheet import ShortcutSheet
from gui.window.window_memory import VERSION, WindowMemory

__all__ = ["PANELS", "MainWindow"]

_P = Place
PANELS: tuple[Panel, ...] = (  # key, title, class in gui, what it needs, place in each perspective
    # the first nine answer to Ctrl and their number; in one place they are tabs in this order
    Panel("sweep", "Sweep", "panels.sweep_editor:SweepEditor", "link", sweep=_P.LEFT),
    Panel("instruments", "Instruments", "panels.instruments:InstrumentsPanel", "link",
          align=_P.LEFT, sweep=_P.LEFT),
    Panel("live", "Live spectrum", "panels.live_spectrum:LiveSpectrumPanel", "link",
          align=_P.CENTRE),
    Panel("spectrum", "Spectrum", "views.spectrum:SpectrumView", "model cursor",
          sweep=_P.CENTRE, browse=_P.CENTRE),
    Panel("map", "Map", "views.map:MapView", "model cursor",
          sweep=_P.CENTRE_LOWER, browse=_P.CENTRE_LOWER),
    Panel("parameters", "Parameters", "views.parameters:ParametersView", "model cursor",
          sweep=_P.RIGHT, browse=_P.RIGHT),
    Panel("fit", "Fit", "panels.fit:FitPanel", "model cursor",
          sweep=_P.RIGHT_LOWER, browse=_P.RIGHT_LOWER),
    Panel("queue", "Queue", "panels.queue:QueuePanel", "link", sweep=_P.LEFT),
    Panel("log", "Log", "panels.messages:MessagePanel", "log",
          align=_P.BOTTOM, sweep=_P.BOTTOM, browse=_P.BOTTOM),
    Panel("position", "Position", "panels.jog_pad:JogPanel", "link", align=_P.LEFT_LOWER),
    Panel("detector", "Detector", "panels.detector_image:DetectorImagePanel", "link",
          align=_P.CENTRE_LOWER),
    Panel("count_rate", "Count rate", "panels.count_rate:CountRatePanel", "link", align=_P.RIGHT),
    Panel("raster", "Map of light", "panels.raster_map:RasterMapPanel", "link",
          align=_P.RIGHT_LOWER),
    Panel("polar", "Polarization", "views.polar:PolarView", "model cursor",
          sweep=_P.RIGHT, browse=_P.RIGHT),
    Panel("strips", "Monitors", "views.strips:StripsView", "link model cursor",
          sweep=_P.BOTTOM, browse=_P.BOTTOM),
    Panel("runs", "Runs", "panels.history:HistoryPanel", "link model",
          sweep=_P.BOTTOM, browse=_P.LEFT),
)  # fmt: skip

LARGEST, SMALLEST, STEP = 3.0, 0.7, 1.1  # scale of the text
STRIDE_px = 40  # of a panel's edge moved by a key
NUMBERED = 9  # panels that Ctrl and a digit bring to the front


class MainWindow(QMainWindow):
    """The whole window. link and search belong to it; memory is where it left off."""

    def __init__(
        self,
        link: EngineLink,
        search: EngineSearch,
        memory: WindowMemory,
        *,
        panels: Sequence[Panel] = PANELS,
    ) -> None:
        super().__init__()
        self.setWindowTitle("cryoscan")
        self.setDockNestingEnabled(True)
        self.link, self.search, self.memory = link, search, memory
        link.setParent(self)
        search.setParent(self)
        self.point_cursor = Cursor(self)
        self.model = RunModel(link, self)
        self.follower = RunFollower(link, self.model, self.point_cursor, self)
        self.log = MessageLog(self)
        self.situation = Situation()
        self.perspective = Perspective.ALIGN
        self._text_scale = memory.number("text_scale", 1.0)
        self._silence = Silence(link, self)
        self._loss = EngineLoss(link, self)
        self._asked: dict[int, str] = {}
        self._is_closing = self._has_left = False
        self._closes_when_stopped = False
        self.bound = BoundActions(self, self._doings())
        self._build_status_line()
        self.docks = PanelDocks(self, panels, self._build)
        self._build_top()
        self.palette_ = CommandPalette(self, self._commands)
        self._sheet: ShortcutSheet | None = None
        self._ring = FocusRing(self)
        self._listen()
        self._restore()
        self._refresh()

    # --- what the window shows of the engine

    def _look_around(self) -> Situation:
        hello = self.link.hello
        draft = getattr(self._undoable(), "draft", None)
        return Situation(
            connection=self.link.connection,
            snapshot=self.link.latest,
            watcher=hello.watcher if hello is not None else "",
            silent_s=self._silence.seconds,
            has_run=self.model.is_open,
            can_undo=bool(getattr(draft, "undo_change", "")),
            can_redo=bool(getattr(draft, "redo_change", "")),
            can_start_engine=self.search.station is not None,
        )

    def _refresh(self) -> None:
        self.situation = self._look_around()
        hello = self.link.hello
        self.bound.follow(self.situation)
        scale = hello.time_scale if hello is not None else 1.0
        self.run_bar.show_situation(self.situation, self.link.trouble, scale)
        self.alarms.follow(self.situation)
        self.chip.follow(self.situation)
        self.banner.follow(hello if self.situation.snapshot is not None else None)
        if self._closes_when_stopped and not self.situation.is_running:
            self.close_for_good()

    def ask(self, verb: Verb, text: str = "") -> None:
        """Ask the engine; a refusal is said in the log, and that a silent one has not heard."""
        self._asked[self.link.ask(verb, text)] = verb.value
        if verb is Verb.QUIT:
            self._loss.expect()
        if self._silence.seconds:
            self._say(
                Level.ERROR if verb is Verb.STOP_NOW else Level.WARNING,
                f"{verb.value}: sent to an engine that says nothing",
                done="nothing is confirmed",
                advice="it obeys when it wakes; go to the instruments if that is too late",
            )

    def _on_hello(self, hello: Hello) -> None:
        if hello.station_path:
            self.memory.keep_station(Path(hello.station_path))
        self.setWindowTitle(f"{hello.station} - cryoscan" if hello.station else "cryoscan")
        self._refresh()

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        began = snapshot.mode is Mode.RUNNING and not self.situation.is_running
        self._refresh()
        if began and self.perspective is Perspective.ALIGN:
            self.show_perspective(Perspective.SWEEP)

    def _on_answer(self, answer: Answer) -> None:
        asked = self._asked.pop(answer.request, "")
        if asked and not answer.ok:
            self._say(Level.WARNING, answer.text or f"{asked}: refused")

    def _on_loss(self, level: Level, text: str, done: str, advice: str) -> None:
        self._say(level, text, done=done, advice=advice)

    # --- messages

    def _say(
        self, level: Level, text: str, *, device: str = "engine", done: str = "", advice: str = ""
    ) -> None:
        utc = QDateTime.currentMSecsSinceEpoch() / 1000.0
        self.log.take([Said(level, text, utc, "said", "window", device, done, advice)])

    def _refuse(self, why: str) -> None:
        self._say(Level.WARNING, why, device="window")

    def report_error(self, text: str, details: str) -> None:
        """Say that the window itself met an error."""
        self._say(
            Level.ERROR,
            f"the window met an error: {text}",
            device="window",
            done="engine and run are not affected",
            advice=f"close and reopen the window if something looks wrong\n{details}",
        )

    def _on_events(self, events: list[Event]) -> None:
        """List what the journal of the engine's run says, also from before this window opened."""
        if self.follower.shows_run_of_engine:
            self.log.recall(said_of(event) for event in events)

    def _show_notice(self, place: int) -> None:
        entry = self.log.entries[place]
        if entry.said.level is not Level.DEBUG:
            times = f" (×{entry.count})" if entry.count > 1 else ""
            self.notice.setText(f"{summary(entry)}{times}")

    def _show_cursor(self) -> None:
        """Say in the status line where the linked cursor is."""
        point, energy_eV = self.point_cursor.point, self.point_cursor.energy_eV
        if not 0 <= point < self.model.size:
            self.readout.clear()
            return
        energy = f"   {energy_eV:.4f} eV" if isfinite(energy_eV) else ""
        label = self.model.label(point)
        self.readout.setText(f"point {point + 1} of {self.model.size}   {label}{energy}")

    # --- panels and perspectives

    def show_perspective(self, perspective: Perspective) -> None:
        """Show the panels of one use of the window, where they stood last time."""
        if perspective is not self.perspective:
            self._keep_layout()
            self.perspective = perspective
            self._lay_out()
        self.switch.show_chosen(perspective.value)

    def reset_layout(self) -> None:
        """Put the panels of this perspective where they stand at first."""
        self.memory.forget_layout(self.perspective.value)
        self.docks.arrange(self.perspective)

    def _lay_out(self) -> None:
        layout = self.memory.layout(self.perspective.value)
        if layout is None or not self.restoreState(layout, VERSION):
            self.docks.arrange(self.perspective)

    def _keep_layout(self) -> None:
        self.memory.keep_layout(self.perspective.value, self.saveState(VERSION))

    def _build(self, panel: Panel) -> QWidget:
        parts = {
            "link": self.link,
            "model": self.model,
            "cursor": self.point_cursor,
            "log": self.log,
        }
        widget = panel.load()(*(parts[need] for need in panel.needs.split()))
        remembered = self.memory.panel(panel.key)
        if remembered and hasattr(widget, "recall"):
            widget.recall(remembered)
        return widget

    def _undoable(self) -> QWidget | None:
        """Return the panel in sight that can undo its edits."""
        panels = self.docks.built.values()
        return next((one for one in panels if hasattr(one, "undo") and one.isVisible()), None)

    def _undo(self) -> None:
        panel = self._undoable()
        if panel is not None:
            panel.undo()  # type: ignore[attr-defined]

    def _redo(self) -> None:
        panel = self._undoable()
        if panel is not None:
            panel.redo()  # type: ignore[attr-defined]

    # --- what the actions do

    def _doings(self) -> dict[str, Callable[[], None]]:
        follower = self.follower
        return {
            **{name: _asking(self, verb) for name, verb in _VERBS.items()},
            "open": self._ask_open,
            "open_station": self._ask_station,
            "show_folder": self._show_folder,
            "close_run": self.model.close,
            "close": self._ask_close,
            "start": self._start,
            "start_engine": self.search.start,
            "undo": self._undo,
            "redo": self._redo,
            "align": lambda: self.show_perspective(Perspective.ALIGN),
            "sweep": lambda: self.show_perspective(Perspective.SWEEP),
            "browse": lambda: self.show_perspective(Perspective.BROWSE),
            "next_point": lambda: follower.step(1),
            "previous_point": lambda: follower.step(-1),
            "first_point": lambda: follower.go(0),
            "last_point": follower.to_latest,
            "go_there": lambda: self.go_there.offer_point(self.point_cursor.point),
            "float_panel": lambda: self.docks.float_focused(),  # noqa: PLW0108 - the docks come later
            "close_panel": lambda: self.docks.close_focused(),  # noqa: PLW0108
            "move_panel": lambda: self.docks.move_focused(),  # noqa: PLW0108
            "wider": lambda: self.docks.resize_focused(width_px=STRIDE_px),
            "narrower": lambda: self.docks.resize_focused(width_px=-STRIDE_px),
            "taller": lambda: self.docks.resize_focused(height_px=STRIDE_px),
            "lower": lambda: self.docks.resize_focused(height_px=-STRIDE_px),
            "divider_on": lambda: self.docks.shift_divider(STRIDE_px),
            "divider_back": lambda: self.docks.shift_divider(-STRIDE_px),
            "larger": lambda: self.scale_text(STEP),
            "smaller": lambda: self.scale_text(1 / STEP),
            "dark": self._flip_theme,
            "reset_layout": self.reset_layout,
            "palette": self._show_palette,
            "shortcuts": self._show_shortcuts,
        }

    def open(self, path: Path) -> None:
        """Show a run or a file; while a run goes on beside what else is shown."""
        if path.suffix == ".toml":
            self._edit(path)
            return
        self.follower.open(path)
        if not self.situation.is_running:
            self.show_perspective(Perspective.BROWSE)

    def _edit(self, sweep: Path) -> None:
        """Open a sweep file in its editor."""
        self.show_perspective(Perspective.SWEEP)
        self.docks.need("sweep").open(sweep)  # type: ignore[attr-defined]
        self.docks.reveal("sweep")

    def choose_station(self, station: Path) -> None:
        """Watch the engine of this station, started if none runs."""
        self.search.choose(station)

    def scale_text(self, factor: float) -> None:
        """Make all text larger or smaller."""
        self._text_scale = min(max(self._text_scale * factor, SMALLEST), LARGEST)
        self.memory.keep("text_scale", round(self._text_scale, 3))
        theme.set_text_scale(_app(), self._text_scale)

    def _start(self) -> None:
        """Start the sweep in the editor; where it is not ready, the editor says why."""
        editor = self.docks.need("sweep")
        if not editor.isVisible():
            self.show_perspective(Perspective.SWEEP)
            self.docks.reveal("sweep")
        editor.start()  # type: ignore[attr-defined]

    def _ask_open(self) -> None:
        self._ask_file("Open a run or a file", _FILES, self.open)

    def _ask_station(self) -> None:
        self._ask_file("Choose a station file", "Station files (*.toml)", self.choose_station)

    def _ask_file(self, title: str, kinds: str, then: Callable[[Path], None]) -> None:
        """Ask for a file beside the window; nothing is blocked meanwhile."""
        dialog = QFileDialog(self, title)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilters([kinds, "All files (*)"])
        dialog.fileSelected.connect(lambda path: then(Path(path)))
        dialog.setModal(False)
        dialog.show()

    def _show_folder(self) -> None:
        path = self.model.path
        if path is not None:
            folder = path if path.is_dir() else path.parent
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))

    def _flip_theme(self) -> None:
        other = theme.LIGHT if theme.theme_of(self) is theme.DARK else theme.DARK
        self.memory.keep("theme", other.name)
        theme.apply(_app(), other)

    def _show_shortcuts(self) -> None:
        if self._sheet is None:
            self._sheet = ShortcutSheet(self, {**self.bound.sheet(), "Panels": self._panel_keys()})
        self._sheet.open()

    def _show_palette(self) -> None:
        self.palette_.open()

    def _panel_keys(self) -> list[tuple[str, str]]:
        titles = [panel.title for panel in self.docks.panels.values()][:NUMBERED]
        return [(f"Ctrl+{number}", title) for number, title in enumerate(titles, start=1)]

    def _commands(self) -> list[Command]:
        return [*self.bound.commands(), *self._panel_commands(), *self._station_commands()]

    def _panel_commands(self) -> list[Command]:
        return [
            Command(f"Panel: {action.text()}", action.trigger, "View", action.shortcut().toString())
            for action in self._panel_actions
        ]

    def _station_commands(self) -> list[Command]:
        def choosing(station: Path) -> Callable[[], None]:
            return lambda: self.choose_station(station)

        return [
            Command(
                f"Station: {station.stem}",
                choosing(station),
                Group.INSTRUMENTS.value.replace("&", ""),
                homely(str(station.parent)),
            )
            for station in self.memory.stations()
        ]

    # --- closing

    def closeEvent(self, event: QCloseEvent | None) -> None:
        assert event is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        question = "" if self._is_closing else needs_question(self.situation)
        if question and self.question.isHidden():
            event.ignore()
            self.question.ask(question)
            return
        if not self._has_left:
            self._has_left = True
            self._leave()
        event.accept()

    def _leave(self) -> None:
        self._keep_layout()
        self.memory.keep("geometry", self.saveGeometry())
        self.memory.keep("perspective", self.perspective.value)
        for key, widget in self.docks.built.items():
            if hasattr(widget, "memory"):
                self.memory.keep_panel(key, widget.memory())
        self.docks.leave()
        self.link.leave()
        self.model.close()

    def _ask_close(self) -> None:
        self.close()

    def close_for_good(self) -> None:
        """Close without a question; the engine goes on."""
        self._closes_when_stopped = False
        self._is_closing = True
        self.close()

    def _stop_then_close(self) -> None:
        self._closes_when_stopped = True
        self.question.say("Stopping: into the safe state, then the window closes.")
        self.ask(Verb.STOP_NOW)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None  # noqa: S101
        step = _STEPS.get(event.key())
        plain = not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if step is not None and plain:
            self.follower.step(step)
        else:
            super().keyPressEvent(event)

    # --- building

    def _build_top(self) -> None:
        bar = QMenuBar()
        bar.setNativeMenuBar(False)
        menus = self.bound.fill(bar)
        self._panel_actions = self._add_panel_actions(menus[Group.VIEW])
        by_name = self.bound.by_name
        self.switch = PerspectiveSwitch({one.value: by_name[one.value] for one in Perspective})
        self.chip = CommandChip(by_name["take_command"])
        self.banner = SimulatedBanner()
        self.run_bar = RunBar(by_name)
        self.alarms = AlarmStrips(by_name["acknowledge"].trigger)
        self.question = CloseQuestion(self.close_for_good, self._stop_then_close)
        first = QHBoxLayout()
        first.setContentsMargins(0, 0, 8, 0)
        first.setSpacing(14)
        bar.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        first.addWidget(bar, 1)
        first.addWidget(self.chip)
        first.addWidget(self.switch)
        top = QWidget()
        column = QVBoxLayout(top)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(first)
        self.go_there = GoThere(self.link, self.model, self._refuse)
        for widget in (self.banner, self.run_bar, self.alarms, self.question, self.go_there):
            column.addWidget(widget)
        self.setMenuWidget(top)

    def _add_panel_actions(self, menu: QMenu) -> list[QAction]:
        menu.addSeparator()
        actions = []
        for number, (key, panel) in enumerate(self.docks.panels.items(), start=1):
            action = QAction(panel.title, self)
            if number <= NUMBERED:
                action.setShortcut(f"Ctrl+{number}")
                action.setShortcutContext(Qt.ShortcutContext.ApplicationShortcut)
            action.triggered.connect(_revealing(self.docks, key))
            menu.addAction(action)
            self.addAction(action)
            actions.append(action)
        return actions

    def _build_status_line(self) -> None:
        self.notice = ElidedLabel()
        self.notice.setAccessibleName("Latest message")
        self.readout = QLabel()
        self.readout.setAccessibleName("Cursor")
        line = self.statusBar()
        assert line is not None  # noqa: S101
        line.addWidget(self.notice, 1)
        line.addPermanentWidget(self.readout)

    def _listen(self) -> None:
        link, log = self.link, self.log
        link.said_hello.connect(self._on_hello)
        link.snapshot.connect(self._on_snapshot)
        link.said.connect(log.take)
        link.answered.connect(self._on_answer)
        link.lost.connect(lambda _: self._refresh())
        self._loss.told.connect(self._on_loss)
        link.connection_changed.connect(lambda _: self._refresh())
        link.trouble_changed.connect(lambda _: self._refresh())
        self._silence.changed.connect(lambda _: self._refresh())
        self.search.engine_start.ended.connect(lambda words: self._say(Level.ERROR, words))
        log.added.connect(self._show_notice)
        log.repeated.connect(self._show_notice)
        log.blocked.connect(self.alarms.block)
        self.point_cursor.point_changed.connect(lambda _: self._show_cursor())
        self.point_cursor.energy_changed.connect(lambda _: self._show_cursor())
        self.point_cursor.go_asked.connect(self.go_there.offer_point)
        self.model.closed.connect(self.readout.clear)
        self.model.opened.connect(self._refresh)
        self.model.closed.connect(self._refresh)
        self.model.events_changed.connect(self._on_events)
        self.model.failed.connect(lambda why: self._say(Level.WARNING, why, device="file"))

    def _restore(self) -> None:
        geometry = self.memory.geometry()
        if geometry is None or not self.restoreGeometry(geometry):
            self._size_to_screen()
        named = self.memory.text("perspective", Perspective.ALIGN.value)
        self.perspective = next(
            (one for one in Perspective if one.value == named), Perspective.ALIGN
        )
        self._lay_out()
        self.switch.show_chosen(self.perspective.value)
        self.setFocus()  # the arrows step the cursor at once

    def _size_to_screen(self) -> None:
        screen = self.screen()
        if screen is not None:
            self.resize(screen.availableGeometry().size() * 0.92)


def _asking(window: MainWindow, verb: Verb) -> Callable[[], None]:
    return lambda: window.ask(verb)


def _revealing(docks: PanelDocks, key: str) -> Callable[[bool], None]:
    return lambda _checked: docks.reveal(key)


def _app() -> QApplication:
    app = QApplication.instance()
    assert isinstance(app, QApplication)  # noqa: S101 - a widget can't be there without
    return app


_VERBS = {
    "pause": Verb.PAUSE,
    "resume": Verb.RESUME,
    "stop_after_point": Verb.STOP_AFTER_POINT,
    "stop": Verb.STOP_NOW,
    "acknowledge": Verb.ACKNOWLEDGE,
    "connect": Verb.CONNECT,
    "disconnect": Verb.DISCONNECT,
    "take_command": Verb.TAKE_COMMAND,
    "release_command": Verb.RELEASE_COMMAND,
    "quit_engine": Verb.QUIT,
}
_STEPS: dict[int, int] = {Qt.Key.Key_Right: 1, Qt.Key.Key_Left: -1}
_FILES = "Runs and spectra (*.nxs *.h5 journal.sqlite *.spe *.sif *.asc *.txt *.csv *.dat)"
