"""Where a law says what it found: whole sentences, to be read, selected and copied."""

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtWidgets import QLabel, QSizePolicy, QWidget

__all__ = ["LawLabel"]


class LawLabel(QLabel):
    """Wraps its text; a panel may still be made as low as one line of it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.setAccessibleName("What the law says")

    def minimumSizeHint(self) -> QSize:
        return QSize(60, self.fontMetrics().height() + 2)
