"""The rows of a run in memory: one for each row of the point table, counts held once, as integers.

A row shows the attempt that counts; before there is one, the latest that did not hold. What was
not measured is NaN, never zero: `state` says which rows hold counts at all.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from acquisition.planning.point_table import AxisColumn, PointKind
from acquisition.storage.journal_columns import FitColumns
from gui.shown.row_counts import RowCounts
from gui.shown.row_fits import RowFits

__all__ = ["NOTHING", "RowBatch", "RowPlan", "RowState", "RunRows"]

Array = NDArray[np.float64]


class RowState(IntEnum):
    """What a row of the point table holds."""

    NOT_MEASURED = 0
    GOOD = 1
    FLAGGED = 2  # accepted, with a reason for doubt
    REJECTED = 3  # its conditions did not hold
    ABORTED = 4

    @property
    def is_accepted(self) -> bool:
        return self in (RowState.GOOD, RowState.FLAGGED)


@dataclass(frozen=True, slots=True)
class RowPlan:
    """What is known of the rows before they are measured.

    setpoints: quantity -> (rows,), NaN where a row has none. kind: of each row. labels: of each
    row, where a foreign file has nothing better. readings: channel -> unit.
    """

    axes: tuple[AxisColumn, ...]
    setpoints: Mapping[str, Array]
    kind: Sequence[PointKind]
    readings: Mapping[str, str]
    pixels: int
    dtype: str = "<i4"
    labels: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        return len(self.kind)

    def setpoint(self, quantity: str, point: int) -> float | None:
        """Return what a row is asked for, None where it has no such setpoint."""
        value = self.setpoints[quantity][point] if quantity in self.setpoints else np.nan
        return None if np.isnan(value) else float(value)


NOTHING = RowPlan(axes=(), setpoints={}, kind=(), readings={}, pixels=0)


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Some rows as they were read; arrays of shape (k,), counts (k, pixels): frames added up.

    readings: (k, channels), in the order of the plan. flags: of each row.
    """

    point: NDArray[np.int64]
    attempt: NDArray[np.int64]
    state: NDArray[np.uint8]
    counts: NDArray[np.generic]
    frames: NDArray[np.int64]
    exposure_s: Array
    start_s: Array
    axis: NDArray[np.int64]
    readings: Array
    flags: tuple[tuple[str, ...], ...]

    def pieces(self, rows: int) -> Iterator["RowBatch"]:
        """Yield the same in batches of so many rows; nothing is copied."""
        for first in range(0, len(self.point), rows):
            some = slice(first, first + rows)
            yield RowBatch(**{name: getattr(self, name)[some] for name in _COLUMNS})


_COLUMNS = tuple(one.name for one in fields(RowBatch))


@dataclass(slots=True)
class RunRows:
    """The columns, as long as the plan; they grow with it.

    axis: number of the row's wavelength axis, 0 for none. fits: by row, without covariance.
    """

    plan: RowPlan
    attempt: NDArray[np.int64] = field(init=False)
    state: NDArray[np.uint8] = field(init=False)
    counts: RowCounts = field(init=False)
    frames: NDArray[np.int64] = field(init=False)
    exposure_s: Array = field(init=False)
    start_s: Array = field(init=False)
    axis: NDArray[np.int64] = field(init=False)
    readings: Array = field(init=False)
    flags: dict[int, tuple[str, ...]] = field(init=False, default_factory=dict)
    fits: RowFits = field(init=False)
    _sample: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        n = self.plan.size
        self._sample = np.array([kind is PointKind.SAMPLE for kind in self.plan.kind], bool)
        self.attempt, self.frames = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self.state, self.axis = np.zeros(n, np.uint8), np.zeros(n, np.int64)
        self.exposure_s, self.start_s = np.full(n, np.nan), np.full(n, np.nan)
        self.readings = np.full((n, len(self.plan.readings)), np.nan)
        self.counts = RowCounts((n, self.plan.pixels), np.dtype(self.plan.dtype))
        self.fits = RowFits(n)

    def __len__(self) -> int:
        return self.plan.size

    @property
    def is_measured(self) -> NDArray[np.bool_]:
        """Whether each row holds counts."""
        measured: NDArray[np.bool_] = self.state > RowState.NOT_MEASURED
        return measured

    @property
    def is_sample(self) -> NDArray[np.bool_]:
        return self._sample.copy()

    @property
    def is_accepted(self) -> NDArray[np.bool_]:
        return np.isin(self.state, (RowState.GOOD, RowState.FLAGGED))

    def put(self, batch: RowBatch) -> None:
        """Show these attempts; a row's fit belongs to its attempt and goes with it."""
        rows = batch.point
        self.fits.forget_others(rows, batch.attempt)
        self.attempt[rows], self.state[rows] = batch.attempt, batch.state
        self.counts.put(rows, batch.counts)
        self.frames[rows], self.axis[rows] = batch.frames, batch.axis
        self.exposure_s[rows], self.start_s[rows] = batch.exposure_s, batch.start_s
        self.readings[rows] = batch.readings
        for point, flags in zip(rows.tolist(), batch.flags, strict=True):
            if flags:
                self.flags[point] = flags
            else:
                self.flags.pop(point, None)

    def put_fits(self, fits: Iterable[FitColumns]) -> list[int]:
        """Take the fits of the attempts that are shown; return their rows."""
        return [point for one in fits for point in self.fits.put(one, self.attempt)]

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of all fitted parameters."""
        return self.fits.parameters

    def parameter(self, name: str) -> tuple[Array, Array]:
        """Return value and error of a fitted parameter in each row, NaN where there is none."""
        return self.fits.parameter(name)

    def reading(self, channel: str) -> Array:
        """Return a reading of each row, NaN where there is none."""
        names = list(self.plan.readings)
        if channel not in names:
            return np.full(len(self), np.nan)
        column: Array = self.readings[:, names.index(channel)]
        return column

    def setpoint(self, quantity: str) -> Array:
        return self.plan.setpoints.get(quantity, np.full(len(self), np.nan))

    def position(self, quantity: str) -> Array:
        """Return where each row lies along an axis: read back where it was, else as asked for."""
        read = self.reading(quantity)
        return np.where(np.isfinite(read), read, self.setpoint(quantity))

    def grow(self, plan: RowPlan) -> "RunRows":
        """Return the same rows with room for a plan that has become longer."""
        grown = RunRows(plan)
        kept = slice(0, len(self))
        for name in ("attempt", "state", "frames", "exposure_s", "start_s", "axis", "readings"):
            getattr(grown, name)[kept] = getattr(self, name)
        for first in range(0, len(self), _ROWS_AT_ONCE):
            some = np.arange(first, min(first + _ROWS_AT_ONCE, len(self)))
            grown.counts.put(some, self.counts.of(some))
        grown.flags = self.flags
        grown.fits = self.fits.grown(len(grown))
        return grown


_ROWS_AT_ONCE = 512
