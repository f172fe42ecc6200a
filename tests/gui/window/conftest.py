"""A stand-in for the engine behind a real server, and the window that watches it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pytest
from PyQt6.QtCore import QSettings
from pytestqt.qtbot import QtBot

from acquisition.channel.engine_address import EngineAddress
from acquisition.channel.engine_server import EngineServer
from acquisition.channel.engine_status import EngineState, EngineStatus, FinishReason, Safety
from acquisition.channel.messages import Hello, Mode, Request, Snapshot
from gui.link.engine_link import EngineLink
from gui.link.engine_search import EngineSearch
from gui.window.main_window import PANELS, MainWindow
from gui.window.panel_docks import Panel
from gui.window.window_memory import WindowMemory

STATION = "laboratory"
UTC = 1.8e9


@dataclass
class EngineOfDesk:
    """Says what a test wants, and writes down what it was asked. It may end and come back."""

    snapshot: Snapshot = field(default_factory=lambda: Snapshot(Mode.ALIGNING, UTC))
    hello: Hello = field(
        default_factory=lambda: Hello(
            engine="one", station=STATION, is_simulated=True, time_scale=20.0
        )
    )
    asked: list[Request] = field(default_factory=list)
    server: EngineServer | None = None

    def start(self) -> None:
        self.server = EngineServer(
            station=STATION,
            station_path="",
            hello=lambda: self.hello,
            snapshot=lambda: self.snapshot,
            take=self._take,
        )

    def stop(self) -> None:
        if self.server is not None:
            self.server.close()
            self.server = None

    def addresses(self) -> list[EngineAddress]:
        return [self.server.address] if self.server is not None else []

    @property
    def verbs(self) -> list[str]:
        return [request.verb.value for request in self.asked]

    def _take(self, watcher: str, request: Request) -> None:
        self.asked.append(request)
        assert self.server is not None
        self.server.answer(watcher, request.number, True)


@pytest.fixture
def engine() -> Iterator[EngineOfDesk]:
    desk = EngineOfDesk()
    desk.start()
    yield desk
    desk.stop()


Open = Callable[[], MainWindow]
for panel in PANELS:  # once, so that no test has to wait for it
    panel.load()
LIGHT = tuple(panel for panel in PANELS if panel.key in ("map", "log"))


@pytest.fixture
def open_window(qtbot: QtBot, engine: EngineOfDesk, settings: QSettings) -> Open:
    """Open a window that watches the engine; the last one is closed by the test's end."""

    def open_one() -> MainWindow:
        window = make_window(engine, settings)
        qtbot.addWidget(window, before_close_func=lambda one: one.close_for_good())
        return window

    return open_one


def make_window(
    engine: EngineOfDesk, settings: QSettings, panels: Sequence[Panel] = LIGHT
) -> MainWindow:
    """Return a window that is shown and looks for the engine."""
    link = EngineLink("tester")
    search = EngineSearch(link, engines=engine.addresses)
    window = MainWindow(link, search, WindowMemory(settings), panels=panels)
    window.resize(1366, 768)
    window.show()
    window.search.watch()
    return window


@pytest.fixture
def make(engine: EngineOfDesk, settings: QSettings) -> Callable[[Sequence[Panel]], MainWindow]:
    """Open a window that the test itself takes down."""
    return lambda panels: make_window(engine, settings, panels)


@pytest.fixture
def whole_window(qtbot: QtBot, engine: EngineOfDesk, settings: QSettings) -> MainWindow:
    """A window with all its panels."""
    window = make_window(engine, settings, PANELS)
    qtbot.addWidget(window, before_close_func=lambda one: one.close_for_good())
    return window


@pytest.fixture
def window(qtbot: QtBot, open_window: Open) -> MainWindow:
    """A window that has heard of the engine."""
    one = open_window()
    qtbot.waitUntil(lambda: one.link.latest is not None, timeout=5000)
    return one


@pytest.fixture
def running() -> Callable[..., Snapshot]:
    """A function that returns a snapshot of a run in a state."""
    return _running


@pytest.fixture
def ended() -> Callable[..., Snapshot]:
    """A function that returns a snapshot after a run that ended so."""

    def one(finish: FinishReason, safety: Safety = Safety.CONFIRMED) -> Snapshot:
        status = _running(EngineState.IDLE).status
        assert status is not None
        status = replace(status, finish=finish, finish_text=finish.value, safety=safety)
        return Snapshot(Mode.ALIGNING, UTC, status=status)

    return one


def _running(state: EngineState, **changes: object) -> Snapshot:
    status = EngineStatus(
        state=state,
        run="20260102T030405Z_cs-03_stark_0123abcd",
        point=4,
        done=4,
        total=21,
        awaited="temperature 6.2 K on its way to 5.5 K",
        awaited_since_s=100.0,
        time_s=112.0,
        remaining_s=1230.0,
    )
    return replace(Snapshot(Mode.RUNNING, UTC, status=status), **changes)
