"""A list of choices that only a deliberate hand changes."""

from PyQt6.QtGui import QWheelEvent
from PyQt6.QtWidgets import QComboBox

__all__ = ["ChoiceBox"]


class ChoiceBox(QComboBox):
    """A combo box that the wheel never touches: the page below scrolls instead."""

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        assert event is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        event.ignore()

    def show_choice(self, text: str) -> None:
        """Show a choice without anybody having chosen it; unknown text shows none."""
        self.blockSignals(True)
        self.setCurrentIndex(self.findText(text))
        self.blockSignals(False)
