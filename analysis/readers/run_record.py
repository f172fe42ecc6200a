"""What a finished .nxs file holds around its spectra: fits, monitors, events, plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

__all__ = ["RecordedEvent", "RecordedFit", "RunRecord", "read_record"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RecordedFit:
    """The fit of one attempt; names, values and errors of the parameters its model has."""

    point: int
    attempt: int
    model: str
    version: str
    verdict: str
    reason: str
    names: tuple[str, ...]
    values: Array
    errors: Array
    covariance: Array
    chi2_per_dof: float


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """A line of the lab book; time_s: run time, utc: s since 1970."""

    time_s: float
    utc: float
    level: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """plan_json, meta_json: as the run was frozen. utc_s: of run time 0.

    streams: channel -> (unit, run time in s, value); flags: attempt -> reasons for doubt.
    """

    plan_json: str
    meta_json: str
    utc_s: float
    fits: tuple[RecordedFit, ...]
    streams: Mapping[str, tuple[str, Array, Array]]
    events: tuple[RecordedEvent, ...]
    flags: Mapping[int, tuple[str, ...]]


def read_record(path: Path | str) -> RunRecord:
    """Read the file. Raises OSError if it is none, ValueError if it is not a finished run."""
    with h5py.File(path, "r") as file:
        if "entry/provenance/plan_json" not in file:
            raise ValueError(f"{path}: holds no finished run: its plan is missing")
        entry = file["entry"]
        events = _events(entry["events"])
        return RunRecord(
            plan_json=_text(entry["provenance/plan_json"][()]),
            meta_json=_text(entry["provenance/meta_json"][()]),
            utc_s=events[0].utc - events[0].time_s if events else 0.0,
            fits=tuple(
                fit
                for name, group in entry.items()
                if name.startswith("fit_")
                for fit in _fits(group)
            ),
            streams=_streams(entry["instrument"]),
            events=events,
            flags=_flags(entry["attempts"]),
        )


def _fits(group: h5py.Group) -> list[RecordedFit]:
    rows = group["rows"]
    names = [_text(name) for name in rows["values"].attrs["columns"]]
    values, errors, covariance = (rows[name][...] for name in ("values", "errors", "covariance"))
    verdicts, reasons = (_texts(rows[name]) for name in ("verdict", "reason"))
    model, version = _text(group["model"][()]), _text(group["program"].attrs["version"])
    attempts, points, chi2 = (
        rows[name][:].tolist() for name in ("attempt", "point", "chi2_per_dof")
    )
    # a parameter without an error is none of this row's model
    is_own = np.isfinite(values)
    every = tuple(names)
    fits = []
    for i, (attempt, point) in enumerate(zip(attempts, points, strict=True)):
        own = slice(None) if is_own[i].all() else np.flatnonzero(is_own[i])
        fits.append(
            RecordedFit(
                point=point,
                attempt=attempt,
                model=model,
                version=version,
                verdict=verdicts[i],
                reason=reasons[i],
                names=every if isinstance(own, slice) else tuple(names[k] for k in own),
                values=values[i][own],
                errors=errors[i][own],
                covariance=covariance[i][own][:, own],
                chi2_per_dof=chi2[i],
            )
        )
    return fits


def _streams(instrument: h5py.Group) -> dict[str, tuple[str, Array, Array]]:
    logs = {
        _text(group["name"][()]): group["value_log"]
        for name, group in instrument.items()
        if name.endswith("_sensor")
    }
    return {
        channel: (_text(log["value"].attrs.get("units", "")), log["time"][:], log["value"][:])
        for channel, log in logs.items()
    }


def _events(group: h5py.Group) -> tuple[RecordedEvent, ...]:
    times, utcs = group["time"][:].tolist(), group["utc"][:].tolist()
    columns = (_texts(group[name]) for name in ("level", "code", "text"))
    return tuple(RecordedEvent(*row) for row in zip(times, utcs, *columns, strict=True))


def _flags(attempts: h5py.Group) -> dict[int, tuple[str, ...]]:
    texts = zip(attempts["id"][:].tolist(), _texts(attempts["flags"]), strict=True)
    return {attempt: (text,) for attempt, text in texts if text}


def _texts(dataset: h5py.Dataset) -> list[str]:
    return [_text(value) for value in dataset[:]]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
