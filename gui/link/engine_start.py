"""Start an engine in a session of its own, so that it outlives the window that asked for it."""

import os
import sys
from pathlib import Path

import platformdirs
from PyQt6.QtCore import QDateTime, QObject, QProcess, QTimer, pyqtSignal

__all__ = ["EngineStart", "engine_command"]

LOOK_ms = 500
LINES = 6  # of its last words


def engine_command(station: Path) -> list[str]:
    """Return the command line that runs an engine for the station, by this very Python."""
    start = "import sys; from acquisition.cli import main; sys.argv[0] = 'cryoscan'; main()"
    return [sys.executable, "-P", "-c", start, "engine", str(station)]


class EngineStart(QObject):
    """Starts engines and notices one that ends at once. ended: its last words."""

    ended = pyqtSignal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pid = 0
        self._log: Path | None = None
        self._looking = QTimer(self)
        self._looking.setInterval(LOOK_ms)
        self._looking.timeout.connect(self._look)

    @property
    def pid(self) -> int:
        """The process started last, 0 without one."""
        return self._pid

    def start(self, station: Path) -> None:
        """Start the engine of the station; it goes on whatever becomes of the window."""
        program, *arguments = engine_command(station)
        self._log = _new_log()
        process = QProcess()
        process.setProgram(program)
        process.setArguments(arguments)
        process.setWorkingDirectory(str(station.parent))
        process.setStandardInputFile(QProcess.nullDevice())
        process.setStandardOutputFile(str(self._log))
        process.setStandardErrorFile(str(self._log), QProcess.OpenModeFlag.Append)
        is_started, pid = process.startDetached()
        if not is_started:
            self.ended.emit(f"{program} could not be started: {process.errorString()}")
            return
        self._pid = int(pid)
        self._looking.start()

    def settle(self) -> None:
        """Stop looking: it was greeted."""
        self._looking.stop()

    def _look(self) -> None:
        if self._pid and not _is_alive(self._pid):
            self._looking.stop()
            self.ended.emit(self._last_words())

    def _last_words(self) -> str:
        if self._log is None or not self._log.exists():
            return "the engine ended at once and said nothing"
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        words = " | ".join(line.strip() for line in lines[-LINES:] if line.strip())
        return f"the engine ended at once: {words or 'it said nothing'} (all of it: {self._log})"


def _new_log() -> Path:
    folder = platformdirs.user_log_path("cryoscan", ensure_exists=True)
    began = QDateTime.currentDateTimeUtc().toString("yyyyMMdd'T'HHmmss")
    return folder / f"engine-{began}.log"


def _is_alive(pid: int) -> bool:
    if sys.platform == "win32":
        return True  # it is greeted, or its log says why not
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
