"""A ring around whatever has the keyboard: Fusion's own can hardly be seen."""

from PyQt6.QtCore import QRectF
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QApplication, QFocusFrame, QMainWindow, QWidget

from gui.look.theme import theme_of

__all__ = ["FocusRing"]


class FocusRing(QFocusFrame):
    """Follows the keyboard within one window."""

    def __init__(self, window: QMainWindow) -> None:
        super().__init__(window)
        self._window = window
        app = QApplication.instance()
        assert isinstance(app, QApplication)  # noqa: S101
        app.focusChanged.connect(self._follow)

    def _follow(self, _old: QWidget | None, new: QWidget | None) -> None:
        ours = new is not None and new is not self._window and self._window.isAncestorOf(new)
        self.setWidget(new if ours else None)
        if not ours:
            self.hide()

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(theme_of(self).accent), 2))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 3, 3)
