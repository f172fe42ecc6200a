"""Fusion, with edges of fields and boxes to tick that are seen in a dark window too.

Fusion draws them a little darker than the window, whatever its palette says.
"""

from PyQt6.QtCore import QRectF
from PyQt6.QtGui import QPainter, QPalette, QPen
from PyQt6.QtWidgets import QProxyStyle, QStyle, QStyleOption, QWidget

__all__ = ["EDGE", "EdgedStyle"]

EDGE = QPalette.ColorRole.Shadow  # of the palette, for the edges
_EDGED = (QStyle.PrimitiveElement.PE_FrameLineEdit, QStyle.PrimitiveElement.PE_IndicatorCheckBox)
_CORNER_px = 2.0


class EdgedStyle(QProxyStyle):
    """Takes the colour of the edges from the palette; what is disabled keeps its faint one."""

    def __init__(self) -> None:
        super().__init__("Fusion")
        self.setObjectName("fusion")  # as the style that it is

    def drawPrimitive(
        self,
        element: QStyle.PrimitiveElement,
        option: QStyleOption | None,
        painter: QPainter | None,
        widget: QWidget | None = None,
    ) -> None:
        super().drawPrimitive(element, option, painter, widget)
        if element not in _EDGED or option is None or painter is None:
            return
        state = QStyle.StateFlag
        is_plain = not option.state & state.State_HasFocus
        if is_plain and option.state & state.State_Enabled:
            painter.save()
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(option.palette.color(EDGE), 1.0))
            edge = QRectF(option.rect).adjusted(0.5, 0.5, -0.5, -0.5)
            painter.drawRoundedRect(edge, _CORNER_px, _CORNER_px)
            painter.restore()
