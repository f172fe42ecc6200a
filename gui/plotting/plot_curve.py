"""One line of a plot, with markers and error bars."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import ArrayLike, NDArray
from PyQt6.QtCore import Qt

from gui.look.theme import Role, Theme

__all__ = ["MARKERS", "Curve"]

MARKER_px = 6
MARKERS = {
    "none": None,
    "disc": "o",
    "square": "s",
    "triangle": "t1",
    "diamond": "d",
    "cross": "x",
    "down": "t",
}


class Curve:
    """A line whose colour comes from its role.

    x, y, error: what is shown, in the units of the axes; error is one standard deviation.
    shown: called with whether there is anything, each time.
    """

    def __init__(
        self,
        plot_item: Any,
        name: str,
        role: Role | str,
        *,
        theme: Theme,
        marker: str = "none",
        line: bool = True,
        is_log: bool = False,
        shown: Callable[[bool], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.x = self.y = np.empty(0)
        self.error: NDArray[np.float64] | None = None
        self._plot_item = plot_item
        self._role = role
        self._theme = theme
        self._line = line
        self._is_log = is_log
        self._scale = 1.0
        self._shown = shown
        self.item: Any = pg.PlotDataItem(
            symbol=MARKERS[marker], symbolSize=MARKER_px, connect="finite"
        )
        self.item.setZValue(_HEIGHT.get(role, 5) if isinstance(role, Role) else 5)
        self._bars: Any = None
        self._has_bars = False
        plot_item.addItem(self.item)
        self.dress(theme)

    def show(self, x: ArrayLike, y: ArrayLike, error: ArrayLike | None = None) -> None:
        """Show these values; NaN leaves a gap."""
        self.x = np.asarray(x, dtype=np.float64)
        self.y = np.asarray(y, dtype=np.float64)
        self.error = None if error is None else np.asarray(error, dtype=np.float64)
        self._draw()
        self._shown(self.x.size > 0)

    def clear(self) -> None:
        if self.x.size:
            self.show((), ())

    def set_visible(self, is_visible: bool) -> None:
        self.item.setVisible(is_visible)
        if self._bars is not None:
            self._bars.setVisible(is_visible and self._has_bars)

    def set_role(self, role: Role | str) -> None:
        """Give it another colour."""
        if role != self._role:
            self._role = role
            self.dress(self._theme)

    def set_log(self, is_log: bool) -> None:
        """Draw for an axis of that kind; what is not positive has no place on a logarithmic one."""
        self._is_log = is_log
        self._draw()

    def set_scale(self, scale: float) -> None:
        """Draw markers and lines for text of that size; 1 is right at 96 dpi."""
        self._scale = scale
        self.item.setSymbolSize(MARKER_px * scale)
        self.dress(self._theme)

    def dress(self, theme: Theme) -> None:
        """Take the colours of the theme."""
        self._theme = theme
        colour = theme.line(self._role) if isinstance(self._role, Role) else self._role
        style = Qt.PenStyle.DashLine if self._role in _DASHED else Qt.PenStyle.SolidLine
        width = max(1, round((2 if self._role in _HEAVY else 1) * self._scale * 0.8))
        self.item.setPen(pg.mkPen(colour, width=width, style=style) if self._line else None)
        self.item.setSymbolBrush(pg.mkBrush(colour))
        self.item.setSymbolPen(pg.mkPen(theme.base, width=0.5))
        if self._bars is not None:
            self._bars.setOpts(pen=pg.mkPen(colour, width=max(1, round(0.8 * self._scale))))

    def drop(self) -> None:
        """Leave the plot for good."""
        self._plot_item.removeItem(self.item)
        if self._bars is not None:
            self._plot_item.removeItem(self._bars)

    def _draw(self) -> None:
        self.item.setData(self.x, heights(self.y, is_log=self._is_log))
        if self.error is not None and self.x.size:
            self._draw_bars(self.error)
        elif self._bars is not None:
            self._lay_bars(_EMPTY, _EMPTY, _EMPTY, _EMPTY)

    def _draw_bars(self, error: NDArray[np.float64]) -> None:
        if self._bars is None:
            self._bars = pg.ErrorBarItem(x=_EMPTY, y=_EMPTY, top=_EMPTY, bottom=_EMPTY, beam=0.0)
            self._plot_item.addItem(self._bars)
            self.dress(self._theme)
        middle = heights(self.y, is_log=self._is_log)
        top = heights(self.y + error, is_log=self._is_log) - middle
        bottom = middle - heights(self.y - error, is_log=self._is_log)
        bottom = np.where(np.isfinite(bottom), bottom, 0.0)  # a bar to below zero is left out
        good = np.isfinite(self.x) & np.isfinite(middle) & np.isfinite(top)
        self._lay_bars(self.x[good], middle[good], top[good], bottom[good])

    def _lay_bars(self, *bars: NDArray[np.float64]) -> None:
        """Draw bars from x, y, top and bottom; none at all lie at 0, 0 for pyqtgraph."""
        self._bars.setData(**dict(zip(("x", "y", "top", "bottom"), bars, strict=True)))
        self._has_bars = bars[0].size > 0
        self._bars.setVisible(self._has_bars and self.item.isVisible())


_EMPTY = np.empty(0)
_HEIGHT = {Role.REFERENCE: 1, Role.PEAK_HOLD: 2, Role.DATA: 5, Role.COMPONENT: 8, Role.FIT: 10}
_DASHED = (Role.COMPONENT, Role.REFERENCE, Role.PEAK_HOLD)
_HEAVY = (Role.FIT, Role.LAW)


def heights(y: NDArray[np.float64], *, is_log: bool) -> NDArray[np.float64]:
    """Return where values stand on the axis; NaN where they have no place."""
    if not is_log:
        return y
    return np.log10(y, where=y > 0, out=np.full_like(y, np.nan))
