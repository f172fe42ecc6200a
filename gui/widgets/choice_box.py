"""A list of choices that only a deliberate hand changes."""

from PyQt6.QtGui import QWheelEvent
from PyQt6.QtWidgets import QComboBox, QWidget

__all__ = ["ChoiceBox"]


LEAST_LETTERS = 5


class ChoiceBox(QComboBox):
    """A combo box that the wheel never touches: the page below scrolls instead."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizeAdjustPolicy(_GIVES_WAY)
        self.setMinimumContentsLength(LEAST_LETTERS)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        assert event is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        event.ignore()

    def show_choice(self, text: str) -> None:
        """Show a choice without anybody having chosen it; unknown text shows none."""
        self.blockSignals(True)
        self.setCurrentIndex(self.findText(text))
        self.blockSignals(False)


_GIVES_WAY = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
