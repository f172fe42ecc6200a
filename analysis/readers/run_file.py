"""A run as plain arrays: from the finished .nxs file, or from live.h5 while the run is on.

Spectra are raw counts, the frames of a point added up; nothing is subtracted or corrected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

__all__ = ["Backgrounds", "Frames", "RunFile"]

Counts = NDArray[np.int32] | NDArray[np.int64] | NDArray[np.uint16]

# what h5py and numpy raise where something is missing, or something else than it should be
_NOT_OURS = (LookupError, AttributeError, TypeError, ValueError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Frames:
    """The single exposures of one attempt: counts (frames, pixels), run time of each start in s."""

    counts: Counts
    start_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Backgrounds:
    """Spectra without the sample's light, one row each.

    is_dark: the camera's own shutter was closed; else the laser alone was blocked.
    """

    is_dark: NDArray[np.bool_]
    spectra: Counts
    frames: NDArray[np.int64]
    exposure_s: NDArray[np.float64]
    attempt: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RunFile:
    """A run's spectra in an n-dimensional array, and everything measured around them.

    axes: name -> setpoints, outermost first; their lengths are the shape of every array here.
    units: of axes and readings. spectra: shape (..., pixels); rows with attempt 0 hold no data.
    frames: number added up; exposure_s: of one frame; time_s: run time at the start.
    wavelength_nm: shape (pixels,), or (..., pixels) where points have different ones; NaN if not
    known; medium says "air", "vacuum" or "unknown". pixel: the detector's pixel of each column.
    """

    path: Path
    title: str
    axes: Mapping[str, NDArray[np.float64]]
    units: Mapping[str, str]
    spectra: Counts
    pixel: NDArray[np.int64]
    wavelength_nm: NDArray[np.float64]
    medium: str
    readings: Mapping[str, NDArray[np.float64]]
    frames: NDArray[np.int64]
    exposure_s: NDArray[np.float64]
    time_s: NDArray[np.float64]
    attempt: NDArray[np.int64]
    backgrounds: Backgrounds

    @classmethod
    def open(cls, path: Path | str) -> RunFile:
        """Read the file. Raises OSError if it is none, ValueError if it is not a run."""
        with h5py.File(path, "r") as file:
            if "entry/data/spectra" not in file:
                raise ValueError(f"{path}: holds no run: /entry/data/spectra is missing")
            try:
                run = _read_run(Path(path), file["entry"])
            except _NOT_OURS as error:
                raise ValueError(f"{path}: no run as cryoscan writes it: {error}") from error
        _refuse_misfits(run)
        return run

    @property
    def shape(self) -> tuple[int, ...]:
        return self.attempt.shape

    @property
    def is_measured(self) -> NDArray[np.bool_]:
        """Whether each row holds an accepted spectrum."""
        measured: NDArray[np.bool_] = self.attempt > 0
        return measured

    def frames_of(self, attempt: int) -> Frames:
        """Return the single frames of an attempt, with their columns ordered as in `spectra`.

        Raises LookupError if the file does not hold them.
        """
        with h5py.File(self.path, "r") as file:
            entry = file["entry"]
            if "attempts" in entry:
                return self._finished_frames(entry, attempt)
            return self._live_frames(entry, attempt)

    def _finished_frames(self, entry: h5py.Group, attempt: int) -> Frames:
        rows = np.flatnonzero(entry["attempts/id"][:] == attempt)
        if not rows.size:
            raise LookupError(f"{self.path}: has no attempt {attempt}")
        first = int(entry["attempts/first_frame"][rows[0]])
        kept = slice(first, first + int(entry["attempts/frames"][rows[0]]))
        raw = entry["instrument/detector_ccd/raw_data"]
        return Frames(raw["raw"][kept][:, self.pixel], raw["start"][kept])

    def _live_frames(self, entry: h5py.Group, attempt: int) -> Frames:
        for group in (entry[name] for name in ("data", "backgrounds") if name in entry):
            place = np.argwhere(group["attempt"][...] == attempt)
            if len(place) and attempt > 0:
                return self._live_row(group, tuple(place[0]))
        raise LookupError(f"{self.path}: has no attempt {attempt}")

    def _live_row(self, group: h5py.Group, row: tuple[int, ...]) -> Frames:
        columns, _ = _columns(group)
        count, start_s = int(columns["frames"][row]), float(columns["start_s"][row])
        if count == 1:
            return Frames(group["spectra"][row][np.newaxis], np.array([start_s]))
        if "frames" not in group:
            raise LookupError(f"{self.path}: holds sums only; the single frames come with the .nxs")
        return Frames(group["frames"][row][:count], np.full(count, np.nan))


# field of the finished file -> column of the live view
_TIMES = {"exposure": "exposure_s", "time": "start_s", "frames": "frames"}
_LIVE_ONLY = ("point", "segment", "frames", "start_s", "end_s", "exposure_s")


def _read_run(path: Path, entry: h5py.Group) -> RunFile:
    group = entry["data"]
    names = [_text(name) for name in group.attrs["axes"]][:-1]
    columns, units = _columns(group)
    readings = {name: columns[name] for name in columns if name not in _LIVE_ONLY}
    wavelength_nm, medium = _wavelength(group)
    pixels = group["spectra"].shape[-1]
    return RunFile(
        path=path,
        title=_text(entry["title"][()]),
        axes={name: group[name][...].astype(np.float64) for name in names},
        units=units | {name: _unit(group[name]) for name in names},
        spectra=group["spectra"][...],
        pixel=group["pixel"][...] if "pixel" in group else np.arange(pixels),
        wavelength_nm=wavelength_nm,
        medium=medium,
        readings=readings,
        frames=columns["frames"].astype(np.int64),
        exposure_s=columns["exposure_s"],
        time_s=columns["start_s"],
        attempt=group["attempt"][...],
        backgrounds=_backgrounds(entry, pixels),
    )


def _refuse_misfits(run: RunFile) -> None:
    """Raise ValueError where arrays do not belong together."""
    points = tuple(axis.size for axis in run.axes.values())
    row = run.spectra.shape[-1:]
    for name, found, expected in (
        ("spectra", run.spectra, points + row),
        ("pixel", run.pixel, row),
        ("wavelength", run.wavelength_nm, row if run.wavelength_nm.ndim == 1 else points + row),
        ("attempt", run.attempt, points),
        ("frames", run.frames, points),
        ("exposure", run.exposure_s, points),
        ("time", run.time_s, points),
        *((reading, values, points) for reading, values in run.readings.items()),
    ):
        if found.shape != expected:
            raise ValueError(f"{run.path}: {name} of shape {found.shape}, expected {expected}")


def _columns(group: h5py.Group) -> tuple[dict[str, NDArray[np.float64]], dict[str, str]]:
    """Return what belongs to each row beside its spectrum, and the units of the readings."""
    if "conditions" in group:
        table = group["conditions"]
        names = [_text(name) for name in table.attrs["columns"]]
        texts = [_text(unit) for unit in table.attrs["units"]]
        measured = np.asarray(group["attempt"][...] > 0)[..., np.newaxis]
        values = np.where(measured, table[...], np.nan)
        values[..., names.index("frames")] = np.nan_to_num(values[..., names.index("frames")])
        units = {n: u for n, u in zip(names, texts, strict=True) if n not in _LIVE_ONLY}
        return {name: values[..., i] for i, name in enumerate(names)}, units
    names = [_text(name) for name in group.attrs["readings"]]
    units = {name: _unit(group[name]) for name in names}
    return {label: group[name][...] for name, label in _TIMES.items()} | {
        name: group[name][...] for name in names
    }, units


def _wavelength(group: h5py.Group) -> tuple[NDArray[np.float64], str]:
    """Return the wavelength of each column, or of each column of each spectrum, and its medium."""
    *shape, pixels = group["spectra"].shape
    if "wavelength" in group:
        axis = group["wavelength"][...]
        # a live view has none until the first spectrum
        known = np.where(axis > 0, axis, np.nan)
        return known, _text(group["wavelength"].attrs.get("medium", "unknown"))
    if "wavelength_by_setting" not in group:
        return np.full(pixels, np.nan), "unknown"
    setting = group["spectrograph_setting"][...]
    table = group["wavelength_by_setting"]
    by_point = np.where(setting[..., np.newaxis] >= 0, table[...][setting], np.nan)
    return by_point.reshape(*shape, pixels), _text(table.attrs["medium"])


def _backgrounds(entry: h5py.Group, pixels: int) -> Backgrounds:
    if "backgrounds" not in entry:
        none = np.zeros(0, np.int64)
        return Backgrounds(
            none > 0, np.zeros((0, pixels), np.int64), none, none.astype(float), none
        )
    group = entry["backgrounds"]
    columns, _ = _columns(group)
    return Backgrounds(
        is_dark=np.array([_text(kind) == "dark" for kind in group["kind"][:]], bool),
        spectra=group["spectra"][...],
        frames=columns["frames"].astype(np.int64),
        exposure_s=columns["exposure_s"],
        attempt=group["attempt"][...],
    )


def _unit(dataset: h5py.Dataset) -> str:
    return _text(dataset.attrs.get("units", ""))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
