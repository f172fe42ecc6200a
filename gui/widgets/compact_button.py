"""A push button that is as wide as its text and no wider."""

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QPushButton, QWidget

__all__ = ["CompactButton"]

MARGIN_px = 14


class CompactButton(QPushButton):
    """Panels stand in narrow docks. Enter presses it where it has the focus, and never else."""

    def __init__(self, text: str, hint: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setToolTip(hint)
        self.setAutoDefault(False)
        self.setText(text)

    def setText(self, text: str | None) -> None:
        super().setText(text)
        plain = (text or "").replace("&", "")
        self.setMinimumWidth(self.fontMetrics().horizontalAdvance(plain) + MARGIN_px)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.isAutoRepeat():
            self.click()
        else:
            super().keyPressEvent(event)
