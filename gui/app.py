"""Start the window: `cryoscan gui [STATION] [FILE|RUN]`.

The window opens at once and looks for its engine afterwards. What takes time to load (plots, fits)
is loaded when a panel that needs it is seen.
"""

import argparse
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from PyQt6.QtCore import QSettings, QTimer
from PyQt6.QtWidgets import QApplication

from gui.link.engine_link import EngineLink
from gui.link.engine_search import EngineSearch
from gui.look import theme
from gui.look.wheel_guard import WheelGuard
from gui.threads.garbage import GarbageHere
from gui.window.main_window import MainWindow
from gui.window.window_memory import WindowMemory, user_settings

__all__ = ["main", "open_window", "station_and_file"]

logger = logging.getLogger(__name__)

WARM_UP_ms = 1500
LOOK_FOR_SIGNALS_ms = 200


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the window until it is closed. Returns 0, or 2 where the arguments can't be."""
    options = _parser().parse_args(arguments)
    try:
        station, file = station_and_file(options.paths)
    except ValueError as error:
        print(f"cryoscan gui: {error}", file=sys.stderr)
        return 2
    app = QApplication([sys.argv[0]])
    app.setApplicationName("cryoscan")
    app.setDesktopFileName("cryoscan")
    WheelGuard(app)
    GarbageHere(app)
    window = open_window(
        app, user_settings(), station=station, file=file, starts_engine=not options.no_engine
    )
    _tell_errors(window)
    _obey_signals(app, window)
    QTimer.singleShot(WARM_UP_ms, _warm_up)
    return app.exec()


def open_window(
    app: QApplication,
    settings: QSettings,
    *,
    station: Path | None = None,
    file: Path | None = None,
    starts_engine: bool = True,
) -> MainWindow:
    """Show the window, and let it look for its engine."""
    memory = WindowMemory(settings)
    theme.apply(app, _chosen_theme(app, memory))
    theme.set_text_scale(app, memory.number("text_scale", _scale_for(app)))
    link = EngineLink(_name())
    window = MainWindow(link, EngineSearch(link, station), memory)
    window.show()
    if file is not None:
        window.open(file)
    window.search.watch(start_missing=starts_engine)
    return window


def station_and_file(paths: Sequence[Path]) -> tuple[Path | None, Path | None]:
    """Return which of the paths is the station file, and which is to be shown.

    Raises ValueError for what does not exist, and for two of a kind.
    """
    station: Path | None = None
    file: Path | None = None
    for path in paths:
        if not path.exists():
            raise ValueError(f"{path}: there is no such file or folder")
        if _is_station(path):
            if station is not None:
                raise ValueError(f"{path}: one station at a time, {station} is one already")
            station = path.resolve()
        elif file is not None:
            raise ValueError(f"{path}: one file at a time, {file} is one already")
        else:
            file = path.resolve()
    return station, file


def _is_station(path: Path) -> bool:
    if path.suffix != ".toml":
        return False
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return any(line.split("#")[0].strip() == "[station]" for line in lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cryoscan gui",
        description="The window. It finds a running engine, or starts one for the STATION; a FILE "
        "or RUN is opened beside.",
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="STATION | FILE | RUN")
    parser.add_argument(
        "--no-engine", action="store_true", help="start no engine; watch one that runs"
    )
    return parser


def _chosen_theme(app: QApplication, memory: WindowMemory) -> theme.Theme:
    """Return the theme chosen last, else the desktop's."""
    desktop = app.palette().color(app.palette().ColorRole.Window).lightness()
    named = memory.text("theme", "dark" if desktop < 128 else "light")
    return theme.DARK if named == theme.DARK.name else theme.LIGHT


def _scale_for(app: QApplication) -> float:
    """Return the scale of text for a screen that does not scale by itself: 4K without settings."""
    screen = app.primaryScreen()
    if screen is None or screen.devicePixelRatio() > 1.0:
        return 1.0
    return 2.0 if screen.geometry().height() >= 2000 else 1.0


def _name() -> str:
    """Return how the engine and other watchers name this window."""
    user = os.environ.get("USER") or os.environ.get("USERNAME") or "somebody"
    return f"{user}'s window"


def _tell_errors(window: MainWindow) -> None:
    """Show errors of the window itself in it; without this, PyQt ends the process."""

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        logger.critical("in the window", exc_info=(kind, error, trace))
        place = traceback.extract_tb(trace)[-1:] if trace is not None else []
        where = f"{place[0].filename}:{place[0].lineno}" if place else ""
        window.report_error(f"{kind.__name__}: {error}", where)

    sys.excepthook = tell


def _obey_signals(app: QApplication, window: MainWindow) -> None:
    """Let Ctrl-C in the terminal close the window; a run goes on."""
    signal.signal(signal.SIGINT, lambda *_: window.close_for_good())
    timer = QTimer(app)  # gives Python a moment in which it sees signals
    timer.timeout.connect(lambda: None)
    timer.start(LOOK_FOR_SIGNALS_ms)


def _warm_up() -> None:
    """Load what the first typed unit needs, so that it does not wait for it."""
    from acquisition.configuration.quantity import parse_quantity  # noqa: PLC0415

    threading.Thread(
        target=parse_quantity, args=("1 mV", "V"), name="load the units", daemon=True
    ).start()


if __name__ == "__main__":
    sys.exit(main())
