"""The picture of a map: rows of a run over an even grid of energies or wavelengths.

The picture has the size of the plan from the beginning and fills up. Where there are more rows
than a screen can show, neighbours are averaged; a new row then changes one line of the picture.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from gui.run_model import RunModel
from gui.views.spectral_unit import SpectralUnit

__all__ = ["MapImage"]

Array = NDArray[np.float64]

MOST_LINES = 1024
MOST_COLUMNS = 2048


class MapImage:
    """Mean counts of one frame, NaN where nothing was measured; shape (lines, columns).

    order: the rows of the run from bottom to top. x: outer edges of the grid.
    """

    def __init__(self, model: RunModel, order: NDArray[np.intp], unit: SpectralUnit) -> None:
        self._model, self.order, self._unit = model, order, unit
        self._per_line = max(1, -(-order.size // MOST_LINES))
        lines = -(-order.size // self._per_line)
        self._line_of = np.full(model.size, -1)
        self._line_of[order] = np.arange(order.size) // self._per_line
        self._columns: dict[int, NDArray[np.intp]] = {}  # by axis: pixel of each column, -1: none
        self.x = self._edges()
        width = min(model.rows.plan.pixels, MOST_COLUMNS)
        self.values = np.full((lines, width), np.nan, np.float32)
        self.update(order.tolist())

    @property
    def y(self) -> tuple[float, float]:
        """The outer edges, in rows: the middle of row i is at i."""
        return -0.5, len(self.values) * self._per_line - 0.5

    @property
    def axes(self) -> frozenset[int]:
        """The numbers of the wavelength axes that the grid was made for."""
        return self._axes

    def is_for(self, model: RunModel) -> bool:
        """Return whether the plan is still the one that the picture was made for."""
        return self._line_of.size == model.size

    def update(self, points: Iterable[int]) -> bool:
        """Draw these rows anew; return whether any of them is in the picture."""
        lines = {int(line) for point in points if (line := self._line_of[point]) >= 0}
        for line in lines:
            self.values[line] = self._line(line)
        return bool(lines)

    def position(self, point: int) -> float:
        """Return how high a row lies, NaN where it is not in the picture."""
        found = np.flatnonzero(self.order == point)
        return float(found[0]) if found.size else np.nan

    def _line(self, line: int) -> NDArray[np.float32]:
        rows = self._model.rows
        own = self.order[line * self._per_line : (line + 1) * self._per_line]
        own = own[rows.state[own] > 0]
        if not own.size:
            return np.full(self.values.shape[1], np.nan, np.float32)
        mean: NDArray[np.float32] = np.mean([self._spread(int(row)) for row in own], axis=0)
        return mean

    def _spread(self, point: int) -> NDArray[np.float32]:
        rows = self._model.rows
        pixel = self._pixels(int(rows.axis[point]))
        counts: NDArray[np.float32] = (
            rows.counts[point][pixel] / max(int(rows.frames[point]), 1)
        ).astype(np.float32)
        counts[pixel < 0] = np.nan
        return counts

    def _edges(self) -> tuple[float, float]:
        rows = self._model.rows
        used = set(np.unique(rows.axis[self.order][rows.state[self.order] > 0]).tolist())
        self._axes = frozenset(used)
        known = [place for number in used if (place := self._place(number)) is not None]
        if not known:
            return -0.5, rows.plan.pixels - 0.5
        low, high = min(place.min() for place in known), max(place.max() for place in known)
        half = 0.5 * (high - low) / max(rows.plan.pixels - 1, 1)
        return float(low - half), float(high + half)

    def _place(self, axis: int) -> Array | None:
        model = self._model
        return (model.energies if self._unit is SpectralUnit.EV else model.wavelengths).get(axis)

    def _pixels(self, axis: int) -> NDArray[np.intp]:
        """Return the nearest pixel of each column, -1 beyond the ends of the axis."""
        if axis not in self._columns:
            width = self.values.shape[1]
            place = self._place(axis)
            edges = np.linspace(*self.x, width + 1)
            middle = 0.5 * (edges[1:] + edges[:-1])
            if place is None:
                place = np.arange(float(self._model.rows.plan.pixels))
            rising = np.argsort(place)
            between = 0.5 * (place[rising][1:] + place[rising][:-1])
            pixel = rising[np.searchsorted(between, middle)]
            step = np.abs(np.diff(place)).max(initial=1e-300)
            outside = (middle < place.min() - step) | (middle > place.max() + step)
            self._columns[axis] = np.where(outside, -1, pixel)
        return self._columns[axis]
