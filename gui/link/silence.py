"""How long the engine has said nothing: a frozen engine must not look like a quiet one."""

from PyQt6.QtCore import QElapsedTimer, QObject, QTimer, pyqtSignal

from gui.link.engine_link import EngineLink

__all__ = ["Silence"]

LOOK_ms = 500
QUIET_s = 1.5  # ten snapshots a second are usual


class Silence(QObject):
    """changed: seconds without a snapshot, 0 while they come; also at every look in between."""

    changed = pyqtSignal(float)

    def __init__(self, link: EngineLink, parent: QObject) -> None:
        super().__init__(parent)
        self._link = link
        self._since = QElapsedTimer()
        self._since.start()
        self.seconds = 0.0
        link.snapshot.connect(self._on_snapshot)
        looking = QTimer(self)
        looking.timeout.connect(self._look)
        looking.start(LOOK_ms)

    def _on_snapshot(self, _snapshot: object) -> None:
        self._since.restart()
        if self.seconds:
            self._tell(0.0)

    def _look(self) -> None:
        if self._link.latest is None:
            return
        quiet_s = self._since.elapsed() / 1000.0
        if quiet_s > QUIET_s:
            self._tell(quiet_s)

    def _tell(self, seconds: float) -> None:
        self.seconds = seconds
        self.changed.emit(seconds)
