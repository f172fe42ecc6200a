"""Words at places of a plot: what a line in it was taken for."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from PyQt6.QtGui import QFont

from gui.look.theme import Theme
from gui.plotting.plot_curve import heights

__all__ = ["PlotWords"]

UPON = 20  # in front of every curve


class PlotWords:
    """Short words, each above its place, in the colour of text; they do not change the view.

    shown: word, x and y of each.
    """

    def __init__(self, plot_item: Any, *, theme: Theme, font: QFont, is_log: bool = False) -> None:
        self._plot_item = plot_item
        self._theme = theme
        self._font = font
        self._is_log = is_log
        self.shown: tuple[tuple[str, float, float], ...] = ()
        self._items: list[Any] = []

    def show(self, words: Sequence[tuple[str, float, float]]) -> None:
        """Show word, x and y of each, in the units of the axes."""
        self.shown = tuple(words)
        while len(self._items) < len(self.shown):
            item = pg.TextItem(anchor=(0.5, 1.0))
            item.setZValue(UPON)
            self._plot_item.addItem(item, ignoreBounds=True)
            self._items.append(item)
        self._draw()

    def set_log(self, is_log: bool) -> None:
        """Place them on an axis of that kind."""
        self._is_log = is_log
        self._draw()

    def dress(self, theme: Theme, font: QFont) -> None:
        """Take the colours of the theme."""
        self._theme, self._font = theme, font
        self._draw()

    def _draw(self) -> None:
        for i, item in enumerate(self._items):
            item.setVisible(i < len(self.shown))
            if i < len(self.shown):
                word, x, y = self.shown[i]
                height = float(heights(np.array([y]), is_log=self._is_log)[0])
                item.setText(word, color=self._theme.text)
                item.setFont(self._font)
                item.setVisible(bool(np.isfinite([x, height]).all()))
                item.setPos(x, height if np.isfinite(height) else 0.0)
