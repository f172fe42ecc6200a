"""What a run's journal holds, as pieces of news for the window; used by one thread.

Every query is short and nothing is written: the run does not notice.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from acquisition.configuration.config import Configuration
from acquisition.configuration.config_error import ConfigError
from acquisition.planning.point_table import Point, PointKind, PointTable
from acquisition.storage.journal import JournalReader
from acquisition.storage.journal_rows import StoredAttempt
from acquisition.storage.record import AttemptState
from acquisition.storage.run_configuration import configuration_of
from acquisition.storage.run_meta import RunMeta
from gui.run_phase import phase_of
from gui.run_rows import RowBatch, RowPlan, RowState
from gui.shown_run import Detail, RunHead, RunNews, RunPhase

if TYPE_CHECKING:
    from acquisition.fits.point_fitter import PointFitter
    from analysis.spectra.fit_curve import FitCurve

__all__ = ["JournalReading", "plan_of"]

ROWS_AT_ONCE = 512
_SETPOINTS = ("temperature_K", "voltage_V", "field_kV_per_cm", "angle_deg", "repeat")
_STATES = {
    AttemptState.REJECTED: RowState.REJECTED,
    AttemptState.ABORTED: RowState.ABORTED,
}


class JournalReading:
    """Where the thread is in the journal."""

    def __init__(self, reader: JournalReader) -> None:
        self._reader = reader
        self._attempt = self._event = self._stream = 0
        self._axes: set[int] = set()
        self._shown: dict[int, tuple[int, bool]] = {}  # point -> attempt, accepted
        self._without_fit: dict[int, None] = {}  # attempts, in order
        self._fitter: PointFitter | None = None
        self._points: tuple[Point, ...] = ()
        self._configuration, self._trouble = _configuration(reader)
        self._fits_are_read = self._is_told_all = False
        self._phase = phase_of(reader)

    def head(self) -> RunHead:
        reader, meta = self._reader, self._reader.meta
        segments = reader.segments()
        return RunHead(
            path=reader.folder,
            title=meta.title,
            sample=meta.sample,
            plan=self._plan(),
            phase=self._phase,
            configuration=self._configuration,
            utc_s=segments[0].utc - segments[0].start_s if segments else meta.created_utc,
            notes=(self._trouble,) if self._trouble else (),
        )

    def news(self) -> Iterable[RunNews]:
        """Yield what has come since the last call, in pieces."""
        progress = self._reader.progress()
        if progress.planned != len(self._points):
            yield RunNews(plan=self._plan())
        yield from self._rows(progress.last_attempt)
        yield from self._fits()
        streams = self._reader.streams(self._stream)
        events = self._reader.events(self._event)
        self._stream = streams[-1][0] if streams else self._stream
        self._event = events[-1][0] if events else self._event
        phase = phase_of(self._reader) if events or not self._is_told_all else self._phase_now()
        said = tuple(event for _, event in events)
        if any(event.code == "segment" for event in said) and self._is_told_all:
            yield from self._released()
        if streams or events or phase is not self._phase or not self._is_told_all:
            yield RunNews(
                streams=tuple(batch for _, batch in streams),
                events=said,
                phase=phase if phase is not self._phase else None,
                is_all=not self._is_told_all,
            )
        self._phase, self._is_told_all = phase, True

    def detail(self, point: int) -> Detail | None:
        """Return what lies behind a row, None where it holds nothing."""
        if point not in self._shown:
            return None
        stored = self._reader.attempt(self._shown[point][0])
        background = self._background(stored)
        return Detail(
            point=point,
            attempt=stored.id,
            frames=stored.attempt.counts,
            background=background,
            fit=self._curve(stored, background),
        )

    def look_for_old_fits(self) -> None:
        """Read all fits again with the next news: another process may have stored newer ones."""
        self._fits_are_read = False
        for point, (attempt, is_accepted) in self._shown.items():
            if is_accepted and self._points[point].kind is PointKind.SAMPLE:
                self._without_fit[attempt] = None

    def _plan(self) -> RowPlan:
        table, meta = self._reader.table(), self._reader.meta
        self._points = table.points
        return plan_of(table, meta)

    def _rows(self, last: int) -> Iterable[RunNews]:
        if last <= self._attempt:
            return
        held: list[StoredAttempt] = []
        for stored in self._reader.attempts(self._attempt):
            self._attempt = stored.id
            if self._is_to_show(stored):
                self._shown[stored.attempt.point] = (stored.id, stored.is_accepted)
                held.append(stored)
            if len(held) == ROWS_AT_ONCE:
                yield self._of_rows(held)
                held = []
        if held:
            yield self._of_rows(held)

    def _is_to_show(self, stored: StoredAttempt) -> bool:
        """Return whether this attempt says more of its point than the one shown."""
        if stored.attempt.state is AttemptState.REFERENCE:
            return False  # taken by resume to compare, not for the point
        _, is_accepted = self._shown.get(stored.attempt.point, (0, False))
        return stored.is_accepted or not is_accepted

    def _of_rows(self, held: Sequence[StoredAttempt]) -> RunNews:
        rows = {stored.attempt.point: stored for stored in held}  # of several, the last
        for point, stored in rows.items():
            if stored.is_accepted and self._points[point].kind is PointKind.SAMPLE:
                self._without_fit[stored.id] = None
        return RunNews(
            rows=_batch(list(rows.values()), self._reader.meta),
            axes=self._new_axes({stored.attempt.calibration for stored in rows.values()}),
        )

    def _new_axes(self, numbers: set[int]) -> dict[int, NDArray[np.float64]]:
        new = {number for number in numbers - self._axes if number}
        self._axes |= new
        if not new:
            return {}
        known = self._reader.calibrations()
        return {number: known[number].value for number in new if number in known}

    def _fits(self) -> Iterable[RunNews]:
        """Yield the fits of attempts that had none; of many, while the run is on, the newest."""
        if self._fits_are_read and self._phase is not RunPhase.RUNNING:
            return
        waiting = list(self._without_fit)[-ROWS_AT_ONCE if self._fits_are_read else 0 :]
        self._fits_are_read = True
        for first in range(0, len(waiting), ROWS_AT_ONCE):
            fits = self._reader.fits_of(waiting[first : first + ROWS_AT_ONCE])
            for fit in fits:
                self._without_fit.pop(fit.attempt, None)
            if fits:
                yield RunNews(fits=fits)

    def _released(self) -> Iterable[RunNews]:
        """Yield the rows that a resume has taken back, so that they are measured again."""
        accepted = self._reader.accepted()
        taken_back = [
            self._reader.attempt(key)
            for point, (key, was_accepted) in self._shown.items()
            if was_accepted and point not in accepted
        ]
        for stored in taken_back:
            self._shown[stored.attempt.point] = (stored.id, False)
        if taken_back:
            yield self._of_rows(taken_back)

    def _phase_now(self) -> RunPhase:
        """Return the phase where no event came: only a running run can change, by dying."""
        if self._phase in (RunPhase.RUNNING, RunPhase.INTERRUPTED):
            return phase_of(self._reader)
        return self._phase

    def _background(self, stored: StoredAttempt) -> NDArray[np.float64] | None:
        fitter = self._fitter_or_none()
        return None if fitter is None else fitter.background(stored)

    def _curve(
        self, stored: StoredAttempt, background: NDArray[np.float64] | None
    ) -> "FitCurve | None":
        # imported here: rows are shown before all of the analysis is loaded
        from acquisition.fits.point_fitter import detector_noise, fit_model  # noqa: PLC0415
        from analysis.spectra.fit_curve import fit_curve  # noqa: PLC0415

        fits = self._reader.fits_of([stored.id])
        fitter = self._fitter_or_none()
        config = None if self._configuration is None else self._configuration.sweep.fit
        if not fits or fitter is None or config is None or self._configuration is None:
            return None
        point = self._points[stored.attempt.point]
        return fit_curve(
            fitter.wavelength_nm(stored),
            stored.attempt.counts,
            model=fit_model(config, point.temperature_K),
            noise=detector_noise(self._configuration.station.camera),
            background=background,
            names=fits[-1].names,
            values=fits[-1].values,
        )

    def _fitter_or_none(self) -> "PointFitter | None":
        from acquisition.fits.point_fitter import PointFitter  # noqa: PLC0415 - see _curve

        if self._fitter is None and self._configuration is not None:
            sweep, station = self._configuration.sweep, self._configuration.station
            if sweep.fit is not None:
                self._fitter = PointFitter(self._reader, sweep, station.camera)
        return self._fitter


def plan_of(table: PointTable, meta: RunMeta) -> RowPlan:
    """Return the plan of a journal as columns."""
    setpoints = {
        name: np.array([_number(getattr(point, name)) for point in table.points])
        for name in _SETPOINTS
    }
    several = any(point.frames > 1 for point in table.points)
    return RowPlan(
        axes=table.axes,
        setpoints={name: column for name, column in setpoints.items() if np.isfinite(column).any()},
        kind=tuple(point.kind for point in table.points),
        readings=dict(meta.readings),
        pixels=meta.pixels,
        dtype="<i8" if several and meta.dtype.itemsize > 2 else "<i4",
    )


def _number(value: float | None) -> float:
    return np.nan if value is None else value


def _batch(rows: Sequence[StoredAttempt], meta: RunMeta) -> RowBatch:
    attempts = [stored.attempt for stored in rows]
    return RowBatch(
        point=np.array([attempt.point for attempt in attempts], np.int64),
        attempt=np.array([stored.id for stored in rows], np.int64),
        state=np.array([_state(stored) for stored in rows], np.uint8),
        counts=np.stack([meta.spectrum(attempt) for attempt in attempts]),
        frames=np.array([len(attempt.counts) for attempt in attempts], np.int64),
        exposure_s=np.array([attempt.exposure_s for attempt in attempts]),
        start_s=np.array([attempt.start_s for attempt in attempts]),
        axis=np.array([attempt.calibration for attempt in attempts], np.int64),
        readings=np.array([list(attempt.readings.values()) for attempt in attempts]).reshape(
            len(attempts), len(meta.readings)
        ),
        flags=tuple(attempt.flags for attempt in attempts),
    )


def _state(stored: StoredAttempt) -> RowState:
    if stored.is_accepted:
        return RowState.FLAGGED if stored.attempt.flags else RowState.GOOD
    return _STATES.get(stored.attempt.state, RowState.REJECTED)


def _configuration(reader: JournalReader) -> tuple[Configuration | None, str]:
    """Return what the run was measured with, or why that can't be told on this machine."""
    try:
        return configuration_of(reader.meta), ""
    except ConfigError as error:
        return None, f"fits are not drawn, its sweep or station file is not valid here: {error}"
