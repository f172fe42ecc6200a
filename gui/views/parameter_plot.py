"""Points with error bars and markers for what they are worth, and the curves of laws over them."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtWidgets import QWidget

from gui.look.theme import Role, theme_of
from gui.plotting.plots import Curve, Plot
from gui.views.parameter_points import ParameterPoints

__all__ = ["MOST_POINTS", "ParameterPlot"]

Array = NDArray[np.float64]

MOST_POINTS = 2000  # drawn at once, two to a dot; all are exported, and zooming in shows them
_MARKS = (("disc", ""), ("triangle", " (doubtful)"), ("cross", " (rejected)"))


class ParameterPlot(Plot):
    """write: gives away a table of all points, drawn or not. marks: three curves a parameter."""

    def __init__(self, write: Callable[[Path], None], parent: QWidget) -> None:
        super().__init__(name="parameters", parent=parent)
        self._write = write
        self._points: Sequence[ParameterPoints] = ()
        self.marks: list[Curve] = []
        self.law_curves: list[Curve] = []
        self._through = self.curve(
            "mean of the lines", Role.REFERENCE, marker="diamond", line=False
        )

    def show_points(self, points: Sequence[ParameterPoints]) -> None:
        """Show these parameters, each in its colour: sound, doubtful and rejected ones."""
        self._points = points
        series = theme_of(self).series
        while len(self.marks) < len(_MARKS) * len(points):
            marker, _ = _MARKS[len(self.marks) % len(_MARKS)]
            self.marks.append(self.curve("", Role.DATA, marker=marker, line=False))
        for number in range(len(self.marks) // len(_MARKS)):
            marks = self.marks[len(_MARKS) * number :][: len(_MARKS)]
            for mark in marks:
                mark.set_role(series[number % len(series)])
                if number >= len(points):
                    mark.clear()
            if number < len(points):
                self._show(points[number], marks)

    def nearest(self, x: float, y: float) -> tuple[ParameterPoints, int] | None:
        """Return the parameter and the place in it that lies nearest on the screen."""
        (left, right), (bottom, top) = self.view.viewRange()
        if self.is_log:
            bottom, top = 10.0**bottom, 10.0**top
        best: tuple[float, ParameterPoints, int] | None = None
        for points in self._points:
            away = np.hypot(
                (points.x - x) / max(right - left, 1e-300),
                (points.y - y) / max(top - bottom, 1e-300),
            )
            if np.isfinite(away).any():
                place = int(np.nanargmin(away))
                if best is None or away[place] < best[0]:
                    best = (float(away[place]), points, place)
        return None if best is None else best[1:]

    def show_laws(self, curves: list[tuple[Array, Array]], points: tuple[Array, ...]) -> None:
        """Show curves, and the points that a law of all frames goes through."""
        while len(self.law_curves) < len(curves):
            self.law_curves.append(self.curve("law", Role.LAW))
        for number, curve in enumerate(self.law_curves):
            curve.show(*(curves[number] if number < len(curves) else ((), ())))
        self._through.show(*points)

    def save_numbers(self, path: Path) -> None:
        """Write the points that are shown as CSV. Raises OSError."""
        self._write(path)

    def _show(self, points: ParameterPoints, marks: list[Curve]) -> None:
        drawn = self._thinned(points) & np.isfinite(points.y)
        doubtful = ~points.is_sound & ~points.is_rejected
        kinds = (points.is_sound, doubtful, points.is_rejected)
        for mark, kind, (_, word) in zip(marks, kinds, _MARKS, strict=True):
            some = kind & drawn
            mark.name = points.name + word
            error = None if points.error is None else points.error[some]
            mark.show(points.x[some], points.y[some], error)

    def _thinned(self, points: ParameterPoints) -> NDArray[np.bool_]:
        """Return which points are drawn: of too many in view, evenly spaced ones."""
        low, high = self.view.viewRange()[0]
        everything = np.ones(points.x.size, bool)
        if points.x.size <= MOST_POINTS:
            return everything
        inside = everything if self.is_auto else (points.x >= low) & (points.x <= high)
        place = np.flatnonzero(inside)
        drawn = np.zeros(points.x.size, bool)
        drawn[place[:: max(1, -(-place.size // MOST_POINTS))]] = True
        return drawn
