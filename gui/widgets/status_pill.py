"""A state at a glance: text, shape and colour, never colour alone."""

from dataclasses import dataclass
from enum import Enum

from PyQt6.QtCore import QPointF, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PyQt6.QtWidgets import QSizePolicy, QWidget

from gui.look.theme import Tone, theme_of

__all__ = ["Look", "Shape", "StatusPill"]


class Shape(Enum):
    """Drawn beside the text; each state of a kind has its own."""

    DISC = "disc"  # at rest
    RING = "ring"  # nobody there
    PLAY = "play"
    BARS = "bars"  # paused
    SQUARE = "square"  # stopped, stopping
    DIAMOND = "diamond"  # on the way
    TICK = "tick"
    CROSS = "cross"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Look:
    """How a state is shown."""

    text: str
    shape: Shape
    tone: Tone


class StatusPill(QWidget):
    """Shows a Look; `hint` says more to the mouse and to a screen reader."""

    def __init__(self, look: Look | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._look = look or Look("", Shape.RING, Tone.NEUTRAL)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self._look.text)

    @property
    def look(self) -> Look:
        return self._look

    def show_look(self, look: Look, hint: str = "") -> None:
        if hint != self.toolTip():
            self.setToolTip(hint)
            self.setAccessibleDescription(hint)
        if look == self._look:
            return
        self._look = look
        self.setAccessibleName(look.text)
        self.updateGeometry()
        self.update()

    def text(self) -> str:
        return self._look.text

    def sizeHint(self) -> QSize:
        metrics = self.fontMetrics()
        height = metrics.height() + 6
        return QSize(metrics.horizontalAdvance(self._look.text) + 2 * height, height)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        theme = theme_of(self)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.tone(self._look.tone)))
        body = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.drawRoundedRect(body, body.height() / 2, body.height() / 2)
        ink = QColor(theme.on_tone)
        side = body.height() * 0.5
        draw_shape(
            painter,
            self._look.shape,
            QRectF(body.left() + side * 0.85, body.center().y() - side / 2, side, side),
            ink,
        )
        painter.setPen(ink)
        text = body.adjusted(side * 2.1, 0, -side * 0.6, 0)
        painter.drawText(text, Qt.AlignmentFlag.AlignVCenter, self._look.text)


def draw_shape(painter: QPainter, shape: Shape, box: QRectF, ink: QColor) -> None:
    """Draw the shape into the box in one colour."""
    painter.save()
    pen = QPen(ink, max(1.5, box.width() * 0.17))
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    if shape in _FILLED:
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(ink)
    else:
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
    match shape:
        case Shape.DISC | Shape.RING:
            painter.drawEllipse(box.adjusted(1, 1, -1, -1))
        case Shape.BARS:
            third = box.width() / 3
            painter.drawRect(QRectF(box.left(), box.top(), third, box.height()))
            painter.drawRect(QRectF(box.right() - third, box.top(), third, box.height()))
        case Shape.SQUARE:
            painter.drawRect(box.adjusted(1, 1, -1, -1))
        case _:
            for line in _LINES[shape]:
                points = [
                    QPointF(box.left() + x * box.width(), box.top() + y * box.height())
                    for x, y in line
                ]
                polygon = QPolygonF(points)
                if shape in _FILLED or (shape is Shape.WARNING and line is _LINES[shape][0]):
                    painter.drawPolygon(polygon)
                else:
                    painter.drawPolyline(polygon)
    painter.restore()


_FILLED = frozenset({Shape.DISC, Shape.PLAY, Shape.BARS, Shape.SQUARE, Shape.DIAMOND})
_LINES: dict[Shape, tuple[tuple[tuple[float, float], ...], ...]] = {
    Shape.PLAY: (((0.1, 0.0), (1.0, 0.5), (0.1, 1.0)),),
    Shape.DIAMOND: (((0.5, -0.05), (1.05, 0.5), (0.5, 1.05), (-0.05, 0.5)),),
    Shape.TICK: (((0.0, 0.55), (0.38, 0.95), (1.0, 0.1)),),
    Shape.CROSS: (((0.08, 0.08), (0.92, 0.92)), ((0.92, 0.08), (0.08, 0.92))),
    Shape.WARNING: (((0.5, 0.0), (1.05, 0.95), (-0.05, 0.95)), ((0.5, 0.38), (0.5, 0.68))),
}
