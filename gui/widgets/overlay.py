"""Something laid over the window for a moment: no dialog, nothing else is blocked."""

from PyQt6.QtCore import QEvent, QObject, Qt
from PyQt6.QtGui import QColor, QKeyEvent, QPainter, QPaintEvent, QPen
from PyQt6.QtWidgets import QFrame, QVBoxLayout, QWidget

from gui.look.theme import theme_of

__all__ = ["Overlay"]


class Overlay(QFrame):
    """Lies at the top middle of its window; Esc closes it and gives the keyboard back."""

    def __init__(self, over: QWidget, width: int = 560) -> None:
        super().__init__(over)
        self._over = over
        self._width = width
        self._before: QWidget | None = None
        self.content = QVBoxLayout(self)
        self.content.setContentsMargins(12, 12, 12, 12)
        self.setAutoFillBackground(True)
        over.installEventFilter(self)
        self.hide()

    def open(self) -> None:
        """Show it, with the keyboard in its first field."""
        self._before = self._over.focusWidget()
        self._place()
        self.show()
        self.raise_()
        self.setFocus()

    def dismiss(self) -> None:
        """Hide it; the keyboard returns to where it was."""
        if self.isHidden():
            return
        self.hide()
        if self._before is not None and self._before.isVisible():
            self._before.setFocus()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        if event.key() == Qt.Key.Key_Escape:
            self.dismiss()
        else:
            super().keyPressEvent(event)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.Resize and self.isVisible():
            self._place()
        return super().eventFilter(watched, event)

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        theme = theme_of(self)
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(theme.raised))
        painter.setPen(QPen(QColor(theme.accent), 2))
        painter.drawRect(self.rect().adjusted(1, 1, -1, -1))

    def _place(self) -> None:
        scale = self.fontMetrics().height() / 16
        width = min(int(self._width * scale), self._over.width() - 40)
        height = min(self.sizeHint().height(), int(self._over.height() * 0.8))
        self.setGeometry((self._over.width() - width) // 2, 60, width, height)
