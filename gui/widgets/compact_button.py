"""A push button that is as wide as its text and no wider."""

from PyQt6.QtCore import QEvent, Qt
from PyQt6.QtGui import QKeyEvent
from PyQt6.QtWidgets import QPushButton, QWidget

__all__ = ["CompactButton"]

MARGIN_letters = 2


class CompactButton(QPushButton):
    """Panels stand in narrow docks. Enter presses it where it has the focus, and never else."""

    def __init__(self, text: str, hint: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setToolTip(hint)
        self.setAutoDefault(False)
        self.setText(text)

    def setText(self, text: str | None) -> None:
        super().setText(text)
        self._fit()

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.FontChange:
            self._fit()

    def _fit(self) -> None:
        metrics = self.fontMetrics()
        width = metrics.horizontalAdvance(self.text().replace("&", ""))
        self.setMinimumWidth(width + MARGIN_letters * metrics.averageCharWidth())

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.isAutoRepeat():
            self.click()
        else:
            super().keyPressEvent(event)
