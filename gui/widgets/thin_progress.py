"""How far something is: a thin line, nothing that moves by itself."""

from PyQt6.QtCore import QSize
from PyQt6.QtGui import QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from gui.look.theme import Tone, theme_of

__all__ = ["ThinProgress"]


class ThinProgress(QWidget):
    """A line that is full at 1."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._fraction = 0.0
        self._tone = Tone.GOOD
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    @property
    def fraction(self) -> float:
        return self._fraction

    def show_fraction(self, fraction: float, tone: Tone) -> None:
        if (fraction, tone) != (self._fraction, self._tone):
            self._fraction, self._tone = min(max(fraction, 0.0), 1.0), tone
            self.setAccessibleDescription(f"{self._fraction:.0%}")
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(60, max(4, self.fontMetrics().height() // 4))

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        theme = theme_of(self)
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(theme.border))
        filled = round(self.width() * self._fraction)
        painter.fillRect(0, 0, filled, self.height(), QColor(theme.tone(self._tone)))
