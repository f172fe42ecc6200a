"""Widths and heights that follow the size of the text, now and when somebody changes it."""

from PyQt6.QtCore import QEvent, QObject
from PyQt6.QtWidgets import QWidget

__all__ = ["TextWidth"]

ROOM_letters = 3  # around the text: frame, margins, cursor


class TextWidth(QObject):
    """Keeps a widget between the widths of two texts, and as high as so many lines at least."""

    def __init__(
        self, widget: QWidget, least: str = "", most: str = "", *, lines: float = 0
    ) -> None:
        super().__init__(widget)
        self._widget, self._least, self._most, self._lines = widget, least, most, lines
        widget.installEventFilter(self)
        self._fit()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        if event is not None and event.type() == QEvent.Type.FontChange:
            self._fit()
        return super().eventFilter(watched, event)

    def _fit(self) -> None:
        metrics = self._widget.fontMetrics()
        room = ROOM_letters * metrics.averageCharWidth()
        if self._least:
            self._widget.setMinimumWidth(metrics.horizontalAdvance(self._least) + room)
        if self._most:
            self._widget.setMaximumWidth(metrics.horizontalAdvance(self._most) + room)
        if self._lines:
            self._widget.setMinimumHeight(round(self._lines * metrics.height()))
