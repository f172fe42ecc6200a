"""A map of colours in a plot, with its bar."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PyQt6.QtCore import QRectF, Qt
from PyQt6.QtGui import QFont, QFontMetricsF

from gui.look.theme import Theme
from gui.plotting.colour_picture import ColourPicture

__all__ = ["Image", "shortened", "without_prefix"]

ROWS_LOOKED_AT = 64  # at once, for a first value
NEW_LINES = 0.02  # part of the lines after which the colours' ends are worked out anew
MOST_FOR_LEVELS = 100_003  # values looked at for the colours' ends; prime: no column is missed


def without_prefix(axis: Any) -> None:
    """Let an axis of pyqtgraph show values as they are: no kilo, no milli."""
    axis.setSIPrefixEnableRanges(())  # switching it off alone still scales by the present range
    axis.enableAutoSIPrefix(False)


def shortened(title: str, font: QFont, length_px: float) -> str:
    """Return a title that goes beside an axis of that length; the unit at its end stays longest."""
    metrics = QFontMetricsF(font)
    if not length_px or metrics.horizontalAdvance(title) <= length_px:
        return title
    words, bracket, unit = title.rpartition(" (")
    if words and metrics.horizontalAdvance(unit) < 0.6 * length_px:
        end = bracket + unit
        left_px = length_px - metrics.horizontalAdvance(end)
        return metrics.elidedText(words, Qt.TextElideMode.ElideRight, left_px) + end
    return metrics.elidedText(title, Qt.TextElideMode.ElideRight, length_px)


class Image:
    """A map of colours: values of shape (rows, columns) over evenly spaced axes, with its bar.

    shown: called with whether there is anything, each time.
    """

    def __init__(
        self,
        plot_item: Any,
        name: str,
        colours: str,
        unit: str,
        theme: Theme,
        shown: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self._shown = shown
        self.name = name
        self.values = np.empty((0, 0))
        self._x = self._y = (0.0, 1.0)
        self._title = f"{name} ({unit})" if unit else name
        self._font = QFont()
        self.item: Any = ColourPicture()
        plot_item.addItem(self.item)
        self.bar: Any = pg.ColorBarItem(
            colorMap=pg.colormap.get(colours), interactive=True, width=14
        )
        self.bar.setImageItem(self.item, insert_in=plot_item)
        self._is_levelled = True  # until the user drags the bar
        self._old_lines = self._new_lines = 0  # before and since the levels were worked out
        self.bar.sigLevelsChanged.connect(self._on_levels)
        self.dress(theme)

    def show(
        self,
        values: NDArray[Any],
        x: tuple[float, float],
        y: tuple[float, float],
        levels: tuple[float, float] | None = None,
        *,
        changed: NDArray[np.intp] | None = None,
    ) -> None:
        """Show values between the outer edges x and y; NaN is left open.

        levels: colours' ends; else the 0.5 and 99.5 percentiles, until the user sets them.
        changed: the only lines that differ from what was shown; None: all may.
        """
        is_whole = changed is None or values.shape != self.values.shape
        if is_whole or changed is None:
            self.item.setImage(values, autoLevels=False)
        else:
            self.item.renew(values, changed)
        if is_whole or (x, y) != (self._x, self._y):
            self.item.setRect(QRectF(x[0], y[0], x[1] - x[0], y[1] - y[0]))
        self.values, self._x, self._y = values, x, y
        if levels is None and self._is_levelled and self._are_levels_due(is_whole, changed):
            levels = _levels(values)
        if levels is not None:
            self._set_levels(levels)
        self._shown(self.has_values)

    @property
    def has_values(self) -> bool:
        """Whether there is a value to be seen."""
        steps = range(0, len(self.values), ROWS_LOOKED_AT)
        return any(np.isfinite(self.values[at : at + ROWS_LOOKED_AT]).any() for at in steps)

    def set_title(self, title: str) -> None:
        """Name what the colours stand for."""
        self._title = title
        self.fit_title()

    def fit_title(self) -> None:
        """Write the title, shortened where the bar is."""
        axis = self.bar.getAxis("left")
        axis.setLabel(shortened(self._title, self._font, self.bar.vb.height()))
        axis.resizeEvent()  # puts it in the middle again

    def restore_levels(self) -> None:
        """Let the colours' ends follow what is shown again, as before the user set them."""
        self._is_levelled = True
        self._old_lines = -1

    @property
    def levels(self) -> tuple[float, float]:
        """The values of the first and the last colour."""
        low, high = self.bar.levels()
        return float(low), float(high)

    def set_levels(self, low: float, high: float) -> None:
        """Let the colours end there until follow_values, as if the bar had been dragged."""
        self._set_levels((low, high))
        self._is_levelled = False

    def follow_values(self) -> None:
        """Let the colours' ends follow what is shown, from now on."""
        self.restore_levels()
        if (levels := _levels(self.values)) is not None:
            self._set_levels(levels)

    def set_colours(self, colours: str) -> None:
        """Use another colour map, by its name in pyqtgraph."""
        self.bar.setColorMap(pg.colormap.get(colours))

    def dress(self, theme: Theme, font: QFont | None = None) -> None:
        """Take the colours of the theme."""
        for side in ("left", "right", "top", "bottom"):
            axis = self.bar.getAxis(side)
            axis.setPen(pg.mkPen(theme.border))
            axis.setTextPen(pg.mkPen(theme.muted))
        for side in ("left", "right"):
            without_prefix(self.bar.getAxis(side))
        if font is not None:
            self._font = font
        self.bar.setLabel("left", self._title, color=theme.text)
        self.fit_title()
        if font is not None:
            self.bar.getAxis("right").setStyle(tickFont=font)
            self.bar.getAxis("left").label.setFont(font)
            height_px = QFontMetricsF(font).height()
            self.bar.getAxis("left").setWidth(1.5 * height_px)
            self.bar.getAxis("right").setWidth(3.0 * height_px)

    def rows(self, x_title: str, y_title: str) -> Iterator[list[object]]:
        """Yield the map as a table, its axes at the middle of each place."""
        count_y, count_x = self.values.shape[:2]
        yield [f"{self._title}; rows: {y_title}; columns: {x_title}"]
        yield ["", *_middles(self._x, count_x)]
        for middle, row in zip(_middles(self._y, count_y), self.values, strict=True):
            yield [middle, *row.tolist()]

    def _are_levels_due(self, is_whole: bool, changed: NDArray[np.intp] | None) -> bool:
        """Return whether enough has changed since they were worked out."""
        self._new_lines += 0 if changed is None else changed.size
        if not is_whole and self._new_lines <= NEW_LINES * self._old_lines:
            return False
        middle = self.values[:, self.values.shape[1] // 2]
        self._old_lines, self._new_lines = int(np.isfinite(middle).sum()), 0
        return True

    def _set_levels(self, levels: tuple[float, float]) -> None:
        self.bar.blockSignals(True)
        with suppress(ZeroDivisionError):  # a bar of no height, before the first layout
            self.bar.setLevels(levels)
        self.bar.blockSignals(False)

    def _on_levels(self, *_: object) -> None:
        self._is_levelled = False


def _levels(values: NDArray[Any]) -> tuple[float, float] | None:
    some = values.ravel()[:: max(1, values.size // MOST_FOR_LEVELS)]
    finite = some[np.isfinite(some)]
    if not finite.size:
        return None
    low, high = np.percentile(finite, (0.5, 99.5))
    return float(low), float(max(high, low + 1e-12 + abs(low) * 1e-9))


def _middles(edges: tuple[float, float], count: int) -> list[float]:
    step = (edges[1] - edges[0]) / count
    return [edges[0] + (index + 0.5) * step for index in range(count)]
