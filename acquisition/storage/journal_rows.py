"""Records as rows of the journal, and back. Little endian on every machine; no I/O here."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import nan
from struct import Struct
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from acquisition.storage.record import Attempt, AttemptState, Event, FitRow, Level, StreamBatch
from acquisition.storage.run_meta import RunMeta

__all__ = [
    "SCHEMA",
    "SCHEMA_VERSION",
    "AttemptRows",
    "Calibration",
    "Segment",
    "StoredAttempt",
    "calibration_from_row",
    "calibration_row",
    "event_from_row",
    "event_row",
    "fit_from_row",
    "fit_row",
    "row_crc32",
    "stream_from_row",
    "stream_row",
]

SCHEMA_VERSION = 1

SCHEMA = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE plan(point INTEGER PRIMARY KEY, kind TEXT NOT NULL, block INTEGER NOT NULL,
    setpoints TEXT NOT NULL);
CREATE TABLE segment(number INTEGER PRIMARY KEY, start_s REAL NOT NULL, utc REAL NOT NULL);
CREATE TABLE attempt(id INTEGER PRIMARY KEY, point INTEGER NOT NULL REFERENCES plan,
    state TEXT NOT NULL, segment INTEGER NOT NULL, start_s REAL NOT NULL, end_s REAL NOT NULL,
    exposure_s REAL NOT NULL, calibration INTEGER NOT NULL, flags TEXT NOT NULL, note TEXT NOT NULL,
    crc32 INTEGER NOT NULL, readings BLOB NOT NULL, frame_start BLOB NOT NULL,
    counts BLOB NOT NULL);
CREATE TABLE accepted(point INTEGER PRIMARY KEY REFERENCES plan,
    attempt INTEGER NOT NULL REFERENCES attempt);
CREATE TABLE stream(id INTEGER PRIMARY KEY, channel TEXT NOT NULL, unit TEXT NOT NULL,
    end_s REAL NOT NULL, time_s BLOB NOT NULL, value BLOB NOT NULL);
CREATE TABLE event(id INTEGER PRIMARY KEY, time_s REAL NOT NULL, utc REAL NOT NULL,
    level TEXT NOT NULL, code TEXT NOT NULL, text TEXT NOT NULL, details TEXT NOT NULL);
CREATE TABLE calibration(id INTEGER PRIMARY KEY, time_s REAL NOT NULL, kind TEXT NOT NULL,
    details TEXT NOT NULL, shape TEXT NOT NULL, value BLOB NOT NULL);
CREATE TABLE fit(attempt INTEGER NOT NULL REFERENCES attempt, model TEXT NOT NULL,
    version TEXT NOT NULL, point INTEGER NOT NULL, verdict TEXT NOT NULL, reason TEXT NOT NULL,
    names TEXT NOT NULL, value BLOB NOT NULL, error BLOB NOT NULL, covariance BLOB NOT NULL,
    chi2_per_dof REAL, PRIMARY KEY(attempt, model, version)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Segment:
    """One stretch of execution: at run time start_s it was utc (s since 1970)."""

    number: int
    start_s: float
    utc: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """An array that attempts refer to, such as the wavelength of each pixel.

    kind "wavelength": value in nm, shape (pixels,); details: medium ("air" or "vacuum"), grating,
    centre_nm, source.
    """

    kind: str
    time_s: float
    value: NDArray[np.float64]
    details: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredAttempt:
    """An attempt as the journal holds it."""

    id: int
    is_accepted: bool
    crc32: int
    attempt: Attempt


class AttemptRows:
    """Attempts of one run as rows of the table attempt, and back."""

    def __init__(self, meta: RunMeta) -> None:
        self._pixels = meta.pixels
        self._dtype = meta.dtype
        self.units = dict(meta.readings)  # of the readings, in the order in which they are stored
        self._names = tuple(meta.readings)
        self._known = frozenset(self._names)
        self._missing = dict.fromkeys(self._names, nan)
        self._readings = Struct(f"<{len(self._names)}d")

    def encode(self, attempt: Attempt) -> tuple[object, ...]:
        """Return the columns of the attempt, its id left out; the long ones come last.

        Raises ValueError where the attempt has not the shape that was frozen with the run.
        """
        counts, start = self._checked(attempt)
        readings = self.readings_row(attempt)
        return (
            attempt.point,
            attempt.state.value,
            attempt.segment,
            attempt.start_s,
            attempt.end_s,
            attempt.exposure_s,
            attempt.calibration,
            json.dumps(attempt.flags) if attempt.flags else "[]",
            attempt.note,
            row_crc32(counts, start, readings),
            readings,
            start,
            counts,
        )

    def decode(self, row: Sequence[Any]) -> StoredAttempt:
        """Return the attempt of a row: its id, the id accepted for its point, its columns."""
        key, accepted, point, state, segment, start_s, end_s, exposure_s, *rest = row
        calibration, flags, note, crc, readings, frame_start, counts = rest
        attempt = Attempt(
            point=point,
            state=AttemptState(state),
            segment=segment,
            start_s=start_s,
            end_s=end_s,
            exposure_s=exposure_s,
            counts=self._frames(counts),
            frame_start_s=np.frombuffer(frame_start, "<f8"),
            readings=dict(zip(self._names, self._readings.unpack(readings), strict=True)),
            calibration=calibration,
            flags=tuple(json.loads(flags)),
            note=note,
        )
        return StoredAttempt(key, accepted is not None, crc, attempt)

    def readings_row(self, attempt: Attempt) -> bytes:
        """Return the readings as they are stored: f8 in the order of the run's channels."""
        return self._readings.pack(*{**self._missing, **attempt.readings}.values())

    def _frames(self, counts: bytes) -> NDArray[Any]:
        return np.frombuffer(counts, self._dtype).reshape(-1, self._pixels)

    def _checked(self, attempt: Attempt) -> tuple[NDArray[Any], NDArray[np.float64]]:
        counts, start = attempt.counts, attempt.frame_start_s
        if counts.ndim != 2 or counts.shape[1] != self._pixels or counts.dtype != self._dtype:
            raise ValueError(
                f"point {attempt.point}: counts {counts.dtype} {counts.shape}, the run was frozen "
                f"with {self._dtype} (frames, {self._pixels})"
            )
        if start.shape != counts.shape[:1]:
            raise ValueError(
                f"point {attempt.point}: {start.shape} start times for {counts.shape[0]} frames"
            )
        if not self._known.issuperset(attempt.readings):
            raise ValueError(
                f"point {attempt.point}: readings {sorted(set(attempt.readings) - self._known)} "
                f"are not among the channels of the run, {list(self._names)}"
            )
        return np.ascontiguousarray(counts, self._dtype), np.ascontiguousarray(start, "<f8")


def row_crc32(counts: Any, frame_start_s: Any, readings: bytes) -> int:
    """Return the checksum of an attempt: its raw counts, frame times and readings, as stored."""
    return crc32(readings, crc32(frame_start_s, crc32(counts)))


def event_row(event: Event) -> tuple[object, ...]:
    details = json.dumps(dict(event.details), sort_keys=True) if event.details else "{}"
    return event.time_s, event.utc, event.level.value, event.code, event.text, details


def event_from_row(row: Sequence[Any]) -> Event:
    time_s, utc, level, code, text, details = row
    return Event(time_s, utc, Level(level), code, text, json.loads(details))


def stream_row(batch: StreamBatch) -> tuple[object, ...]:
    time_s = np.ascontiguousarray(batch.time_s, "<f8")
    value = np.ascontiguousarray(batch.value, "<f8")
    if time_s.ndim != 1 or time_s.shape != value.shape or not len(time_s):
        raise ValueError(
            f"{batch.channel}: times {time_s.shape} and values {value.shape} must pair"
        )
    return batch.channel, batch.unit, float(time_s[-1]), time_s, value


def stream_from_row(row: Sequence[Any]) -> StreamBatch:
    channel, unit, _, time_s, value = row
    return StreamBatch(channel, unit, np.frombuffer(time_s, "<f8"), np.frombuffer(value, "<f8"))


def fit_row(fit: FitRow) -> tuple[object, ...]:
    n = len(fit.names)
    if fit.values.shape != (n,) or fit.errors.shape != (n,) or fit.covariance.shape != (n, n):
        raise ValueError(
            f"fit {fit.model} of point {fit.point}: {n} names, values {fit.values.shape}, errors "
            f"{fit.errors.shape}, covariance {fit.covariance.shape}"
        )
    arrays = (np.ascontiguousarray(a, "<f8") for a in (fit.values, fit.errors, fit.covariance))
    names = json.dumps(fit.names)
    key = (fit.attempt, fit.model, fit.version, fit.point, fit.verdict, fit.reason, names)
    return (*key, *arrays, fit.chi2_per_dof)


def fit_from_row(row: Sequence[Any]) -> FitRow:
    attempt, model, version, point, verdict, reason, names, value, error, covariance, chi2 = row
    texts = tuple(json.loads(names))
    return FitRow(
        point=point,
        attempt=attempt,
        model=model,
        version=version,
        verdict=verdict,
        reason=reason,
        names=texts,
        values=np.frombuffer(value, "<f8"),
        errors=np.frombuffer(error, "<f8"),
        covariance=np.frombuffer(covariance, "<f8").reshape(len(texts), len(texts)),
        chi2_per_dof=nan if chi2 is None else chi2,
    )


def calibration_row(calibration: Calibration) -> tuple[object, ...]:
    value = np.ascontiguousarray(calibration.value, "<f8")
    details = json.dumps(calibration.details, sort_keys=True)
    return calibration.time_s, calibration.kind, details, json.dumps(value.shape), value


def calibration_from_row(row: Sequence[Any]) -> Calibration:
    time_s, kind, details, shape, value = row
    array = np.frombuffer(value, "<f8").reshape(json.loads(shape))
    return Calibration(kind, time_s, array, json.loads(details))
