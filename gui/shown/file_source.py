"""A file opened whole: a finished run (.nxs), or spectra of other programs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acquisition.configuration.config import Configuration
from acquisition.configuration.config_error import ConfigError
from acquisition.configuration.lamp_profiles import profile_at
from acquisition.fits.point_fitter import detector_noise, fit_model
from acquisition.fits.zone_fit import whole_model
from acquisition.planning.point_table import AxisColumn, PointKind, PointTable
from acquisition.storage.journal_columns import FitColumns
from acquisition.storage.record import Event, Level, StreamBatch
from acquisition.storage.run_array import RunArray
from acquisition.storage.run_configuration import configuration_of
from acquisition.storage.run_meta import RunMeta
from analysis.readers.measured_spectra import MeasuredSpectra
from analysis.readers.read_any import read_any
from analysis.readers.run_file import RunFile
from analysis.readers.run_record import RecordedFit, RunRecord, read_record
from analysis.spectra.fit_curve import FitCurve, fit_curve
from analysis.wavelength.units import vacuum_from_air_nm
from gui.shown.journal_reading import plan_of
from gui.shown.run_rows import RowBatch, RowPlan, RowState
from gui.shown.shown_run import Detail, RunHead, RunNews, RunPhase

__all__ = ["OpenedFile", "open_file"]

Array = NDArray[np.float64]

_VALUES_AT_ONCE = 500_000


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """All of a file; run: for what lies behind each row of a finished run."""

    head: RunHead
    news: RunNews
    run: "_FinishedRun | None" = None

    def pieces(self) -> Iterator[RunNews]:
        """Yield the news, in pieces that the window can take between two frames of the screen."""
        assert self.news.rows is not None  # noqa: S101 - a file is rows
        yield RunNews(axes=self.news.axes)
        pixels = self.news.rows.counts.shape[1]
        for batch in self.news.rows.pieces(max(1, _VALUES_AT_ONCE // pixels)):
            yield RunNews(rows=batch)
        yield replace(self.news, rows=None, axes={})

    def told(self) -> "OpenedFile":
        """Return what is needed for details, without what stands in the file."""
        if self.run is None:
            return self
        file = self.run.file
        run = replace(self.run, file=replace(file, spectra=file.spectra[:0].copy()))
        return OpenedFile(self.head, RunNews(), run)

    def detail(self, point: int) -> Detail | None:
        """Return what lies behind a row, None where it holds nothing."""
        if self.run is not None:
            return self.run.detail(point)
        assert self.news.rows is not None  # noqa: S101 - a foreign file is nothing but rows
        return Detail(point, int(self.news.rows.attempt[point]), self.news.rows.counts[point][None])


def open_file(path: Path) -> OpenedFile:
    """Read the file. Raises OSError, ValueError naming it and what is wrong."""
    if path.suffix.lower() == ".nxs":
        try:
            record = read_record(path)
        except (ValueError, OSError):
            return _foreign(read_any(path))  # which says best what the file is, or lacks
        return _finished(_FinishedRun.of(RunFile.open(path), record))
    return _foreign(read_any(path))


# --- a finished run


@dataclass(frozen=True, slots=True)
class _FinishedRun:
    """File, plan and configuration, to look deeper into a row."""

    file: RunFile
    record: RunRecord
    table: PointTable
    meta: RunMeta
    array: RunArray
    configuration: Configuration | None
    trouble: str
    fits: Mapping[int, RecordedFit]  # by attempt

    @classmethod
    def of(cls, file: RunFile, record: RunRecord) -> "_FinishedRun":
        table = PointTable.from_json(record.plan_json)
        meta = RunMeta.from_rows(json.loads(record.meta_json))
        configuration, trouble = _configuration(meta)
        fits = {fit.attempt: fit for fit in record.fits}
        return cls(file, record, table, meta, RunArray.of(table), configuration, trouble, fits)

    def detail(self, point: int) -> Detail | None:
        attempt = int(self.attempts()[point])
        if not attempt:
            return None
        frames = self.file.frames_of(attempt).counts
        background = self._background(point, attempt)
        curve = self._curve(point, attempt, frames, background)
        return Detail(point, attempt, frames, background, curve)

    def attempts(self) -> NDArray[np.int64]:
        """Return the accepted attempt of each point, 0 where there is none."""
        found = np.zeros(len(self.table.points), np.int64)
        for rows, attempt in (
            (self.array.sample, self.file.attempt.ravel()),
            (self.array.backgrounds, self.file.backgrounds.attempt),
        ):
            found[list(rows)] = attempt[list(rows.values())]
        return found

    def wavelength_nm(self, point: int) -> Array:
        axis = self.file.wavelength_nm
        if axis.ndim == 1:
            return axis
        by_point: Array = axis.reshape(-1, axis.shape[-1])[self.array.sample[point]]
        return by_point

    def _background(self, point: int, attempt: int) -> Array | None:
        """Return the last matching background that was measured before, as the fit took it."""
        own, attempts = self.table.points[point], self.attempts()
        for kind in (PointKind.BLOCKED, PointKind.DARK):
            matching = [
                int(attempts[other.index])
                for other in self.table.points
                if other.kind is kind
                and (other.grating, other.centre_nm) == (own.grating, own.centre_nm)
                and other.exposure_s == own.exposure_s
                and 0 < attempts[other.index] < attempt
            ]
            if matching:
                return np.asarray(np.median(self.file.frames_of(max(matching)).counts, axis=0))
        return None

    def _curve(
        self, point: int, attempt: int, frames: NDArray[np.generic], background: Array | None
    ) -> FitCurve | None:
        fit = self.fits.get(attempt)
        if fit is None or self.configuration is None or self.configuration.sweep.fit is None:
            return None
        row, config = self.table.points[point], self.configuration.sweep.fit
        profile = profile_at(self.meta.lamp_profiles, row.grating, row.centre_nm)
        return fit_curve(
            self.wavelength_nm(point),
            frames,
            model=fit_model(config, row.temperature_K),
            noise=detector_noise(self.configuration.station.camera),
            background=background,
            names=fit.names,
            values=fit.values,
            whole=whole_model(config, row.temperature_K, profile),
            reason=fit.reason,
        )


def _finished(run: _FinishedRun) -> OpenedFile:
    file, record = run.file, run.record
    plan = plan_of(run.table, run.meta)
    counts_type = np.result_type(file.spectra, file.backgrounds.spectra)
    head = RunHead(
        path=file.path,
        title=run.meta.title,
        sample=run.meta.sample,
        plan=replace(plan, dtype=counts_type.str),
        phase=RunPhase.FILE,
        configuration=run.configuration,
        utc_s=record.utc_s,
        notes=(run.trouble,) if run.trouble else (),
    )
    axes, axis_of = _axes(run)
    news = RunNews(
        rows=_finished_rows(run, plan, axis_of),
        axes=axes,
        fits=_fits(record.fits),
        streams=tuple(
            StreamBatch(channel, unit, time_s, value)
            for channel, (unit, time_s, value) in record.streams.items()
        ),
        events=tuple(
            Event(event.time_s, event.utc, Level(event.level), event.code, event.text)
            for event in record.events
        ),
        is_all=True,
    )
    return OpenedFile(head, news, run)


def _finished_rows(run: _FinishedRun, plan: RowPlan, axis_of: NDArray[np.int64]) -> RowBatch:
    file, attempts = run.file, run.attempts()
    points = np.flatnonzero(attempts)
    sample = np.array([p for p in points.tolist() if p in run.array.sample], np.int64)
    other = np.array([p for p in points.tolist() if p in run.array.backgrounds], np.int64)
    row = np.array([run.array.sample[p] for p in sample.tolist()], np.int64)
    background = np.array([run.array.backgrounds[p] for p in other.tolist()], np.int64)

    def joined(of_sample: NDArray[np.generic], of_others: NDArray[np.generic]) -> Array:
        return np.concatenate([of_sample[row], of_others[background]])

    def flat(array: NDArray[np.generic]) -> NDArray[np.generic]:
        return array.reshape(file.attempt.size, *array.shape[file.attempt.ndim :])

    nothing = np.full(len(file.backgrounds.attempt), np.nan)
    flags = tuple(
        run.record.flags.get(int(attempts[p]), ()) for p in (*sample.tolist(), *other.tolist())
    )
    readings = [joined(flat(file.readings[name]), nothing) for name in plan.readings]
    return RowBatch(
        point=np.concatenate([sample, other]),
        attempt=joined(flat(file.attempt), file.backgrounds.attempt).astype(np.int64),
        state=np.array([RowState.FLAGGED if f else RowState.GOOD for f in flags], np.uint8),
        counts=joined(flat(file.spectra), file.backgrounds.spectra),
        frames=joined(flat(file.frames), file.backgrounds.frames).astype(np.int64),
        exposure_s=joined(flat(file.exposure_s), file.backgrounds.exposure_s),
        start_s=joined(flat(file.time_s), nothing),
        axis=np.concatenate([axis_of[row], np.full(len(other), axis_of.max(initial=0))]),
        readings=np.array(readings).T.reshape(len(points), len(plan.readings)),
        flags=flags,
    )


def _axes(run: _FinishedRun) -> tuple[dict[int, Array], NDArray[np.int64]]:
    """Return the wavelength axes by number from 1, and the number for each row of the array."""
    axis = run.file.wavelength_nm
    size = run.file.attempt.size
    if axis.ndim == 1:
        return {1: _vacuum(axis, run.file.medium)}, np.ones(size, np.int64)
    different, number = np.unique(axis.reshape(size, -1), axis=0, return_inverse=True)
    axes = {i: _vacuum(one, run.file.medium) for i, one in enumerate(different, start=1)}
    return axes, number.reshape(size).astype(np.int64) + 1


def _fits(fits: Sequence[RecordedFit]) -> tuple[FitColumns, ...]:
    """Return the fits as columns, those with the same parameters together."""
    groups: dict[tuple[str, str, tuple[str, ...]], list[RecordedFit]] = {}
    for fit in fits:
        groups.setdefault((fit.model, fit.version, fit.names), []).append(fit)
    return tuple(
        FitColumns(
            *kind,
            attempt=np.array([fit.attempt for fit in own], np.int64),
            point=np.array([fit.point for fit in own], np.int64),
            verdict=tuple(fit.verdict for fit in own),
            reason=tuple(fit.reason for fit in own),
            values=np.array([fit.values for fit in own]),
            errors=np.array([fit.errors for fit in own]),
            chi2_per_dof=np.array([fit.chi2_per_dof for fit in own]),
        )
        for kind, own in groups.items()
    )


def _configuration(meta: RunMeta) -> tuple[Configuration | None, str]:
    try:
        return configuration_of(meta), ""
    except ConfigError as error:
        return None, f"fits are not drawn, its sweep or station file is not valid here: {error}"


# --- spectra of other programs


def _foreign(spectra: MeasuredSpectra) -> OpenedFile:
    size, pixels = spectra.counts.shape
    path = Path(spectra.source)
    quantity, unit, places = _places(spectra)
    medium = (
        ("the file does not say whether its wavelengths are in air or vacuum: taken as vacuum",)
        if spectra.medium == "unknown"
        else ()
    )
    head = RunHead(
        path=path,
        title=path.name,
        sample=spectra.format,
        plan=RowPlan(
            axes=(AxisColumn(quantity, unit, tuple(np.unique(places).tolist())),),
            setpoints={quantity: places},
            kind=(PointKind.SAMPLE,) * size,
            readings={},
            pixels=pixels,
            dtype=spectra.counts.dtype.str,
            labels=spectra.labels,
        ),
        phase=RunPhase.FILE,
        notes=(*spectra.notes, *medium),
    )
    rows = RowBatch(
        point=np.arange(size),
        attempt=np.arange(1, size + 1),
        state=np.full(size, RowState.GOOD, np.uint8),
        counts=spectra.counts,
        frames=np.ones(size, np.int64),
        exposure_s=np.full(size, _exposure_s(spectra)),
        start_s=np.full(size, np.nan),
        axis=np.ones(size, np.int64),
        readings=np.zeros((size, 0)),
        flags=((),) * size,
    )
    axes = {1: _vacuum(spectra.wavelength_nm, spectra.medium)}
    return OpenedFile(head, RunNews(rows=rows, axes=axes, is_all=True))


def _places(spectra: MeasuredSpectra) -> tuple[str, str, Array]:
    """Return quantity, unit and place of each spectrum: a voltage in its label, else its number."""
    parts = [label.split() for label in spectra.labels]
    if all(len(part) == 2 and part[1] == "V" for part in parts):
        try:
            return "voltage_V", "V", np.array([float(part[0]) for part in parts])
        except ValueError:
            pass  # a label that only looks like a voltage
    return "spectrum", "", np.arange(float(len(parts)))


def _exposure_s(spectra: MeasuredSpectra) -> float:
    try:
        return float(spectra.settings.get("exposure_s", "nan"))
    except ValueError:
        return float("nan")  # the file says something that is no number: not known


def _vacuum(wavelength_nm: Array, medium: str) -> Array:
    if medium != "air":
        return wavelength_nm
    good = np.isfinite(wavelength_nm) & (wavelength_nm > 0)
    vacuum = np.full(wavelength_nm.shape, np.nan)
    vacuum[good] = vacuum_from_air_nm(wavelength_nm[good])
    return vacuum
