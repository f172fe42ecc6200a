"""A list of choices that only a deliberate hand changes."""

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QPaintEvent, QWheelEvent
from PyQt6.QtWidgets import QComboBox, QStyle, QStyleOptionComboBox, QStylePainter, QWidget

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

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Draw the choice, shortened so that one sees it."""
        painter = QStylePainter(self)
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        style = QStyle.SubControl.SC_ComboBoxEditField
        room = painter.style().subControlRect(  # type: ignore[union-attr] # it has one
            QStyle.ComplexControl.CC_ComboBox, option, style, self
        )
        option.currentText = self.fontMetrics().elidedText(
            option.currentText, Qt.TextElideMode.ElideRight, room.width() - 2
        )
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def show_choice(self, text: str) -> None:
        """Show a choice without anybody having chosen it; unknown text shows none."""
        self.blockSignals(True)
        self.setCurrentIndex(self.findText(text))
        self.blockSignals(False)


_GIVES_WAY = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
