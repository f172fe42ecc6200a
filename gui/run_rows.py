"""The rows of a run in memory: one for each row of the point table, counts held once, as integers.

A row shows the attempt that counts; before there is one, the latest that did not hold. What was
not measured is NaN, never zero: `state` says which rows hold counts at all.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from tempfile import TemporaryFile

import numpy as np
from numpy.typing import NDArray

from acquisition.planning.point_table import AxisColumn, PointKind
from acquisition.storage.record import FitRow

__all__ = ["IN_MEMORY_BYTES", "NOTHING", "RowBatch", "RowPlan", "RowState", "RunRows"]

Array = NDArray[np.float64]

# beyond, counts lie in a file that vanishes with the process: the system keeps of it what it can
IN_MEMORY_BYTES = 256_000_000


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


@dataclass(slots=True)
class RunRows:
    """The columns, as long as the plan; they grow with it.

    axis: number of the row's wavelength axis, 0 for none. fits: by row, without covariance.
    """

    plan: RowPlan
    attempt: NDArray[np.int64] = field(init=False)
    state: NDArray[np.uint8] = field(init=False)
    counts: NDArray[np.generic] = field(init=False)
    frames: NDArray[np.int64] = field(init=False)
    exposure_s: Array = field(init=False)
    start_s: Array = field(init=False)
    axis: NDArray[np.int64] = field(init=False)
    readings: Array = field(init=False)
    flags: dict[int, tuple[str, ...]] = field(init=False, default_factory=dict)
    fits: dict[int, FitRow] = field(init=False, default_factory=dict)
    _fitted: dict[str, Array] = field(init=False, default_factory=dict)
    _sample: NDArray[np.bool_] = field(init=False)
    _names: dict[tuple[str, ...], tuple[str, ...]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        n = self.plan.size
        self._sample = np.array([kind is PointKind.SAMPLE for kind in self.plan.kind], bool)
        self.attempt, self.frames = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self.state, self.axis = np.zeros(n, np.uint8), np.zeros(n, np.int64)
        self.exposure_s, self.start_s = np.full(n, np.nan), np.full(n, np.nan)
        self.readings = np.full((n, len(self.plan.readings)), np.nan)
        self.counts = _room((n, self.plan.pixels), np.dtype(self.plan.dtype))

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
        for point, attempt in zip(rows.tolist(), batch.attempt.tolist(), strict=True):
            if point in self.fits and self.fits[point].attempt != attempt:
                self._forget_fit(point)
        self.attempt[rows], self.state[rows] = batch.attempt, batch.state
        self.counts[rows] = batch.counts
        self.frames[rows], self.axis[rows] = batch.frames, batch.axis
        self.exposure_s[rows], self.start_s[rows] = batch.exposure_s, batch.start_s
        self.readings[rows] = batch.readings
        for point, flags in zip(rows.tolist(), batch.flags, strict=True):
            if flags:
                self.flags[point] = flags
            else:
                self.flags.pop(point, None)

    def put_fits(self, fits: Iterable[FitRow]) -> list[int]:
        """Take the fits of the attempts that are shown; return their rows."""
        taken = []
        for fit in fits:
            if self.attempt[fit.point] == fit.attempt:
                self._forget_fit(fit.point)
                self.fits[fit.point] = self._lean(fit)
                self._note_parameters(fit)
                taken.append(fit.point)
        return taken

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of all fitted parameters."""
        return tuple(self._fitted)

    def parameter(self, name: str) -> tuple[Array, Array]:
        """Return value and error of a fitted parameter in each row, NaN where there is none."""
        column = self._fitted[name]
        return column[:, 0], column[:, 1]

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
        grown.counts[kept] = self.counts
        grown.flags = self.flags
        grown.put_fits(self.fits.values())
        return grown

    def _lean(self, fit: FitRow) -> FitRow:
        """Return the fit with names shared by all rows and without covariance: a tenth of it."""
        names = self._names.setdefault(fit.names, fit.names)
        return replace(fit, names=names, covariance=_NO_COVARIANCE)

    def _note_parameters(self, fit: FitRow) -> None:
        for name, value, error in zip(fit.names, fit.values, fit.errors, strict=True):
            if name not in self._fitted:
                self._fitted[name] = np.full((len(self), 2), np.nan)
            self._fitted[name][fit.point] = value, error

    def _forget_fit(self, point: int) -> None:
        self.fits.pop(point, None)
        for column in self._fitted.values():
            column[point] = np.nan


_NO_COVARIANCE = np.empty((0, 0))


def _room(shape: tuple[int, int], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Return zeros that take memory only as they are written."""
    if shape[0] * shape[1] * dtype.itemsize <= IN_MEMORY_BYTES:
        return np.zeros(shape, dtype)
    with TemporaryFile(prefix="cryoscan-window-") as file:
        return np.memmap(file, dtype, "w+", shape=shape)
