"""The banner that says, always, that the instruments are simulated."""

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QBrush, QColor, QPainter, QPaintEvent
from PyQt6.QtWidgets import QLabel, QSizePolicy, QWidget

from acquisition.channel.messages import Hello
from gui.look.theme import theme_of

__all__ = ["SimulatedBanner"]


class SimulatedBanner(QLabel):
    """There as long as the connected engine's instruments are simulated; it can't be closed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setContentsMargins(0, 1, 0, 1)
        self.hide()

    def follow(self, hello: Hello | None) -> None:
        is_simulated = hello is not None and hello.is_simulated
        self.setVisible(is_simulated)
        if hello is not None and is_simulated:
            scale = hello.time_scale
            pace = "" if scale == 1.0 else f"; time runs {scale:g} times as fast"
            self.setText(f"SIMULATED INSTRUMENTS: nothing is measured, nothing moves{pace}")

    def paintEvent(self, event: QPaintEvent | None) -> None:
        theme = theme_of(self)
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(theme.simulated))
        hatch = QColor(theme.on_simulated)
        hatch.setAlphaF(0.35)
        width = self.fontMetrics().horizontalAdvance(self.text())
        side = max(0, (self.width() - width) // 2 - 12)
        brush = QBrush(hatch, Qt.BrushStyle.BDiagPattern)
        painter.fillRect(0, 0, side, self.height(), brush)
        painter.fillRect(self.width() - side, 0, side, self.height(), brush)
        painter.setPen(QColor(theme.on_simulated))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self.text())
