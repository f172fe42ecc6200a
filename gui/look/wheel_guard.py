"""The wheel scrolls and zooms; it never changes a value that lay under the mouse by accident."""

from PyQt6.QtCore import QEvent, QObject
from PyQt6.QtWidgets import QAbstractSlider, QAbstractSpinBox, QApplication, QComboBox, QScrollBar

__all__ = ["WheelGuard"]


class WheelGuard(QObject):
    """Keeps the wheel away from every field of the application; pages below still scroll."""

    def __init__(self, app: QApplication) -> None:
        super().__init__(app)
        app.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is None or event.type() != QEvent.Type.Wheel:
            return False
        if isinstance(watched, QScrollBar) or not isinstance(watched, _FIELDS):
            return False
        event.ignore()
        return True


_FIELDS = (QComboBox, QAbstractSpinBox, QAbstractSlider)
