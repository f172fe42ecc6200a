"""The one description of a run: its rows, in the order in which they are measured.

Check, price, preview, execute, resume, queue and window all read this table. It is expanded
without hardware (acquisition.planning.expand), frozen in the journal before the first row
is measured, and only ever grows.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum

__all__ = ["AxisColumn", "Point", "PointKind", "PointTable"]


class PointKind(Enum):
    """What a row is measured for."""

    SAMPLE = "sample"
    DARK = "dark"  # the camera's own shutter closed: detector only
    BLOCKED = "blocked"  # laser shutter closed, camera open: stray light


@dataclass(frozen=True, slots=True)
class Point:
    """One row. Setpoints that are None belong to no axis and are left as they are."""

    index: int
    kind: PointKind
    exposure_s: float
    frames: int
    temperature_K: float | None = None
    voltage_V: float | None = None  # at the electrodes; what the port is asked for
    field_kV_per_cm: float | None = None  # nominal, from voltage, gap and geometry
    angle_deg: float | None = None  # polarization angle in the laboratory frame, 0 to 360
    repeat: int = 0
    grating: int = 0
    centre_nm: float = 0.0
    target_counts: float | None = None  # the exposure is chosen for this peak, capped
    cell: tuple[int, ...] = ()  # place in the n-dimensional array of the run; () for backgrounds
    block: int = 0  # rows of one block are only comparable when measured in one go
    repeats_block: bool = False  # resume measures such a block again as a whole


@dataclass(frozen=True, slots=True)
class AxisColumn:
    """One dimension of the run's array: its quantity, unit and sorted values."""

    quantity: str  # a setpoint field of Point
    unit: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PointTable:
    """The rows of a run in measuring order, and the axes of the array they fill."""

    axes: tuple[AxisColumn, ...]
    points: tuple[Point, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the length of each axis, outermost first."""
        return tuple(len(axis.values) for axis in self.axes)

    def to_json(self) -> str:
        """Return the whole table as JSON; equal tables give equal text."""
        return json.dumps(
            {"axes": [asdict(axis) for axis in self.axes], "points": self._rows()}, sort_keys=True
        )

    def sha256(self) -> str:
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @classmethod
    def from_json(cls, text: str) -> "PointTable":
        document = json.loads(text)
        return cls(
            axes=tuple(_axis(row) for row in document["axes"]),
            points=tuple(point_from_row(row) for row in document["points"]),
        )

    def _rows(self) -> Sequence[Mapping[str, object]]:
        return [point_to_row(point) for point in self.points]


def point_to_row(point: Point) -> dict[str, object]:
    """Return the point as JSON-serialisable values."""
    return {**asdict(point), "kind": point.kind.value, "cell": list(point.cell)}


def point_from_row(row: Mapping[str, object]) -> Point:
    """Return the point that point_to_row described."""
    fields = dict(row)
    fields["kind"] = PointKind(fields["kind"])
    fields["cell"] = tuple(fields["cell"])  # type: ignore[arg-type]
    return Point(**fields)  # type: ignore[arg-type]


def _axis(row: Mapping[str, object]) -> AxisColumn:
    values = row["values"]
    assert isinstance(values, list)  # noqa: S101
    return AxisColumn(str(row["quantity"]), str(row["unit"]), tuple(float(v) for v in values))
