"""Read Princeton Instruments' .spe files, versions 2.x (WinSpec) and 3.0 (LightField).

Both begin with a header of 4100 bytes that gives the sizes; in version 2 it also holds the
wavelength polynomial, in version 3 an XML footer holds frames, regions and every wavelength.
Source: Princeton Instruments, SPE 3.0 File Format Specification (2014), with version 2.x in it.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from analysis.readers.measured_spectra import MeasuredSpectra, in_rising_order

__all__ = ["is_princeton_spe", "read_princeton_spe"]

Array = NDArray[np.float64]

_HEADER_BYTES = 4100
_LAST_VALUE = 0x01234567  # at 2996
_COLUMNS, _TYPE, _ROWS, _FRAMES, _FOOTER, _VERSION = 42, 108, 656, 1446, 678, 1992
_POLYNOMIAL_ORDER, _COEFFICIENTS, _UNIT, _EXPOSURE = 3101, 3263, 3016, 10
_NUMBERS = {0: "<f4", 1: "<i4", 2: "<i2", 3: "<u2", 5: "<f8", 6: "u1", 8: "<u4"}
_FORMATS = {
    "MonochromeUnsigned16": "<u2",
    "MonochromeUnsigned32": "<u4",
    "MonochromeFloating32": "<f4",
}
_NAMESPACE = "{http://www.princetoninstruments.com/spe/2009}"


def is_princeton_spe(head: bytes) -> bool:
    """Return whether a file whose first 4100 bytes are these claims to be one."""
    if len(head) < _HEADER_BYTES:
        return False
    (mark,) = struct.unpack_from("<i", head, 2996)
    (version,) = struct.unpack_from("<f", head, _VERSION)
    return mark == _LAST_VALUE or version in (2.0, 2.1, 2.2, 2.25, 2.5, 3.0)


def read_princeton_spe(path: Path | str) -> MeasuredSpectra:
    """Read a file; rows of a region become spectra of their own, of one region only.

    Raises ValueError for another file, a version or number format not known, several regions, an
    axis that is missing, or fewer frames than announced.
    """
    content = Path(path).read_bytes()
    if not is_princeton_spe(content[:_HEADER_BYTES]):
        raise ValueError(f"{path}: is no Princeton SPE file")
    (version,) = struct.unpack_from("<f", content, _VERSION)
    if version >= 3.0:
        return _version_3(content, str(path))
    return _version_2(content, str(path), version)


def _version_2(content: bytes, source: str, version: float) -> MeasuredSpectra:
    (columns,) = struct.unpack_from("<H", content, _COLUMNS)
    (rows,) = struct.unpack_from("<H", content, _ROWS)
    (frames,) = struct.unpack_from("<i", content, _FRAMES)
    (kind,) = struct.unpack_from("<h", content, _TYPE)
    if kind not in _NUMBERS:
        raise ValueError(f"{source}: number format {kind} is not known")
    counts = _numbers(content, _NUMBERS[kind], source, columns * rows, frames, _HEADER_BYTES, 0)
    order = content[_POLYNOMIAL_ORDER]
    coefficients = struct.unpack_from("<6d", content, _COEFFICIENTS)[: order + 1]
    unit = content[_UNIT : _UNIT + 40].split(b"\0")[0].decode("latin-1").strip()
    if not 1 <= order <= 5 or not any(coefficients[1:]):
        raise ValueError(f"{source}: holds no wavelength calibration")
    if unit and "nm" not in unit and "avelength" not in unit:
        raise ValueError(f"{source}: the axis is in {unit!r}, not a wavelength in nm")
    pixel = np.arange(1, columns + 1, dtype=np.float64)
    axis = np.polynomial.polynomial.polyval(pixel, coefficients)
    (exposure_s,) = struct.unpack_from("<f", content, _EXPOSURE)
    return _spectra(source, f"Princeton SPE {version:.3g}", axis, counts, rows, exposure_s)


def _version_3(content: bytes, source: str) -> MeasuredSpectra:
    (end,) = struct.unpack_from("<Q", content, _FOOTER)
    footer = _footer(content, end, source)
    frame = footer.find(f"{_NAMESPACE}DataFormat/{_NAMESPACE}DataBlock")
    regions = [] if frame is None else frame.findall(f"{_NAMESPACE}DataBlock")
    if frame is None or len(regions) != 1:
        raise ValueError(f"{source}: {len(regions)} regions of interest, exactly one can be read")
    number = _FORMATS.get(frame.attrib.get("pixelFormat", ""))
    if number is None:
        raise ValueError(f"{source}: pixel format {frame.attrib.get('pixelFormat')} is not known")
    columns, rows = (_whole(regions[0], name, source, least=1) for name in ("width", "height"))
    counts = _numbers(
        content[:end],
        number,
        source,
        columns * rows,
        _whole(frame, "count", source, least=1),
        _HEADER_BYTES,
        _whole(frame, "stride", source, least=0),
    )
    written = footer.find(f".//{_NAMESPACE}WavelengthMapping/{_NAMESPACE}Wavelength")
    if written is None or not written.text:
        raise ValueError(f"{source}: holds no wavelength calibration")
    axis = _wavelengths(written.text, source)
    mapping = footer.find(f".//{_NAMESPACE}SensorMapping")
    first = 0 if mapping is None else _whole(mapping, "x", source, least=0)
    if axis.size != columns and axis.size >= first + columns:
        axis = axis[first : first + columns]  # the calibration of the whole sensor
    if axis.size != columns:
        raise ValueError(f"{source}: {axis.size} wavelengths for {columns} pixels")
    return _spectra(source, "Princeton SPE 3.0", axis, counts, rows, _exposure_s(footer))


def _footer(content: bytes, place: int, source: str) -> ElementTree.Element:
    text = content[place:]
    if not _HEADER_BYTES <= place < len(content) or b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise ValueError(f"{source}: holds no XML footer that can be trusted")
    try:
        return ElementTree.fromstring(text)  # noqa: S314 - without document type or entities
    except ElementTree.ParseError as error:
        raise ValueError(f"{source}: the XML footer is broken: {error}") from error


def _whole(element: ElementTree.Element, name: str, source: str, *, least: int) -> int:
    """Return an attribute that is a whole number of 1 to 9 digits."""
    found = element.attrib.get(name, "nothing")
    if re.fullmatch(r"[0-9]{1,9}", found) is None or int(found) < least:
        tag = element.tag.removeprefix(_NAMESPACE)
        raise ValueError(
            f"{source}: {name} of {tag} is {found[:20]!r}, expected a whole number from {least} on"
        )
    return int(found)


def _wavelengths(text: str, source: str) -> Array:
    words = text.split(",")
    try:
        return np.array([float(word) for word in words])
    except ValueError as error:
        raise ValueError(f"{source}: the wavelengths of the footer: {error}") from error


def _exposure_s(footer: ElementTree.Element) -> float:
    """Return the exposure; NaN where the footer tells none."""
    found = next((e.text for e in footer.iter() if e.tag.endswith("}ExposureTime") and e.text), "")
    try:
        return float(found) * 1e-3
    except ValueError:
        return float("nan")


def _numbers(
    content: bytes, number: str, source: str, each: int, frames: int, begin: int, stride: int
) -> Array:
    """Return the frames, shape (frames, values of each)."""
    size = np.dtype(number).itemsize * each
    stride = stride or size
    if not each or frames < 1 or len(content) < begin + (frames - 1) * stride + size:
        raise ValueError(f"{source}: {frames} frames of {each} values do not fit into the file")
    rows = [np.frombuffer(content, number, each, begin + i * stride) for i in range(frames)]
    return np.array(rows, dtype=np.float64)


def _spectra(
    source: str, form: str, axis: Array, frames: Array, rows: int, exposure_s: float
) -> MeasuredSpectra:
    counts = frames.reshape(len(frames) * rows, axis.size)
    wavelength_nm, counts = in_rising_order(axis, counts, source)
    row = [f", row {i}" for i in range(rows)] if rows > 1 else [""]
    return MeasuredSpectra(
        source=source,
        format=form,
        wavelength_nm=wavelength_nm,
        counts=counts,
        labels=tuple(f"frame {i}{name}" for i in range(len(frames)) for name in row),
        settings={"exposure_s": f"{exposure_s:g}"},
    )
