"""When a view is drawn: soon after something changed, not more often than the eye and the machine
can take, and not at all while nobody sees it.
"""

from collections.abc import Callable

from PyQt6.QtCore import QElapsedTimer, QEvent, QObject, QTimer
from PyQt6.QtWidgets import QWidget

__all__ = ["Redraw"]

SHORTEST_ms = 40
SHARE = 4  # a drawing that takes long is done the more rarely: at most this part of the time
LONGEST_ms = 80  # from one drawing to the next, as long as one takes less than half of it


class Redraw(QObject):
    """Calls `draw` for a widget; whatever changed in between is drawn once."""

    def __init__(self, widget: QWidget, draw: Callable[[], None]) -> None:
        super().__init__(widget)
        self._widget, self._draw = widget, draw
        self.is_due = False
        self._took_ms = 0
        self._since = QElapsedTimer()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.now)
        widget.installEventFilter(self)

    def soon(self, *, within_ms: int = 0, is_awaited: bool = False) -> None:
        """Draw as soon as it is time; not at once where more is expected `within_ms`.

        is_awaited: a person asked for it and waits: it is always time.
        """
        self.is_due = True
        if not self._widget.isVisible():
            return
        pause_ms = self._took_ms if is_awaited else _period_ms(self._took_ms)
        passed_ms = self._since.elapsed() if self._since.isValid() else pause_ms
        wait_ms = max(within_ms, pause_ms - passed_ms)
        if not self._timer.isActive() or wait_ms < self._timer.remainingTime():
            self._timer.start(wait_ms)

    def now(self) -> None:
        """Draw at once."""
        self._timer.stop()
        self.is_due = False
        self._since.start()
        self._draw()
        self._took_ms = self._since.elapsed()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and watched is self._widget:
            if event.type() == QEvent.Type.Show and self.is_due:
                self.soon_after_show()
            elif event.type() == QEvent.Type.Hide:
                self._timer.stop()
        return super().eventFilter(watched, event)

    def soon_after_show(self) -> None:
        """Draw what changed while nobody saw it; the widget is not visible yet at this moment."""
        self._timer.start(0)


def _period_ms(took_ms: int) -> int:
    """Return the time from one drawing to the next, where a drawing takes so long."""
    return max(SHORTEST_ms, min(SHARE * took_ms, LONGEST_ms), 2 * took_ms)
