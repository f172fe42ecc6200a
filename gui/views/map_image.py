"""The picture of a map: rows of a run over an even grid of energies or wavelengths.

The picture has the size of the plan from the beginning and fills up. Where there are more rows
than a screen can show, neighbours are averaged; a new row then changes one line of the picture.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from gui.shown.run_model import RunModel
from gui.views.spectral_unit import SpectralUnit

__all__ = ["MapImage"]

Array = NDArray[np.float64]

MOST_LINES = 1024
MOST_COLUMNS = 2048
_VALUES_AT_ONCE = 4_000_000  # added in some ten milliseconds
_PIECE = 512  # rows of them in memory at a time


class MapImage:
    """Mean counts of one frame, NaN where nothing was measured; shape (lines, columns).

    order: the rows of the run from bottom to top. x: outer edges of the grid. The rows that are
    measured already have to be added like those that come.
    """

    def __init__(self, model: RunModel, order: NDArray[np.intp], unit: SpectralUnit) -> None:
        self._model, self.order, self._unit = model, order, unit
        self._per_line = max(1, -(-order.size // MOST_LINES))
        lines = -(-order.size // self._per_line)
        self._line_of = np.full(model.size, -1)
        self._line_of[order] = np.arange(order.size) // self._per_line
        self._is_added = np.zeros(model.size, bool)
        self._columns: dict[int, NDArray[np.intp]] = {}  # by axis: pixel of each column, -1: none
        self.x = self._edges()
        width = min(model.rows.plan.pixels, MOST_COLUMNS)
        self._sum = np.zeros((lines, width))
        self._rows = np.zeros(lines, np.int64)
        self.values = np.full((lines, width), np.nan, np.float32)

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

    @property
    def rows_at_once(self) -> int:
        """How many rows can be added between two frames of the screen."""
        return max(1, _VALUES_AT_ONCE // self._model.rows.plan.pixels)

    def add(self, points: Iterable[int]) -> NDArray[np.intp]:
        """Draw these rows, and return the lines that have changed.

        One that was drawn before is taken out with all of its line first.
        """
        chosen = np.unique(np.fromiter(points, np.intp))
        chosen = chosen[(self._line_of[chosen] >= 0) & (self._model.rows.state[chosen] > 0)]
        if (again := chosen[self._is_added[chosen]]).size:
            chosen = np.union1d(chosen, self._taken_out(np.unique(self._line_of[again])))
        self._is_added[chosen] = True
        chosen = chosen[np.argsort(self._line_of[chosen], kind="stable")]
        for first in range(0, chosen.size, _PIECE):
            piece = chosen[first : first + _PIECE]
            for axis in np.unique(self._model.rows.axis[piece]).tolist():
                self._add(piece[self._model.rows.axis[piece] == axis], axis)
        lines = np.unique(self._line_of[chosen])
        self.values[lines] = self._sum[lines] / self._rows[lines, None]
        return lines

    def position(self, point: int) -> float:
        """Return how high a row lies, NaN where it is not in the picture."""
        found = np.flatnonzero(self.order == point)
        return float(found[0]) if found.size else np.nan

    def _taken_out(self, lines: NDArray[np.intp]) -> NDArray[np.intp]:
        """Empty these lines; return the rows that were in them."""
        own = np.flatnonzero(self._is_added & np.isin(self._line_of, lines))
        self._is_added[own] = False
        self._sum[lines], self._rows[lines] = 0.0, 0
        return own

    def _add(self, points: NDArray[np.intp], axis: int) -> None:
        """Add rows of one axis, in order of their lines."""
        rows, pixel, line = self._model.rows, self._pixels(axis), self._line_of[points]
        counts = rows.counts.of(points, pixel).astype(np.float32)
        frames = np.maximum(rows.frames[points], 1)
        if (frames > 1).any():
            counts /= frames[:, None]
        lines, first, number = np.unique(line, return_index=True, return_counts=True)
        total = np.add.reduceat(counts, first, axis=0, dtype=float)
        total[:, pixel < 0] = np.nan
        self._sum[lines] += total
        self._rows[lines] += number

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
            steps = np.diff(place)
            pixel = _nearest(place, steps, middle)
            step = max(steps.max(initial=1e-300), -steps.min(initial=0.0))
            outside = (middle < place.min() - step) | (middle > place.max() + step)
            self._columns[axis] = np.where(outside, -1, pixel)
        return self._columns[axis]


def _nearest(place: Array, steps: Array, wanted: Array) -> NDArray[np.intp]:
    """Return where the place lies that is nearest to each wanted one, most often without sorting.

    place: shape (n,), in any order; steps: its differences.
    """
    last = place.size - 1
    if (steps >= 0).all():
        return _nearest_of_rising(place, wanted)
    if (steps <= 0).all():
        return last - _nearest_of_rising(place[::-1], wanted)
    order = np.argsort(place)
    return order[_nearest_of_rising(place[order], wanted)]


def _nearest_of_rising(place: Array, wanted: Array) -> NDArray[np.intp]:
    above = np.searchsorted(place, wanted).clip(0, place.size - 1)
    below = (above - 1).clip(0)
    return np.where(wanted - place[below] <= place[above] - wanted, below, above)
