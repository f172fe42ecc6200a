"""An axis of a plot that is cheap to paint: it is painted anew with everything that is drawn.

pyqtgraph's own plays a recorded picture back, which lays out every label each time, and draws its
transparent grid as lines, which Qt blends pixel by pixel, 0.1 ms each: half of all the painting.
"""

from typing import Any

import pyqtgraph as pg
from PyQt6.QtCore import QPointF, QRectF
from PyQt6.QtGui import QColor, QPainter, QPen
from PyQt6.QtWidgets import QStyleOptionGraphicsItem, QWidget

__all__ = ["Axis"]


GAP_px = 4.0  # between two numbers side by side


class Axis(pg.AxisItem):  # type: ignore[misc]
    """Looks the same. ground: what lies under the grid, with which it is mixed beforehand."""

    ground = QColor("white")
    picture: Any  # pyqtgraph forgets it when it is out of date

    def paint(
        self, painter: QPainter, _option: QStyleOptionGraphicsItem, _widget: QWidget | None
    ) -> None:
        if self.picture is None:
            self.picture = self._areas_and_texts(painter)
        if self.picture:
            areas, line, texts = self.picture
            painter.save()
            for area, colour in areas:
                painter.fillRect(area, colour)
            self.drawPicture(painter, line, (), texts)
            painter.restore()

    def _areas_and_texts(self, painter: QPainter) -> tuple[Any, ...]:
        painter.save()
        specs = self.generateDrawSpecs(painter)
        painter.restore()
        if specs is None:
            return ()
        line, ticks, texts = specs
        areas = [(_area(begin, end), self._mixed(pen)) for pen, begin, end in ticks]
        return areas, line, _apart(texts)

    def _mixed(self, pen: QPen) -> QColor:
        above, share = pen.color(), pen.color().alphaF()
        parts = zip(above.getRgb()[:3], self.ground.getRgb()[:3], strict=True)
        return QColor(*(round(share * a + (1.0 - share) * b) for a, b in parts))


def _apart(texts: list[tuple[QRectF, Any, str]]) -> list[tuple[QRectF, Any, str]]:
    """Return those that stand clear of all before them; the coarse ticks come first."""
    kept: list[tuple[QRectF, Any, str]] = []
    for text in texts:
        room = text[0].adjusted(-GAP_px, 0.0, GAP_px, 0.0)
        if not any(room.intersects(other) for other, _, _ in kept):
            kept.append(text)
    return kept


def _area(begin: QPointF, end: QPointF) -> QRectF:
    """Return an upright or level line as an area one pixel wide."""
    area = QRectF(begin, end).normalized()
    (area.setWidth if begin.x() == end.x() else area.setHeight)(1.0)
    return area
