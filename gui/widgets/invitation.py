"""What is said in the place of something that is not there yet."""

from PyQt6.QtCore import QEvent, QObject, Qt
from PyQt6.QtWidgets import QLabel, QWidget

__all__ = ["Invitation"]


class Invitation(QLabel):
    """Covers a widget as long as it is shown: an empty axis from 0 to 1 would be a lie."""

    def __init__(self, over: QWidget) -> None:
        super().__init__(over)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setWordWrap(True)
        self.setMargin(8)
        self.setAutoFillBackground(True)
        self.setBackgroundRole(self.palette().ColorRole.Base)
        self.setForegroundRole(self.palette().ColorRole.PlaceholderText)
        over.installEventFilter(self)
        self.hide()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        over = self.parentWidget()
        if event is not None and event.type() == QEvent.Type.Resize and over is not None:
            self.setGeometry(over.rect())
        return super().eventFilter(watched, event)
