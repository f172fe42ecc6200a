"""Spectra over a bias voltage: a zip of text files whose names hold the voltage."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.readers.measured_spectra import MeasuredSpectra
from analysis.readers.text_spectra import parse_text_spectra
from analysis.readers.text_table import decoded

__all__ = ["BiasSeries", "read_bias_zip"]

Array = NDArray[np.float64]

_DAMAGED = (zipfile.BadZipFile, zlib.error, UnicodeDecodeError, EOFError, OSError)
_UNKNOWN = (NotImplementedError, RuntimeError)  # a method of packing, and encryption
_VOLTAGE = re.compile(r"(?<![\d.])([+-]?\d+(?:\.\d+)?)\s*V(?![a-zA-Z\d])")


@dataclass(frozen=True, slots=True)
class BiasSeries:
    """Spectra over a bias voltage, both axes rising: (n,), (pixels,), (n, pixels).

    notes: what was repaired or assumed while reading.
    """

    voltage_V: Array
    wavelength_nm: Array
    counts: Array
    notes: tuple[str, ...] = ()


def read_bias_zip(path: Path | str) -> BiasSeries:
    """Read a zip of text files whose names hold the voltage, as in "I15_V1=-0.100V.txt".

    Raises ValueError if it cannot be unpacked, a name holds no voltage, a voltage comes twice, a
    file is no single spectrum, or the axes differ.
    """
    read: dict[float, MeasuredSpectra] = {}
    for name, content in _unpacked(path):
        voltage = _voltage_in(name, archive=str(path))
        if voltage in read:
            raise ValueError(f"{path}: {name} is a second spectrum at {voltage} V")
        read[voltage] = parse_text_spectra(decoded(content), source=f"{path}: {name}")
    if not read:
        raise ValueError(f"{path}: holds no spectrum")
    voltages = sorted(read)
    axis = read[voltages[0]].wavelength_nm
    for voltage in voltages:
        _refuse_another_axis(read[voltage], axis, voltage=voltage, first=voltages[0])
    return BiasSeries(
        np.array(voltages),
        axis,
        np.concatenate([read[voltage].counts for voltage in voltages]),
        tuple(dict.fromkeys(note for voltage in voltages for note in read[voltage].notes)),
    )


def _unpacked(path: Path | str) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every file that is not hidden."""
    name = "its list of files"
    with Path(path).open("rb") as file:
        try:
            archive = zipfile.ZipFile(file)
            for name in archive.namelist():
                if not name.endswith("/") and not Path(name).name.startswith((".", "__")):
                    yield name, archive.read(name)
        except (*_DAMAGED, *_UNKNOWN) as error:
            raise ValueError(f"{path}: {name} cannot be unpacked: {str(error)[:80]}") from error


def _refuse_another_axis(
    spectra: MeasuredSpectra, axis: Array, *, voltage: float, first: float
) -> None:
    if len(spectra.counts) != 1:
        raise ValueError(f"{spectra.source}: holds {len(spectra.counts)} spectra, expected one")
    other = spectra.wavelength_nm
    if other.shape != axis.shape or not np.allclose(other, axis, rtol=0.0, atol=1e-6):
        raise ValueError(
            f"{spectra.source}: the wavelength axis at {voltage} V ({other.size} pixels from "
            f"{other[0]} nm) differs from that at {first} V ({axis.size} pixels from {axis[0]} nm)"
        )


def _voltage_in(name: str, *, archive: str) -> float:
    found = _VOLTAGE.findall(Path(name).name)
    if len(found) != 1:
        raise ValueError(f"{archive}: the name {name} holds {len(found)} voltages, expected one")
    return float(found[0])
