"""The laws of the shown run, fitted to all its frames by a process of their own, now and then."""

import logging
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QElapsedTimer, QObject, QProcess, QTimer, pyqtSignal

from acquisition.fits.law_overlay import LawOverlay, overlays_from_json
from gui.shown.run_model import RunModel

__all__ = ["LawFollower", "areas_per_share"]

logger = logging.getLogger(__name__)

SHORTEST_s = 5.0
SHARE = 5  # of the time, at most one part is spent on laws
FAREWELL_ms = 2000


class LawFollower(QObject):
    """Hands over what the sweep's laws say; of a file that is no run folder, nothing.

    The process is niced, and killed when another run is opened: nobody waits for it.
    """

    changed = pyqtSignal()
    failed = pyqtSignal(str)

    def __init__(self, model: RunModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.overlays: tuple[LawOverlay, ...] = ()
        self._model = model
        self._is_asked = False
        self._process: QProcess | None = None
        self._since = QElapsedTimer()
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.timeout.connect(self._start)
        model.opened.connect(self._forget)
        model.closed.connect(self._forget)

    @classmethod
    def of(cls, model: RunModel) -> "LawFollower":
        """Return the follower of this run, which all views share."""
        return model.findChild(cls) or cls(model, model)

    def matching(self, law: str, through: int) -> tuple[LawOverlay, ...]:
        """Return what this law says of the series that goes through a row."""
        rows = self._model.rows
        return tuple(
            overlay
            for overlay in self.overlays
            if overlay.law == law
            and 0 <= through < len(rows)
            and all(rows.setpoint(name)[through] == value for name, value in overlay.same.items())
        )

    @property
    def is_busy(self) -> bool:
        return self._process is not None

    def ask(self) -> None:
        """Fit the laws anew, as soon as it is their turn."""
        self._is_asked = True
        if self._process is None and not self._pause.isActive():
            self._start()

    def close(self) -> None:
        """End the process."""
        self._pause.stop()
        self._is_asked = False
        process, self._process = self._process, None
        if process is not None:
            process.blockSignals(True)
            process.kill()
            process.waitForFinished(FAREWELL_ms)
            process.deleteLater()

    def _forget(self) -> None:
        self.close()
        self.overlays = ()
        self.changed.emit()

    def _start(self) -> None:
        folder, configuration = self._model.path, self._model.configuration
        asks = configuration is not None and configuration.sweep.fit is not None
        if not self._is_asked or folder is None or not folder.is_dir() or not asks:
            return
        self._is_asked = False
        self._since.start()
        self._process = QProcess(self)
        self._process.finished.connect(self._on_finished)
        self._process.errorOccurred.connect(self._on_error)
        # -P keeps a user's own analysis.py out of its way
        self._process.start(sys.executable, ["-P", "-m", "acquisition.fits.law_fits", str(folder)])

    def _on_finished(self, code: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        printed = bytes(process.readAllStandardOutput().data()).decode(errors="replace")
        trouble = bytes(process.readAllStandardError().data()).decode(errors="replace")
        process.deleteLater()
        try:
            self.overlays = overlays_from_json(printed)
        except ValueError:
            logger.info("the laws could not be fitted (code %d): %s", code, trouble)
            last = (trouble.strip().splitlines() or ["no answer"])[-1]
            self.failed.emit(f"the laws could not be fitted: {last}")
        self.changed.emit()
        self._pause.start(int(max(SHORTEST_s * 1000, SHARE * self._since.elapsed())))

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error is QProcess.ProcessError.FailedToStart and self._process is not None:
            text = self._process.errorString()
            self.close()
            self.failed.emit(f"the laws could not be fitted: {text}")


def areas_per_share(
    overlays: Sequence[LawOverlay], angle_deg: NDArray[np.float64], total: NDArray[np.float64]
) -> float:
    """Return the area that stands for 1 in relative laws: what brings their sum to the totals.

    total: area of all lines together at each angle; which of them is which does not matter then.
    """
    drawn = [overlay for overlay in overlays if overlay.is_relative and overlay.x]
    good = np.isfinite(angle_deg) & np.isfinite(total)
    if not drawn or not good.any():
        return 1.0
    expected = sum(np.interp(angle_deg[good] % 360.0, law.x, law.y) for law in drawn)
    return float(np.sum(expected * total[good]) / np.sum(expected * expected))
