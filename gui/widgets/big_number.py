"""Digits to be read from the other end of the laboratory."""

from math import isfinite

from PyQt6.QtCore import QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent
from PyQt6.QtWidgets import QSizePolicy, QWidget

from gui.look.theme import Tone, tabular, theme_of

__all__ = ["BigNumber"]

_WIDEST = "888 888"  # the size is that of the widest value: digits don't breathe while they change


class BigNumber(QWidget):
    """A number as large as its place allows; where there is none, the reason."""

    def __init__(self, caption: str = "", unit: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._caption = caption
        self._unit = unit
        self._text = "–"
        self._why_not = ""
        self._tone = Tone.NEUTRAL
        self._widest = _WIDEST
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(90, 48)
        self.setAccessibleName(caption)

    def text(self) -> str:
        return self._text

    def explain(self, why_not: str) -> None:
        """Say this instead of a number, as long as there is none."""
        self._why_not = why_not
        self.update()

    def show_value(self, value: float | None, decimals: int = 0, tone: Tone = Tone.NEUTRAL) -> None:
        """Show the value with thin spaces between thousands; a dash for None and NaN."""
        known = value is not None and isfinite(value)
        text = f"{value:,.{decimals}f}".replace(",", "\u2009") if known else "–"
        if (text, tone) == (self._text, self._tone):
            return
        self._text, self._tone = text, tone
        if len(text) > len(self._widest):
            self._widest = "8" * len(text)
        self.setAccessibleDescription(f"{text} {self._unit}")
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(220, 96)

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        theme = theme_of(self)
        painter = QPainter(self)
        small = self.fontMetrics().height()
        painter.setPen(QColor(theme.muted))
        painter.drawText(
            self.rect().adjusted(6, 2, -6, 0), Qt.AlignmentFlag.AlignLeft, self._caption
        )
        painter.drawText(self.rect().adjusted(6, 2, -6, 0), Qt.AlignmentFlag.AlignRight, self._unit)
        place = QRectF(self.rect()).adjusted(6, small, -6, 0)
        if self._text == "–" and self._why_not:
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(place, int(flags), self._why_not)
            return
        font = tabular(self.font())
        font.setBold(True)
        font.setPixelSize(100)
        widest = QFontMetricsF(font).horizontalAdvance(self._widest)
        font.setPixelSize(max(8, int(min(place.height() * 0.95, 100 * place.width() / widest))))
        painter.setFont(font)
        plain = self._tone is Tone.NEUTRAL
        painter.setPen(QColor(theme.text if plain else theme.tone(self._tone)))
        painter.drawText(place, Qt.AlignmentFlag.AlignCenter, self._text)
