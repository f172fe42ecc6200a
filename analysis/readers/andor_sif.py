"""Read Andor's binary .sif files: single spectra, kinetic series, images.

The layout is not published; it is known from its fields. A text header, whose number of lines
varies with the version, ends in three labels with their lengths ("Wavelength", "Counts", "Pixel
number") and the sizes of frames and sub-images; then one time stamp per frame; then the frames as
32-bit floats. The wavelength polynomial in the pixel (from 1) stands seven lines above the labels.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.readers.measured_spectra import MeasuredSpectra, in_rising_order

__all__ = ["is_andor_sif", "read_andor_sif"]

Array = NDArray[np.float64]

_MAGIC = b"Andor Technology Multi-Channel File\n"
_SIZES = re.compile(
    rb"^(?P<above>(?:[^\n]*\n){7})(?P<axis_length>\d{1,4})\n(?P<labels>[ -~]*?)\d+\n"
    rb"[ -~]*?\d+\n[ -~]*?"
    rb"Pixel number(?P<version>655\d\d) (?P<area>(?:\d+ ){4})(?P<frames>\d{1,9}) "
    rb"(?P<parts>\d{1,9}) (?P<total>\d{1,18}) (?P<each>\d{1,18})\n",
    re.MULTILINE,
)
_PLACE, _BINNING = rb"(\d{1,9})", rb"([1-9]\d{0,8})"
_PART = re.compile(rb" ".join((rb"655\d\d", *4 * [_PLACE], *2 * [_BINNING], rb"\d+\n")))
_STAMP = re.compile(rb" *-?\d+\n")
_HEADER_BYTES = 262_144
_UNCALIBRATED = (0.0, 1.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class _Layout:
    """columns, rows: of one frame as stored; axis: its polynomial, lowest order first."""

    columns: int
    rows: int
    frames: int
    begin: int
    polynomial: tuple[float, ...]
    axis_label: str


def is_andor_sif(head: bytes) -> bool:
    """Return whether a file that begins like this claims to be one."""
    return head.startswith(_MAGIC)


def read_andor_sif(path: Path | str) -> MeasuredSpectra:
    """Read a file; rows of an image become spectra of their own.

    Raises ValueError for another file, a header of unknown layout, an axis that is no wavelength,
    or fewer frames than announced.
    """
    content = Path(path).read_bytes()
    layout = _layout(content, str(path))
    values = layout.columns * layout.rows * layout.frames
    if len(content) < layout.begin + 4 * values:
        raise ValueError(
            f"{path}: {values} values are announced, {(len(content) - layout.begin) // 4} are there"
        )
    frames = np.frombuffer(content, "<f4", values, layout.begin).astype(np.float64)
    counts = frames.reshape(layout.frames * layout.rows, layout.columns)
    if not np.isfinite(counts).all():
        raise ValueError(f"{path}: counts are not finite: the frames begin elsewhere")
    if "wavelength" not in layout.axis_label.lower():
        raise ValueError(f"{path}: the axis is {layout.axis_label!r}, not a wavelength")
    pixel = np.arange(1, layout.columns + 1, dtype=np.float64)
    axis = np.asarray(np.polynomial.polynomial.polyval(pixel, layout.polynomial), np.float64)
    wavelength_nm, counts = in_rising_order(axis, counts, str(path))
    return MeasuredSpectra(
        source=str(path),
        format="Andor SIF",
        wavelength_nm=wavelength_nm,
        counts=counts,
        labels=_labels(layout),
        settings=_settings(content),
    )


def _labels(layout: _Layout) -> tuple[str, ...]:
    rows = [f", row {row}" for row in range(layout.rows)] if layout.rows > 1 else [""]
    return tuple(f"frame {frame}{row}" for frame in range(layout.frames) for row in rows)


def _layout(content: bytes, source: str) -> _Layout:
    if not is_andor_sif(content):
        raise ValueError(f"{source}: is no Andor SIF file")
    found = _SIZES.search(content, 0, _HEADER_BYTES)
    if found is None:
        raise ValueError(f"{source}: a SIF header of unknown layout")
    frames, parts = int(found["frames"]), int(found["parts"])
    place, rows, columns = found.end(), 0, 0
    for _ in range(parts):
        part = _PART.match(content, place)
        if part is None:
            raise ValueError(f"{source}: the size of a sub-image is missing, or none")
        left, top, right, bottom, y_binning, x_binning = (int(v) for v in part.groups())
        columns = (right - left + 1) // x_binning
        rows += (top - bottom + 1) // y_binning
        place = part.end()
    if int(found["each"]) != columns * rows or int(found["total"]) != columns * rows * frames:
        raise ValueError(
            f"{source}: {frames} frames of {columns} x {rows} pixels are announced, and a length "
            f"of {int(found['total'])}"
        )
    polynomial = _polynomial(found["above"].split(b"\n")[0], source)
    label = content[found.end("axis_length") + 1 :][: int(found["axis_length"])]
    begin = _behind_stamps(content, place, frames, source)
    return _Layout(columns, rows, frames, begin, polynomial, label.decode("latin-1"))


def _polynomial(line: bytes, source: str) -> tuple[float, ...]:
    try:
        coefficients = tuple(float(word) for word in line.split())
    except ValueError:
        coefficients = ()
    if len(coefficients) != 4:
        raise ValueError(f"{source}: no four coefficients of the axis in {line[:60]!r}")
    if coefficients == _UNCALIBRATED:
        raise ValueError(f"{source}: the spectrograph was not calibrated, its axis is the pixel")
    return coefficients


def _behind_stamps(content: bytes, place: int, frames: int, source: str) -> int:
    """Return where the frames begin: behind a stamp each, a flag, and a second stamp each if 1."""

    def skip(number: int, place: int) -> int:
        for _ in range(number):
            stamp = _STAMP.match(content, place)
            if stamp is None:
                raise ValueError(f"{source}: fewer time stamps than frames ({frames})")
            place = stamp.end()
        return place

    place = skip(frames, place)
    flag = content[place : place + 2]
    if flag == b"0\n":
        return place + 2
    return skip(frames, place + 2) if flag == b"1\n" else place


def _settings(content: bytes) -> dict[str, str]:
    """Return detector, temperature and exposure from the first lines."""
    lines = content[:2048].split(b"\n")
    words = lines[2].replace(b"\x00", b" ").split() if len(lines) > 3 else []
    # Version, three flags, time, detector temperature, seven binary words, exposure.
    plain = [word for word in words if re.fullmatch(rb"[-+.\deE]+", word)]
    settings = {"detector": lines[3].decode("latin-1").strip()} if len(lines) > 3 else {}
    if len(plain) > 7:
        settings["detector_temperature_C"] = plain[5].decode()
        settings["exposure_s"] = plain[7].decode()
    return settings
