"""Many attempts, fits and monitor readings of a journal at once, as columns.

For whoever shows a run of many thousand points: an object for each of them takes ten times longer.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from acquisition.storage.record import AttemptState, StreamBatch
from acquisition.storage.run_meta import RunMeta

__all__ = ["AttemptColumns", "FitColumns", "JournalColumns"]

Array = NDArray[np.float64]

ROWS_AT_ONCE = 512
BYTES_AT_ONCE = 4_000_000  # of counts in one query: it stays short
_ATTEMPTS = (
    "SELECT attempt.id,accepted.attempt IS NOT NULL,attempt.point,state,start_s,exposure_s,"
    "calibration,flags,readings,counts FROM attempt LEFT JOIN accepted "
    "ON accepted.attempt=attempt.id AND accepted.point=attempt.point "
)
_FITS = "SELECT attempt,point,model,version,verdict,reason,names,value,error,chi2_per_dof FROM fit "


@dataclass(frozen=True, slots=True)
class AttemptColumns:
    """Attempts, oldest first; arrays of shape (k,).

    counts: the frames added up, (k, pixels), as delivered where every attempt has one, else i8.
    frames: how many. readings: (k, channels), in the order of the run.
    """

    id: NDArray[np.int64]
    is_accepted: NDArray[np.bool_]
    point: NDArray[np.int64]
    state: tuple[AttemptState, ...]
    start_s: Array
    exposure_s: Array
    calibration: NDArray[np.int64]
    flags: tuple[tuple[str, ...], ...]
    readings: Array
    counts: NDArray[Any]
    frames: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.id)


@dataclass(frozen=True, slots=True)
class FitColumns:
    """Fits of one model and version with the same parameters; values, errors: (k, names)."""

    model: str
    version: str
    names: tuple[str, ...]
    attempt: NDArray[np.int64]
    point: NDArray[np.int64]
    verdict: tuple[str, ...]
    reason: tuple[str, ...]
    values: Array
    errors: Array
    chi2_per_dof: Array


class JournalColumns:
    """Queries of a JournalReader; every one is short. query: returns the rows of a statement."""

    def __init__(self, query: Callable[..., list[Any]], meta: RunMeta) -> None:
        self._query, self._meta = query, meta

    def plan(self, names: Sequence[str]) -> dict[str, list[Any]]:
        """Return these fields of every planned point, as they are stored: field -> values."""
        columns: dict[str, list[Any]] = {name: [] for name in names}
        query = "SELECT setpoints FROM plan WHERE point>=? ORDER BY point LIMIT ?"
        first = 0
        while rows := self._query(query, first, ROWS_AT_ONCE):
            points = json.loads(f"[{','.join(row[0] for row in rows)}]")
            for name, column in columns.items():
                column.extend(point.get(name) for point in points)
            first += len(rows)
        return columns

    def attempts(self, since: int, until: int) -> AttemptColumns:
        """Return the oldest attempts with an id above `since`; some hundred, long ones fewer."""
        sizes = self._query("SELECT LENGTH(counts) FROM attempt WHERE id>? LIMIT 1", since)
        most = BYTES_AT_ONCE // max(sizes[0][0], 1) if sizes else 0
        query = _ATTEMPTS + "WHERE attempt.id>? AND attempt.id<=? ORDER BY attempt.id LIMIT ?"
        return self._attempts(self._query(query, since, until, min(max(most, 1), ROWS_AT_ONCE)))

    def attempts_of(self, keys: Sequence[int]) -> AttemptColumns:
        """Return the attempts with these ids, at most some hundred, oldest first."""
        query = _ATTEMPTS + f"WHERE attempt.id IN ({_places(keys)}) ORDER BY attempt.id"
        return self._attempts(self._query(query, *keys))

    def fits_of(self, attempts: Sequence[int]) -> tuple[FitColumns, ...]:
        """Return the stored fits of these attempts, at most some hundred, without covariance.

        Where an attempt has several, those of later models and versions come later.
        """
        groups: dict[tuple[str, str, str], list[Sequence[Any]]] = {}
        query = _FITS + f"WHERE attempt IN ({_places(attempts)})"
        for attempt, point, model, version, verdict, reason, names, *numbers in self._query(
            query, *attempts
        ):
            group = groups.setdefault((model, version, names), [])
            group.append((attempt, point, verdict, reason, *numbers))
        return tuple(_fits(*key, groups[key]) for key in sorted(groups))

    def streams(self, since: int) -> tuple[int, tuple[StreamBatch, ...]]:
        """Return the monitor batches with an id above `since`, some thousand, joined by channel.

        The first value is the id of the last of them; `since` where there is none.
        """
        query = "SELECT id,channel,unit,time_s,value FROM stream WHERE id>? ORDER BY id LIMIT ?"
        rows = self._query(query, since, 4 * ROWS_AT_ONCE)
        channels: dict[tuple[str, str], list[tuple[bytes, bytes]]] = {}
        for _, channel, unit, *times_and_values in rows:
            channels.setdefault((channel, unit), []).append(tuple(times_and_values))
        batches = tuple(
            StreamBatch(*key, *(_numbers(parts) for parts in zip(*both, strict=True)))
            for key, both in channels.items()
        )
        return (rows[-1][0] if rows else since), batches

    def _attempts(self, rows: Sequence[Sequence[Any]]) -> AttemptColumns:
        columns = zip(*rows, strict=True) if rows else ((),) * 10
        (key, is_accepted, point, state, start_s, exposure_s, calibration, flags, readings,
         counts) = columns  # fmt: skip
        meta = self._meta
        frame_bytes = meta.pixels * meta.dtype.itemsize
        frames = np.array([len(one) for one in counts], np.int64) // frame_bytes
        return AttemptColumns(
            id=np.array(key, np.int64),
            is_accepted=np.array(is_accepted, bool),
            point=np.array(point, np.int64),
            state=tuple(AttemptState(one) for one in state),
            start_s=np.array(start_s, float),
            exposure_s=np.array(exposure_s, float),
            calibration=np.array(calibration, np.int64),
            flags=tuple(_texts(one) for one in flags),
            readings=_numbers(readings).reshape(len(rows), len(meta.readings)),
            counts=_spectra(counts, frames, meta),
            frames=frames,
        )


def _fits(model: str, version: str, names: str, rows: Sequence[Sequence[Any]]) -> FitColumns:
    attempt, point, verdict, reason, values, errors, chi2 = zip(*rows, strict=True)
    own = _texts(names)
    shape = (len(rows), len(own))
    return FitColumns(
        model=model,
        version=version,
        names=own,
        attempt=np.array(attempt, np.int64),
        point=np.array(point, np.int64),
        verdict=verdict,
        reason=reason,
        values=_numbers(values).reshape(shape),
        errors=_numbers(errors).reshape(shape),
        chi2_per_dof=np.array(chi2, float),  # None becomes NaN
    )


def _spectra(counts: Sequence[bytes], frames: NDArray[np.int64], meta: RunMeta) -> NDArray[Any]:
    own = np.frombuffer(b"".join(counts), meta.dtype).reshape(-1, meta.pixels)
    if (frames == 1).all():
        return own
    total = np.zeros((len(frames), meta.pixels), np.int64)
    some = frames > 0  # an aborted attempt may have none
    first = (np.cumsum(frames) - frames)[some]
    if first.size:
        total[some] = np.add.reduceat(own, first, axis=0, dtype=np.int64)
    return total


def _numbers(parts: Sequence[bytes]) -> Array:
    return np.frombuffer(b"".join(parts), "<f8")


def _places(keys: Sequence[int]) -> str:
    return ",".join("?" * len(keys))


@lru_cache(maxsize=256)
def _texts(document: str) -> tuple[str, ...]:
    return tuple(json.loads(document))
