"""Where each point of a run lies in its n-dimensional array.

The live view and the final file lay their arrays out by this, and so agree.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from acquisition.planning.point_table import AxisColumn, Point, PointKind, PointTable

__all__ = ["AXIS_NAMES", "RunArray"]

# setpoint field of Point -> name in a file; readings carry their unit in the name, axes don't
AXIS_NAMES: Mapping[str, str] = {
    "temperature_K": "temperature",
    "field_kV_per_cm": "electric_field",
    "voltage_V": "voltage",
    "angle_deg": "polarization_angle",
    "repeat": "repeat",
    "index": "point",
}
# an array with more empty cells than this per point is laid out as a list instead
_SPARSEST = 4


@dataclass(frozen=True, slots=True)
class RunArray:
    """The axes of a run's array, and the row (C order) of each point.

    A table whose points don't fill a grid, one point to a cell, has the single axis "index".
    """

    axes: tuple[AxisColumn, ...]
    sample: Mapping[int, int]  # point -> row in the array
    backgrounds: Mapping[int, int]  # point -> row in the list of background frames
    is_grid: bool

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(axis.values) for axis in self.axes)

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each axis in a file."""
        return tuple(AXIS_NAMES.get(axis.quantity, axis.quantity) for axis in self.axes)

    @classmethod
    def of(cls, table: PointTable, spare: int = 0) -> "RunArray":
        """Lay out the table; with spare rows for points to come it is a list, not a grid."""
        sample = [point for point in table.points if point.kind is PointKind.SAMPLE]
        other = [point for point in table.points if point.kind is not PointKind.SAMPLE]
        backgrounds = {point.index: row for row, point in enumerate(other)}
        if spare == 0 and _fills_grid(sample, table.shape):
            rows = {point.index: _row(point.cell, table.shape) for point in sample}
            return cls(table.axes, rows, backgrounds, is_grid=True)
        end = len(table.points)
        indices = (*(point.index for point in sample), *range(end, end + spare))
        rows = {point.index: row for row, point in enumerate(sample)}
        axis = AxisColumn("index", "", tuple(map(float, indices)))
        return cls((axis,), rows, backgrounds, is_grid=False)


def _fills_grid(points: Sequence[Point], shape: tuple[int, ...]) -> bool:
    """Whether every point has a cell of its own, and few cells are empty."""
    cells = {point.cell for point in points}
    return (
        bool(shape)
        and len(cells) == len(points)
        and all(len(cell) == len(shape) for cell in cells)
        and all(0 <= i < n for cell in cells for i, n in zip(cell, shape, strict=True))
        and math.prod(shape) <= _SPARSEST * len(points)
    )


def _row(cell: tuple[int, ...], shape: tuple[int, ...]) -> int:
    row = 0
    for index, length in zip(cell, shape, strict=True):
        row = row * length + index
    return row
