"""Where a law says what it found: whole sentences, to be read, selected and copied."""

from PyQt6.QtCore import QSize, Qt
from PyQt6.QtWidgets import QFrame, QPlainTextEdit, QSizePolicy, QWidget

__all__ = ["LawLabel"]

LINES = 2


class LawLabel(QPlainTextEdit):
    """Wraps its text into two lines, and scrolls where there are more.

    It asks for no more height with more text, so that the plot above keeps its size.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse
            | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.setTabChangesFocus(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        document, viewport = self.document(), self.viewport()
        assert document is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        assert viewport is not None  # noqa: S101 - as above
        document.setDocumentMargin(0.0)
        viewport.setAutoFillBackground(False)  # stands on the window, not in a field
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.setAccessibleName("What the law says")

    def text(self) -> str:
        return self.toPlainText()

    def setText(self, text: str) -> None:
        """Say this; one that reads on is not led back to the beginning."""
        if text != self.toPlainText():
            self.setPlainText(text)

    def sizeHint(self) -> QSize:
        return QSize(200, LINES * self.fontMetrics().lineSpacing() + 4)

    def minimumSizeHint(self) -> QSize:
        return QSize(60, self.fontMetrics().lineSpacing() + 4)
