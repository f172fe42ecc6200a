"""What a run's journal holds, as pieces of news for the window; used by one thread.

Every query is short and nothing is written: the run does not notice.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from acquisition.configuration.config import Configuration
from acquisition.configuration.config_error import ConfigError
from acquisition.planning.point_table import AxisColumn, PointKind, PointTable
from acquisition.storage.journal import JournalReader
from acquisition.storage.journal_columns import AttemptColumns, FitColumns
from acquisition.storage.journal_rows import StoredAttempt
from acquisition.storage.record import AttemptState
from acquisition.storage.run_configuration import configuration_of
from acquisition.storage.run_meta import RunMeta
from gui.shown.run_phase import TURNS, phase_after, phase_of
from gui.shown.run_rows import NOTHING, RowBatch, RowPlan, RowState
from gui.shown.shown_run import Detail, RunHead, RunNews, RunPhase

if TYPE_CHECKING:
    from acquisition.fits.point_fitter import PointFitter
    from analysis.spectra.fit_curve import FitCurve

__all__ = ["JournalReading", "plan_of"]

FITS_AT_ONCE = 512  # looked for at a time; while a run is on, no more are waited for
_SETPOINTS = ("temperature_K", "voltage_V", "field_kV_per_cm", "angle_deg", "repeat")
_PLANNED = (*_SETPOINTS, "kind", "frames")
_STATES = {
    AttemptState.REJECTED: RowState.REJECTED,
    AttemptState.ABORTED: RowState.ABORTED,
}


class JournalReading:
    """Where the thread is in the journal."""

    def __init__(self, reader: JournalReader) -> None:
        self._reader, self._columns = reader, reader.columns
        self._attempt = self._event = self._stream = 0
        self._version = -1  # of the journal, when fits were last looked for
        self._axes: set[int] = set()
        self._plan: RowPlan = NOTHING
        self._shown = np.zeros(0, np.int64)  # by point: the attempt, 0 for none
        self._is_accepted = np.zeros(0, bool)
        self._without_fit: dict[int, None] = {}  # attempts, in order
        self._fitter: PointFitter | None = None
        self._configuration, self._trouble = _configuration(reader)
        self._reads_all_fits = self._is_told_all = False
        self._phase = phase_of(reader)

    def head(self) -> RunHead:
        reader, meta = self._reader, self._reader.meta
        segments = reader.segments()
        return RunHead(
            path=reader.folder,
            title=meta.title,
            sample=meta.sample,
            plan=self._read_plan(),
            phase=self._phase,
            configuration=self._configuration,
            utc_s=segments[0].utc - segments[0].start_s if segments else meta.created_utc,
            notes=(self._trouble,) if self._trouble else (),
        )

    def news(self) -> Iterable[RunNews]:
        """Yield what has come since the last call, in pieces."""
        planned, last = self._reader.extent()
        if planned != self._plan.size:
            yield RunNews(plan=self._read_plan())
        yield from self._rows(last)
        yield from self._late_fits()
        yield from self._streams()
        events = self._reader.events(self._event)
        self._event = events[-1][0] if events else self._event
        said = tuple(event for _, event in events)
        phase = self._phase_now([event.code for event in said])
        if any(event.code == "segment" for event in said) and self._is_told_all:
            yield from self._released()
        if events or phase is not self._phase or not self._is_told_all:
            yield RunNews(
                events=said,
                phase=phase if phase is not self._phase else None,
                is_all=not self._is_told_all,
            )
        self._phase, self._is_told_all = phase, True

    def detail(self, point: int) -> Detail | None:
        """Return what lies behind a row, None where it holds nothing."""
        if not 0 <= point < self._plan.size or not self._shown[point]:
            return None
        stored = self._reader.attempt(int(self._shown[point]))
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
        self._reads_all_fits = True

    def _read_plan(self) -> RowPlan:
        reader = self._reader
        self._plan = _row_plan(reader.axes(), self._columns.plan(_PLANNED), reader.meta)
        more = self._plan.size - self._shown.size
        self._shown = np.append(self._shown, np.zeros(more, np.int64))
        self._is_accepted = np.append(self._is_accepted, np.zeros(more, bool))
        return self._plan

    def _rows(self, last: int) -> Iterable[RunNews]:
        while self._attempt < last and len(found := self._columns.attempts(self._attempt, last)):
            self._attempt = int(found.id[-1])
            if (places := self._to_show(found)).size:
                yield self._of_rows(found, places)

    def _to_show(self, found: AttemptColumns) -> NDArray[np.intp]:
        """Return which attempts say more of their points than what is shown, one for each point."""
        chosen: dict[int, int] = {}
        for place, point in enumerate(found.point.tolist()):
            if found.state[place] is AttemptState.REFERENCE:
                continue  # taken by resume to compare, not for the point
            is_accepted = found.is_accepted[place]
            if is_accepted or not self._is_accepted[point]:
                chosen[point] = place
                self._is_accepted[point] = is_accepted
        places = np.array(list(chosen.values()), np.intp)
        self._shown[found.point[places]] = found.id[places]
        return places

    def _of_rows(self, found: AttemptColumns, places: NDArray[np.intp]) -> RunNews:
        accepted = places[found.is_accepted[places]]
        kind = self._plan.kind
        fitted = [
            key
            for key, point in zip(
                found.id[accepted].tolist(), found.point[accepted].tolist(), strict=True
            )
            if kind[point] is PointKind.SAMPLE
        ]
        self._without_fit |= dict.fromkeys(fitted)
        return RunNews(
            rows=_batch(found, places),
            axes=self._new_axes(set(found.calibration[places].tolist())),
            fits=self._fits_of(fitted),
        )

    def _new_axes(self, numbers: set[int]) -> dict[int, NDArray[np.float64]]:
        new = {number for number in numbers - self._axes if number}
        self._axes |= new
        if not new:
            return {}
        known = self._reader.calibrations()
        return {number: known[number].value for number in new if number in known}

    def _fits_of(self, attempts: Sequence[int]) -> tuple[FitColumns, ...]:
        """Return the fits of these attempts; those that have none are waited for."""
        fits = self._columns.fits_of(attempts) if attempts else ()
        for one in fits:
            for attempt in one.attempt.tolist():
                self._without_fit.pop(attempt, None)
        for attempt in list(self._without_fit)[:-FITS_AT_ONCE]:
            del self._without_fit[attempt]  # the newest come first: these are read when asked for
        return fits

    def _late_fits(self) -> Iterable[RunNews]:
        """Yield the fits that have come since their rows: of the newest rows, or of all."""
        waiting: list[int] = []
        if self._without_fit and (version := self._reader.version()) != self._version:
            waiting = list(self._without_fit)  # also after the run's end: its last fits come then
            self._version = version
        if self._reads_all_fits:
            is_sample = np.array([kind is PointKind.SAMPLE for kind in self._plan.kind], bool)
            waiting = np.sort(self._shown[self._is_accepted & is_sample]).tolist()
        self._reads_all_fits = False
        for first in range(0, len(waiting), FITS_AT_ONCE):
            if fits := self._fits_of(waiting[first : first + FITS_AT_ONCE]):
                yield RunNews(fits=fits)

    def _streams(self) -> Iterable[RunNews]:
        while True:
            before = self._stream
            self._stream, batches = self._columns.streams(before)
            if self._stream == before:
                return
            yield RunNews(streams=batches)

    def _released(self) -> Iterable[RunNews]:
        """Yield the rows that a resume has taken back, so that they are measured again."""
        accepted = self._reader.accepted()
        was_accepted = np.flatnonzero(self._is_accepted).tolist()
        taken_back = np.array([point for point in was_accepted if point not in accepted], np.intp)
        self._is_accepted[taken_back] = False
        for first in range(0, taken_back.size, FITS_AT_ONCE):
            keys = self._shown[taken_back[first : first + FITS_AT_ONCE]]
            found = self._columns.attempts_of(keys.tolist())
            yield self._of_rows(found, np.arange(len(found)))

    def _phase_now(self, codes: Sequence[str]) -> RunPhase:
        """Return the phase after these events; without one, a run can only change by dying."""
        turns = [code for code in codes if code in TURNS]
        if turns and self._is_told_all:
            return phase_after(turns[-1], self._reader)
        if self._phase in (RunPhase.RUNNING, RunPhase.INTERRUPTED) or not self._is_told_all:
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
        from acquisition.fits.zone_fit import whole_model  # noqa: PLC0415
        from analysis.spectra.fit_curve import fit_curve  # noqa: PLC0415

        fits = self._reader.fits_of([stored.id])
        fitter = self._fitter_or_none()
        config = None if self._configuration is None else self._configuration.sweep.fit
        if not fits or fitter is None or config is None or self._configuration is None:
            return None
        temperature_K = self._plan.setpoint("temperature_K", stored.attempt.point)
        return fit_curve(
            fitter.wavelength_nm(stored),
            stored.attempt.counts,
            model=fit_model(config, temperature_K),
            noise=detector_noise(self._configuration.station.camera),
            background=background,
            names=fits[-1].names,
            values=fits[-1].values,
            whole=whole_model(config, temperature_K, fitter.profile(stored)),
            reason=fits[-1].reason,
        )

    def _fitter_or_none(self) -> "PointFitter | None":
        from acquisition.fits.point_fitter import PointFitter  # noqa: PLC0415 - see _curve

        if self._fitter is None and self._configuration is not None:
            sweep, station = self._configuration.sweep, self._configuration.station
            if sweep.fit is not None:
                self._fitter = PointFitter(self._reader, sweep, station.camera)
        return self._fitter


def plan_of(table: PointTable, meta: RunMeta) -> RowPlan:
    """Return the plan of a run as columns."""
    columns = {name: [getattr(point, name) for point in table.points] for name in _PLANNED}
    return _row_plan(table.axes, columns, meta)


def _row_plan(
    axes: tuple[AxisColumn, ...], columns: Mapping[str, Sequence[Any]], meta: RunMeta
) -> RowPlan:
    setpoints = {name: np.array(columns[name], float) for name in _SETPOINTS}  # None becomes NaN
    kinds = {kind: kind for kind in PointKind} | {kind.value: kind for kind in PointKind}
    several = any(frames > 1 for frames in columns["frames"])
    return RowPlan(
        axes=axes,
        setpoints={name: column for name, column in setpoints.items() if np.isfinite(column).any()},
        kind=tuple(kinds[kind] for kind in columns["kind"]),
        readings=dict(meta.readings),
        pixels=meta.pixels,
        dtype="<i8" if several and meta.dtype.itemsize > 2 else "<i4",
    )


def _batch(found: AttemptColumns, places: NDArray[np.intp]) -> RowBatch:
    is_all = np.array_equal(places, np.arange(len(found)))  # the counts are not copied then
    rows = slice(None) if is_all else places
    return RowBatch(
        point=found.point[rows],
        attempt=found.id[rows],
        state=np.array([_state(found, place) for place in places.tolist()], np.uint8),
        counts=found.counts[rows],
        frames=found.frames[rows],
        exposure_s=found.exposure_s[rows],
        start_s=found.start_s[rows],
        axis=found.calibration[rows],
        readings=found.readings[rows],
        flags=tuple(found.flags[place] for place in places.tolist()),
    )


def _state(found: AttemptColumns, place: int) -> RowState:
    if found.is_accepted[place]:
        return RowState.FLAGGED if found.flags[place] else RowState.GOOD
    return _STATES.get(found.state[place], RowState.REJECTED)


def _configuration(reader: JournalReader) -> tuple[Configuration | None, str]:
    """Return what the run was measured with, or why that can't be told on this machine."""
    try:
        return configuration_of(reader.meta), ""
    except ConfigError as error:
        return None, f"fits are not drawn, its sweep or station file is not valid here: {error}"
