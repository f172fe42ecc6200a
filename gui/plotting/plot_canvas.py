"""Where a plot is painted, and the linked cursor over it."""

from typing import Any

import numpy as np
import pyqtgraph as pg
from PyQt6.QtCore import QLineF, QPointF, QRectF
from PyQt6.QtGui import QPainter, QPaintEvent, QPen, QPixmap, QRegion

__all__ = ["PlotCanvas"]

_BESIDE_px = 2  # a line is exposed with this much to both sides


class PlotCanvas(pg.GraphicsLayoutWidget):  # type: ignore[misc]  # it has no types
    """A step of the cursor paints its lines over a picture of the plot: nothing is drawn anew.

    The picture is taken when the cursor moves for a second time over a plot that has not changed:
    a plot that changes with every step, as while a run is followed, would never use it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.view: Any = None
        self.cross: tuple[float | None, float | None] = (None, None)
        self._pen = QPen()
        self._lines: list[QLineF] = []  # as they were painted last
        self._stepped = QRegion()  # where nothing but the cursor asks to be painted
        self._still: QPixmap | None = None
        self._was_step = False

    def show_cross(self, x: float | None, y: float | None) -> None:
        """Move the cursor to x and y of the view; what is None or no number is not drawn."""
        cross = (_finite(x), _finite(y))
        if cross != self.cross:
            self.cross = cross
            self._expose([*self._lines, *self._lines_now()])

    def set_cross_pen(self, pen: QPen) -> None:
        self._pen = pen
        self._expose(self._lines)

    def draw_cross(self, painter: QPainter) -> None:
        """Draw the cursor's lines where they are on the canvas."""
        self._draw(painter, self._lines_now())

    def paintEvent(self, event: QPaintEvent | None) -> None:
        assert event is not None  # noqa: S101 - Qt's stubs allow None, Qt does not
        is_step = event.region().subtracted(self._stepped).isEmpty()
        self._stepped = QRegion()
        is_second, self._was_step = self._was_step and is_step, is_step
        if is_second:
            self._still = self._still or self._taken()
        else:
            self._still = None
            super().paintEvent(event)
        self._lines = self._lines_now()
        painter = QPainter(self.viewport())
        if self._still is not None:
            painter.drawPixmap(0, 0, self._still)  # only what is exposed is copied
        self._draw(painter, self._lines)
        painter.end()

    # --- inside

    def _draw(self, painter: QPainter, lines: list[QLineF]) -> None:
        painter.setPen(self._pen)
        for line in lines:
            painter.drawLine(line)

    def _taken(self) -> QPixmap:
        """Return the picture of the plot without the cursor."""
        place = self.viewport().rect()
        ratio = self.viewport().devicePixelRatioF()
        picture = QPixmap(place.size() * ratio)
        picture.setDevicePixelRatio(ratio)
        painter = QPainter(picture)
        painter.setRenderHints(self.renderHints())
        self.render(painter, QRectF(place), place)
        painter.end()
        return picture

    def _lines_now(self) -> list[QLineF]:
        """Return where the lines are on the canvas, as far as they are in sight."""
        if self.view is None or self.cross == (None, None):
            return []
        room = QRectF(self.mapFromScene(self.view.sceneBoundingRect()).boundingRect())
        x, y = self.cross
        at = self.view.mapViewToScene(QPointF(x or 0.0, y or 0.0))
        lines = []
        if x is not None and room.left() <= at.x() <= room.right():
            lines.append(QLineF(round(at.x()), room.top(), round(at.x()), room.bottom()))
        if y is not None and room.top() <= at.y() <= room.bottom():
            lines.append(QLineF(room.left(), round(at.y()), room.right(), round(at.y())))
        return lines

    def _expose(self, lines: list[QLineF]) -> None:
        for line in lines:
            corners = QRectF(line.p1(), line.p2()).toRect()
            strip = corners.adjusted(-_BESIDE_px, -_BESIDE_px, _BESIDE_px, _BESIDE_px)
            self._stepped += strip
            self.viewport().update(strip)


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
