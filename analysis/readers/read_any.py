"""Read spectra from whatever file a colleague sends, by what is in it, not by its name."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.readers.andor_asc import is_andor_asc, read_andor_asc
from analysis.readers.andor_sif import is_andor_sif, read_andor_sif
from analysis.readers.bias_series import read_bias_zip
from analysis.readers.labspec_text import is_labspec_text, parse_labspec_text
from analysis.readers.measured_spectra import MeasuredSpectra, Medium, in_rising_order
from analysis.readers.princeton_spe import is_princeton_spe, read_princeton_spe
from analysis.readers.run_file import RunFile
from analysis.readers.text_spectra import parse_text_spectra
from analysis.readers.text_table import decoded

__all__ = ["read_any", "read_groups"]

_HEAD_BYTES = 4100
_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"
_MOST_BINARY = 0.02  # share of control characters in a text


def read_any(path: Path | str) -> MeasuredSpectra:
    """Read a run (.nxs, live.h5), Andor .sif or .asc, Princeton .spe, text, or a zip of them.

    Raises OSError for a file that cannot be read and ValueError, naming it and what is wrong, for
    one that is none of these, or broken. What was repaired is in the notes of the result. A run
    whose points have several wavelength axes is refused here; read_groups reads it.
    """
    groups = read_groups(path)
    if len(groups) > 1:
        raise ValueError(f"{path}: its points have {len(groups)} different wavelength axes")
    return groups[0]


def read_groups(path: Path | str) -> tuple[MeasuredSpectra, ...]:
    """Read as read_any does, the spectra of each wavelength axis of a run apart."""
    with Path(path).open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise ValueError(f"{path}: is empty")
    if head.startswith(_HDF5):
        return _from_run(_opened(path), str(path))
    return (_of_one_file(path, head),)


def _of_one_file(path: Path | str, head: bytes) -> MeasuredSpectra:
    if is_andor_sif(head):
        return read_andor_sif(path)
    if head.startswith(_ZIP) and zipfile.is_zipfile(path):
        return _from_zip(path)
    if is_princeton_spe(head):
        return read_princeton_spe(path)
    return _from_text(Path(path).read_bytes(), path)


def _from_text(content: bytes, path: Path | str) -> MeasuredSpectra:
    text = decoded(content)
    odd = sum(character < " " and character not in "\t\r\n\f" for character in text[:_HEAD_BYTES])
    if odd > _MOST_BINARY * min(len(text), _HEAD_BYTES):
        raise ValueError(
            f"{path}: a binary file of unknown format; known are runs (.nxs, live.h5), Andor .sif, "
            "Princeton .spe and text"
        )
    if text.lstrip().startswith("<"):
        raise ValueError(
            f"{path}: an XML file, such as LabSpec's, is not read: export the spectrum as text"
        )
    if is_andor_asc(text):
        return read_andor_asc(path)
    if is_labspec_text(text):
        return parse_labspec_text(text, source=str(path))
    return parse_text_spectra(text, source=str(path))


def _from_zip(path: Path | str) -> MeasuredSpectra:
    series = read_bias_zip(path)
    return MeasuredSpectra(
        source=str(path),
        format="zip of texts over a voltage",
        wavelength_nm=series.wavelength_nm,
        counts=series.counts,
        labels=tuple(f"{voltage:g} V" for voltage in series.voltage_V),
        notes=series.notes,
    )


def _from_run(run: RunFile, source: str) -> tuple[MeasuredSpectra, ...]:
    """Return the measured points of a run, those of each wavelength axis together."""
    measured = np.argwhere(run.is_measured)
    if not len(measured):
        raise ValueError(f"{source}: no point is measured yet")
    axes: dict[bytes, list[NDArray[np.intp]]] = {}
    for place in measured:
        axes.setdefault(_axis_of(run, place).tobytes(), []).append(place)
    return tuple(_of_one_axis(run, np.array(places), source) for places in axes.values())


def _axis_of(run: RunFile, place: NDArray[np.intp]) -> NDArray[np.float64]:
    wavelength_nm = run.wavelength_nm
    return wavelength_nm if wavelength_nm.ndim == 1 else wavelength_nm[tuple(place)]


def _of_one_axis(run: RunFile, places: NDArray[np.intp], source: str) -> MeasuredSpectra:
    counts: NDArray[np.float64] = run.spectra[tuple(places.T)].astype(np.float64)
    wavelength_nm, counts = in_rising_order(_axis_of(run, places[0]), counts, source)
    medium: Medium = "air" if run.medium == "air" else "vacuum"
    if run.medium not in ("air", "vacuum"):
        medium = "unknown"
    return MeasuredSpectra(
        source=source,
        format="cryoscan run",
        wavelength_nm=wavelength_nm,
        counts=counts,
        labels=tuple(_setpoints(run, place) for place in places),
        medium=medium,
        notes=("frames of a point added up, nothing subtracted",),
    )


def _opened(path: Path | str) -> RunFile:
    try:
        return RunFile.open(path)
    except OSError as error:
        raise ValueError(f"{path}: an HDF5 file that cannot be opened: {error}") from error


def _setpoints(run: RunFile, place: NDArray[np.intp]) -> str:
    values = zip(run.axes.items(), place, strict=True)
    return ", ".join(f"{name} {axis[i]:g}" for (name, axis), i in values)
