"""The NeXus tree of a run, read from its journal alone: NXoptical_spectroscopy.

Everything needed to redo the analysis is in it: single raw frames of every attempt (accepted or
not, sample, dark and blocked) in the order of acquisition, readings, monitor streams, events,
calibrations, plan, sweep and station as they were written, versions, fits.

The n-dimensional array `spectra` is the sum of each accepted attempt's raw frames. Its last axis is
the wavelength, ascending, if all accepted spectra share one calibration. Otherwise it is `pixel`,
and wavelength_by_setting[spectrograph_setting] is the wavelength of each spectrum.
Times are run time in s; provenance/segments says at which UTC each stretch of execution began.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.planning.point_table import Point
from acquisition.storage.journal import JournalReader
from acquisition.storage.journal_rows import Calibration, StoredAttempt, row_crc32
from acquisition.storage.nexus_tree import Attributes, Blocks, Field, Group, Node, nexus_name
from acquisition.storage.record import Attempt, AttemptState, FitRow
from acquisition.storage.run_array import AXIS_NAMES, RunArray
from acquisition.storage.run_meta import RunMeta
from acquisition.storage.spectral_axis import SpectralAxis
from acquisition.storage.storage_errors import StorageError

__all__ = ["FILE_SCHEMA", "run_tree"]

FILE_SCHEMA = "1.0.0"
_DEFINITION = {
    "version": "v2026.01",
    "URL": "https://manual.nexusformat.org/classes/applications/NXoptical_spectroscopy.html",
}
_ROWS_PER_BLOCK = 64
_STATUS = ("not measured", "ok", "ok, with flags", "rejected", "aborted")
_SETPOINT_UNITS = {
    "temperature_K": "K",
    "field_kV_per_cm": "kV/cm",
    "voltage_V": "V",
    "angle_deg": "deg",
    "repeat": "",
}
_MEASUREMENTS = {
    "K": "temperature",
    "V": "voltage",
    "A": "current",
}  # by unit, as NXsensor has them


@dataclass(frozen=True, slots=True)
class _Run:
    """The journal, and what of it is small enough to be held."""

    journal: JournalReader
    meta: RunMeta
    points: Sequence[Point]
    array: RunArray
    attempts: tuple[StoredAttempt, ...]  # without counts
    first_frames: NDArray[np.int64]  # of each attempt in raw_data; one more for the end
    accepted: Mapping[int, int]  # point -> place in `attempts`
    calibrations: Mapping[int, Calibration]

    @classmethod
    def of(cls, journal: JournalReader) -> "_Run":
        table = journal.table()
        attempts, frames = [], [0]
        for stored in journal.attempts():
            _check_crc32(stored)
            frames.append(len(stored.attempt.counts))
            attempts.append(replace(stored, attempt=_without_counts(stored)))
        places = {stored.id: i for i, stored in enumerate(attempts)}
        return cls(
            journal=journal,
            meta=journal.meta,
            points=table.points,
            array=RunArray.of(table),
            attempts=tuple(attempts),
            first_frames=np.cumsum(frames),
            accepted={point: places[key] for point, key in journal.accepted().items()},
            calibrations=journal.calibrations(),
        )

    def column(self, name: str) -> NDArray[Any]:
        """Return one field of every attempt."""
        return np.array([getattr(stored.attempt, name) for stored in self.attempts])


def run_tree(journal: JournalReader) -> Group:
    """Return the whole file as a tree of values.

    Raises StorageError if an attempt in the journal does not match its checksum.
    """
    run = _Run.of(journal)
    start_utc, end_utc = _span_utc(journal)
    entry: dict[str, Node] = {
        "definition": Field("NXoptical_spectroscopy", _DEFINITION),
        "title": Field(run.meta.title),
        "start_time": Field(_iso(start_utc)),
        "end_time": Field(_iso(end_utc)),
        "duration": Field(round(end_utc - start_utc), {"units": "s"}),
        "identifier_experiment": Field(run.meta.run_uuid),
        "experiment_type": Field("photoluminescence"),
        "program_name": Field("cryoscan", {"version": run.meta.app_version}),
        "sample": _sample(run.meta),
        "instrument": _instrument(run, start_utc),
        "data": _data(run),
        **_backgrounds(run),
        "attempts": _attempts(run),
        "events": _events(journal),
        "calibrations": _calibrations(run),
        **_fits(run),
        "provenance": _provenance(run),
    }
    if run.meta.operator:
        entry["user"] = Group("NXuser", {"name": Field(run.meta.operator)})
    root = {"default": "entry", "creator": f"cryoscan {run.meta.app_version}"}
    return Group("NXroot", {"entry": Group("NXentry", entry, {"default": "data"})}, root)


def _data(run: _Run) -> Group:
    """Return the sample's spectra as an n-dimensional array, with what was measured around them."""
    array, names = run.array, run.array.names
    axes: dict[str, Node] = {
        name: Field(_axis_values(axis.values, axis.quantity), _axis_attrs(axis.unit, axis.quantity))
        for name, axis in zip(names, array.axes, strict=True)
    }
    spectral = _spectral_axis(run)
    spectra = Blocks(
        (*array.shape, run.meta.pixels),
        _sum_dtype(run, array.sample),
        lambda: _spectra(run, array.sample, array.shape, spectral),
        {"units": "counts", "interpretation": "spectrum", "long_name": "raw counts, frames added"},
        (*names, spectral.name),
    )
    columns = {
        name: replace(column, value=column.value.reshape(array.shape), dims=names)
        for name, column in _columns(run, array.sample, int(np.prod(array.shape))).items()
    }
    setpoints = {} if array.is_grid else _setpoints(run, names)
    members = {"spectra": spectra, **axes, **spectral.fields(names), **columns, **setpoints}
    attrs = _plot(members, "spectra", (*names, spectral.name))
    return Group("NXdata", members, _with_readings(run, attrs))


def _backgrounds(run: _Run) -> dict[str, Node]:
    """Return the dark and laser-blocked spectra, in the order of the plan."""
    rows = run.array.backgrounds
    if not rows:
        return {}
    spectral = _spectral_axis(run)
    spectra = Blocks(
        (len(rows), run.meta.pixels),
        _sum_dtype(run, rows),
        lambda: _spectra(run, rows, (len(rows),), spectral),
        {"units": "counts", "interpretation": "spectrum", "long_name": "raw counts, frames added"},
        ("background", "pixel"),
    )
    kinds = [run.points[point].kind.value for point in rows]
    members: dict[str, Node] = {
        "spectra": spectra,
        "background": Field(np.arange(len(rows))),
        "pixel": Field(spectral.order),
        "kind": Field(kinds, dims=("background",)),
        "point": Field(np.array(list(rows)), dims=("background",)),
        **{
            name: replace(column, dims=("background",))
            for name, column in _columns(run, rows, len(rows)).items()
        },
    }
    attrs = _plot(members, "spectra", ("background", "pixel"))
    return {"backgrounds": Group("NXdata", members, _with_readings(run, attrs))}


def _columns(run: _Run, rows: Mapping[int, int], size: int) -> dict[str, Field]:
    """Return what belongs to each row beside its spectrum, as flat arrays of `size`."""
    found = {row: run.accepted[point] for point, row in rows.items() if point in run.accepted}
    at, place = np.array(list(found), int), np.array(list(found.values()), int)
    frames = np.diff(run.first_frames)

    def spread(values: NDArray[Any], missing: float, **attrs: str) -> Field:
        column = np.full(size, missing, values.dtype if missing == 0 else np.float64)
        if len(at):
            column[at] = values[place]
        return Field(column, attrs)

    readings = _readings(run)
    return {
        "attempt": spread(np.array([s.id for s in run.attempts], np.int64), 0),
        "crc32": spread(np.array([s.crc32 for s in run.attempts], np.uint32), 0),
        "status": Field(_status(run, rows, size), {"meaning": list(_STATUS)}),
        "frames": spread(frames, 0, long_name="raw frames added up"),
        "segment": spread(run.column("segment"), 0),
        "exposure": spread(run.column("exposure_s"), np.nan, units="s", long_name="of one frame"),
        "time": spread(run.column("start_s"), np.nan, units="s", long_name="run time at the start"),
        "end_time": spread(run.column("end_s"), np.nan, units="s", long_name="run time at the end"),
        **{
            nexus_name(channel): spread(readings[:, i], np.nan, units=unit)
            for i, (channel, unit) in enumerate(run.meta.readings.items())
        },
    }


def _status(run: _Run, rows: Mapping[int, int], size: int) -> NDArray[np.uint8]:
    """Return per row the place in _STATUS; without an accepted attempt the last one decides."""
    status = np.zeros(size, np.uint8)
    tried = {
        AttemptState.REJECTED: _STATUS.index("rejected"),
        AttemptState.ABORTED: _STATUS.index("aborted"),
    }
    for stored in run.attempts:
        if stored.attempt.point in rows:
            status[rows[stored.attempt.point]] = tried.get(stored.attempt.state, 0)
    for point, place in run.accepted.items():
        if point in rows:
            status[rows[point]] = 2 if run.attempts[place].attempt.flags else 1
    return status


def _spectra(
    run: _Run, rows: Mapping[int, int], shape: tuple[int, ...], spectral: SpectralAxis
) -> Iterator[tuple[tuple[int | slice, ...], NDArray[Any]]]:
    """Yield the spectra in blocks along the last axis of rows; zeros where none was accepted."""
    point_of = {row: point for point, row in rows.items() if point in run.accepted}
    dtype = _sum_dtype(run, rows)
    for outer in np.ndindex(*shape[:-1]):
        for start in range(0, shape[-1], _ROWS_PER_BLOCK):
            stop = min(start + _ROWS_PER_BLOCK, shape[-1])
            first = int(np.ravel_multi_index((*outer, start), shape))
            block = np.zeros((stop - start, run.meta.pixels), dtype)
            for i in range(stop - start):
                if first + i in point_of:
                    block[i] = _spectrum(run, point_of[first + i])[spectral.order]
            yield (*outer, slice(start, stop)), block


def _spectrum(run: _Run, point: int) -> NDArray[Any]:
    stored = run.journal.attempt(run.attempts[run.accepted[point]].id)
    return run.meta.spectrum(stored.attempt)


def _sum_dtype(run: _Run, rows: Mapping[int, int]) -> np.dtype[Any]:
    """Return the type of spectra: as delivered, or i8 where frames are added up."""
    frames = np.diff(run.first_frames)
    several = any(frames[run.accepted[point]] > 1 for point in rows if point in run.accepted)
    return np.dtype("<i8") if several else run.meta.dtype


def _spectral_axis(run: _Run) -> SpectralAxis:
    used = {
        row: run.calibrations.get(run.attempts[run.accepted[point]].attempt.calibration)
        for point, row in sorted(run.array.sample.items())
        if point in run.accepted
    }
    return SpectralAxis.of(run.meta.pixels, run.array.shape, used)


def _sample(meta: RunMeta) -> Group:
    card: dict[str, Node] = {nexus_name(key): Field(text) for key, text in meta.sample_card.items()}
    members: dict[str, Node] = {"name": Field(meta.sample)}
    if card:
        members["card"] = Group("NXcollection", card)
    return Group("NXsample", members)


def _instrument(run: _Run, start_utc: float) -> Group:
    meta = run.meta
    laser = {"parameter_reliability": Field("nominal")}
    if meta.laser_nm is not None:
        laser["incident_wavelength"] = Field(meta.laser_nm, {"units": "nm"})
    if meta.laser_power_W is not None:
        laser["average_power"] = Field(meta.laser_power_W, {"units": "W"})
    members: dict[str, Node] = {
        "beam_incident": Group("NXbeam", laser),
        "source_laser": Group("NXsource", {"type": Field("Laser")}),
        "detector_ccd": _detector(run),
        "software_cryoscan": Group(
            "NXprogram", {"program": Field("cryoscan", {"version": meta.app_version})}
        ),
        **{
            f"device_{nexus_name(role)}": Group("NXfabrication", {"model": Field(model)})
            for role, model in meta.instruments.items()
        },
        **_sensors(run.journal, start_utc),
    }
    return Group("NXinstrument", members)


def _detector(run: _Run) -> Group:
    """Return the detector with every frame of every attempt, in the order of acquisition."""
    frames = int(run.first_frames[-1])
    times = [s.attempt.frame_start_s for s in run.attempts]
    attempt = np.repeat([s.id for s in run.attempts], np.diff(run.first_frames)).astype(np.int64)
    raw: dict[str, Node] = {
        "raw": Blocks(
            (frames, run.meta.pixels),
            run.meta.dtype,
            lambda: _raw_frames(run),
            {"units": "counts", "interpretation": "spectrum"},
            ("frame", "pixel"),
        ),
        "frame": Field(np.arange(frames)),
        "pixel": Field(np.arange(run.meta.pixels)),
        "attempt": Field(attempt, {"long_name": "id in /entry/attempts"}, ("frame",)),
        "start": Field(np.concatenate([[], *times]), {"units": "s"}, ("frame",)),
    }
    return Group(
        "NXdetector",
        {
            "detector_channel_type": Field("multichannel"),
            "detector_type": Field("CCD"),
            "raw_data": Group("NXdata", raw, _plot(raw, "raw", ("frame", "pixel"))),
        },
    )


def _raw_frames(run: _Run) -> Iterator[tuple[tuple[int | slice, ...], NDArray[Any]]]:
    """Yield the frames in blocks of about a chunk at least, in the order of acquisition."""
    held: list[NDArray[Any]] = []
    first = done = 0
    for stored in run.journal.attempts():
        held.append(stored.attempt.counts)
        done += len(stored.attempt.counts)
        if done - first >= _ROWS_PER_BLOCK:
            yield (slice(first, done),), np.concatenate(held)
            first, held = done, []
    if held:
        yield (slice(first, done),), np.concatenate(held)


def _sensors(journal: JournalReader, start_utc: float) -> dict[str, Node]:
    """Return one NXsensor per monitor channel, with everything it read."""
    batches: dict[tuple[str, str], list[tuple[NDArray[Any], NDArray[Any]]]] = {}
    for _, batch in journal.streams():
        key = (batch.channel, batch.unit)
        batches.setdefault(key, []).append((batch.time_s, batch.value))
    sensors: dict[str, Node] = {}
    for (channel, unit), pieces in batches.items():
        time_s = np.concatenate([piece[0] for piece in pieces])
        value = np.concatenate([piece[1] for piece in pieces])
        log: dict[str, Node] = {
            "time": Field(time_s, {"units": "s", "start": _iso(start_utc)}),
            "value": Field(value, {"units": unit}),
        }
        good = value[np.isfinite(value)]
        sensor: dict[str, Node] = {
            "name": Field(channel),
            "value": Field(float(good.mean()) if len(good) else np.nan, {"units": unit}),
            "value_log": Group("NXlog", log),
        }
        if unit in _MEASUREMENTS:
            sensor["measurement"] = Field(_MEASUREMENTS[unit])
        # "temperature_K" becomes temperature_sensor, the name NeXus has for it
        sensors[f"{nexus_name(channel.removesuffix('_' + unit))}_sensor"] = Group(
            "NXsensor", sensor
        )
    return sensors


def _attempts(run: _Run) -> Group:
    """Return the table of all attempts, accepted or not; their frames lie in raw_data."""
    accepted = {run.attempts[place].id for place in run.accepted.values()}
    columns: dict[str, Node] = {
        "id": Field(np.array([s.id for s in run.attempts], np.int64)),
        "point": Field(run.column("point")),
        "state": Field([s.attempt.state.value for s in run.attempts]),
        "accepted": Field(np.array([s.id in accepted for s in run.attempts], np.uint8)),
        "segment": Field(run.column("segment")),
        "start": Field(run.column("start_s"), {"units": "s"}),
        "end": Field(run.column("end_s"), {"units": "s"}),
        "exposure": Field(run.column("exposure_s"), {"units": "s"}),
        "first_frame": Field(run.first_frames[:-1], {"long_name": "row of raw_data/raw"}),
        "frames": Field(np.diff(run.first_frames)),
        "calibration": Field(run.column("calibration"), {"long_name": "0: none"}),
        "flags": Field([" ".join(s.attempt.flags) for s in run.attempts]),
        "note": Field([s.attempt.note for s in run.attempts]),
        "readings": Field(
            _readings(run),
            {"columns": list(run.meta.readings), "units": list(run.meta.readings.values())},
        ),
        "crc32": Field(
            np.array([s.crc32 for s in run.attempts], np.uint32),
            {"of": "raw counts, then frame start times, then readings, little endian"},
        ),
    }
    return Group("NXcollection", columns)


def _events(journal: JournalReader) -> Group:
    events = [event for _, event in journal.events()]
    return Group(
        "NXcollection",
        {
            "time": Field(np.array([e.time_s for e in events], float), {"units": "s"}),
            "utc": Field(np.array([e.utc for e in events], float), {"units": "s since 1970"}),
            "level": Field([e.level.value for e in events]),
            "code": Field([e.code for e in events]),
            "text": Field([e.text for e in events]),
            "details": Field([json.dumps(dict(e.details), sort_keys=True) for e in events]),
        },
    )


def _calibrations(run: _Run) -> Group:
    members = {
        f"{nexus_name(calibration.kind)}_{key}": Group(
            "NXcollection",
            {
                "id": Field(key),
                "kind": Field(calibration.kind),
                "time": Field(calibration.time_s, {"units": "s"}),
                "value": Field(calibration.value),
                "details": Field(json.dumps(calibration.details, sort_keys=True)),
            },
        )
        for key, calibration in run.calibrations.items()
    }
    return Group("NXcollection", members)


def _fits(run: _Run) -> dict[str, Node]:
    """Return one group per model and version, each row a fit; parameters of all rows joined."""
    found: dict[tuple[str, str], list[FitRow]] = {}
    for fit in run.journal.fits():
        found.setdefault((fit.model, fit.version), []).append(fit)
    return {
        f"fit_{nexus_name(model)}_v{nexus_name(version)}": _fit(run, model, version, fits)
        for (model, version), fits in found.items()
    }


def _fit(run: _Run, model: str, version: str, fits: Sequence[FitRow]) -> Group:
    names = list(dict.fromkeys(name for fit in fits for name in fit.names))
    columns = [[names.index(name) for name in fit.names] for fit in fits]
    values = np.full((len(fits), len(names)), np.nan)
    errors, covariance = values.copy(), np.full((len(fits), len(names), len(names)), np.nan)
    for i, (fit, column) in enumerate(zip(fits, columns, strict=True)):
        values[i, column], errors[i, column] = fit.values, fit.errors
        covariance[i][np.ix_(column, column)] = fit.covariance
    rows: dict[str, Node] = {
        "attempt": Field(np.array([fit.attempt for fit in fits], np.int64)),
        "point": Field(np.array([fit.point for fit in fits], np.int64)),
        "verdict": Field([fit.verdict for fit in fits]),
        "reason": Field([fit.reason for fit in fits]),
        "chi2_per_dof": Field(np.array([fit.chi2_per_dof for fit in fits])),
        "values": Field(values, {"columns": names}),
        "errors": Field(errors, {"columns": names}),
        "covariance": Field(covariance, {"columns": names}),
    }
    members: dict[str, Node] = {
        "program": Field("cryoscan", {"version": version}),
        "model": Field(model),
        "rows": Group("NXcollection", rows),
        "result": _fit_array(run, fits, names, values, errors),
    }
    return Group("NXprocess", members)


def _fit_array(
    run: _Run,
    fits: Sequence[FitRow],
    names: Sequence[str],
    values: NDArray[np.float64],
    errors: NDArray[np.float64],
) -> Group:
    """Return the fits of accepted attempts laid out like the spectra."""
    shape, axes = run.array.shape, run.array.names
    row_of = {
        run.attempts[run.accepted[point]].id: row
        for point, row in run.array.sample.items()
        if point in run.accepted
    }
    rows = np.array([row_of.get(fit.attempt, -1) for fit in fits], int)

    def spread(column: NDArray[np.float64]) -> Field:
        array = np.full(shape, np.nan)
        array.flat[rows[rows >= 0]] = column[rows >= 0]
        return Field(array, dims=axes)

    members: dict[str, Node] = {
        name: Field(_axis_values(axis.values, axis.quantity), _axis_attrs(axis.unit, axis.quantity))
        for name, axis in zip(axes, run.array.axes, strict=True)
    }
    for i, name in enumerate(names):
        members[nexus_name(name)] = spread(values[:, i])
        members[f"{nexus_name(name)}_errors"] = spread(errors[:, i])
    members["chi2_per_dof"] = spread(np.array([fit.chi2_per_dof for fit in fits]))
    signal = nexus_name(names[0]) if names else "chi2_per_dof"
    return Group("NXdata", members, _plot(members, signal, axes))


def _provenance(run: _Run) -> Group:
    meta, plan = run.meta, run.journal.table().to_json()
    segments = run.journal.segments()
    return Group(
        "NXcollection",
        {
            "plan_json": Field(plan),
            "plan_sha256": Field(hashlib.sha256(plan.encode()).hexdigest()),
            "meta_json": Field(json.dumps(meta.to_rows(), sort_keys=True)),
            "sweep_toml": Field(meta.sweep_toml),
            "station_toml": Field(meta.station_toml),
            "python": Field(meta.python),
            "packages": Field([f"{name} {text}" for name, text in sorted(meta.packages.items())]),
            "host": Field(meta.host),
            "created_utc": Field(_iso(meta.created_utc)),
            "measurement_sha256": Field(run.journal.digest()),
            "segments": Group(
                "NXcollection",
                {
                    "number": Field(np.array([s.number for s in segments], np.int64)),
                    "start": Field(np.array([s.start_s for s in segments]), {"units": "s"}),
                    "utc": Field([_iso(s.utc) for s in segments]),
                },
            ),
        },
        {"cryoscan_schema_version": FILE_SCHEMA, "journal_sha256": run.journal.fingerprint()},
    )


def _setpoints(run: _Run, names: tuple[str, ...]) -> dict[str, Node]:
    """Return the setpoints of a run that fills no grid, one field per quantity that was set."""
    rows = sorted(run.array.sample.items(), key=lambda item: item[1])
    fields: dict[str, Node] = {}
    for quantity, unit in _SETPOINT_UNITS.items():
        values = [getattr(run.points[point], quantity) for point, _ in rows]
        if any(value is not None for value in values):
            array = np.array([np.nan if value is None else value for value in values])
            fields[AXIS_NAMES[quantity]] = Field(array, _axis_attrs(unit, quantity), names)
    return fields


def _readings(run: _Run) -> NDArray[np.float64]:
    values = [list(s.attempt.readings.values()) for s in run.attempts]
    return np.array(values, float).reshape(len(run.attempts), len(run.meta.readings))


def _axis_values(values: Sequence[float], quantity: str) -> NDArray[Any]:
    array = np.array(values, float)
    return array.astype(np.int64) if quantity in ("repeat", "index") else array


def _axis_attrs(unit: str, quantity: str) -> Attributes:
    name = AXIS_NAMES.get(quantity, quantity).replace("_", " ")
    attrs = {"quantity": quantity, "long_name": f"{name} setpoint"}
    return {**attrs, "units": unit} if unit else attrs


def _plot(members: Mapping[str, Node], signal: str, axes: tuple[str, ...]) -> Attributes:
    """Return the attributes by which NeXus viewers find signal and axes."""
    indices: dict[str, list[int]] = {f"{name}_indices": [i] for i, name in enumerate(axes)}
    for name, member in members.items():
        dims = () if isinstance(member, Group) else member.dims
        if dims and name != signal and set(dims) <= set(axes):
            indices[f"{name}_indices"] = [axes.index(dim) for dim in dims]
    return {"signal": signal, "axes": list(axes), "interpretation": "spectrum", **indices}


def _with_readings(run: _Run, attrs: Attributes) -> Attributes:
    return {**attrs, "readings": [nexus_name(channel) for channel in run.meta.readings]}


def _check_crc32(stored: StoredAttempt) -> None:
    attempt = stored.attempt
    readings = np.array(list(attempt.readings.values()), "<f8").tobytes()
    found = row_crc32(attempt.counts, attempt.frame_start_s, readings)
    if found != stored.crc32:
        raise StorageError(
            f"attempt {stored.id} (point {attempt.point}): the journal holds checksum "
            f"{stored.crc32:08x}, its counts and readings give {found:08x}"
        )


def _without_counts(stored: StoredAttempt) -> Attempt:
    return replace(stored.attempt, counts=stored.attempt.counts[:0])


def _span_utc(journal: JournalReader) -> tuple[float, float]:
    """Return the wall clock at the start and at the end of what was recorded."""
    segments = journal.segments()
    if not segments:
        return journal.meta.created_utc, journal.meta.created_utc
    first, last = segments[0], segments[-1]
    return first.utc - first.start_s, last.utc + max(0.0, journal.last_time_s() - last.start_s)


def _iso(utc: float) -> str:
    return datetime.fromtimestamp(utc, UTC).isoformat()
