"""A connection that is lost, and an engine that died: what that means for the instruments."""

from PyQt6.QtCore import QObject, pyqtSignal

from acquisition.channel.messages import Mode, Snapshot
from acquisition.storage.record import Level
from gui.link.engine_link import EngineLink
from gui.link.greeting import NO_ENGINE

__all__ = ["EngineLoss"]

GOES_ON = "a run goes on without the window as long as its engine lives"
LOOK = "look at the instruments (bias, laser shutter), then start the engine: Ctrl+Shift+E"
RESUME = '; "Resume a run…" under "Queue" measures what is lacking'


class EngineLoss(QObject):
    """told: level, what happened, what was done about it, what to do."""

    told = pyqtSignal(object, str, str, str)

    def __init__(self, link: EngineLink, parent: QObject) -> None:
        super().__init__(parent)
        self._link = link
        self._last: Snapshot | None = None
        self._is_lost = self._is_expected = False
        link.snapshot.connect(self._on_snapshot)
        link.lost.connect(self._on_lost)
        link.trouble_changed.connect(lambda _: self._look())

    def expect(self) -> None:
        """Let the engine end in peace: it was asked to."""
        self._is_expected = True

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        self._last, self._is_lost = snapshot, False

    @property
    def _ran(self) -> bool:
        """Whether a run went on when it was last heard of."""
        last = self._last
        if last is None or last.mode is not Mode.RUNNING:
            return False
        return last.status is None or last.status.finish is None

    def _on_lost(self, why: str) -> None:
        self._is_lost = True
        if not self._is_expected:
            advice = GOES_ON if self._ran else ""
            self.told.emit(Level.WARNING, f"connection lost: {why}", "", advice)
        self._look()

    def _look(self) -> None:
        """Tell once that there is no engine any more."""
        if not self._is_lost or self._link.trouble != NO_ENGINE:
            return
        self._is_lost = False
        if self._is_expected:
            self._is_expected = False
            self.told.emit(Level.INFO, "it has been shut down", "", "")
        elif self._ran:
            what = "it died in the middle of a run"
            self.told.emit(Level.ERROR, what, "safe state NOT confirmed", LOOK + RESUME)
        elif self._last is not None and self._last.mode is not Mode.DISCONNECTED:
            what = "it has ended; where nobody shut it down, it died"
            self.told.emit(Level.WARNING, what, "safe state not known", LOOK)
