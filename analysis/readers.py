"""Read measured spectra from text files and from zip archives of them."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.axis import check_wavelength_axis

__all__ = ["BiasSeries", "TextSpectrum", "parse_spectrum", "read_bias_zip", "read_spectrum"]

Array = NDArray[np.float64]

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?nan|[+-]?inf(inity)?", re.I)
_VOLTAGE = re.compile(r"(?<![\d.])([+-]?\d+(?:\.\d+)?)\s*V(?![a-zA-Z\d])")


@dataclass(frozen=True, slots=True)
class TextSpectrum:
    """One spectrum, wavelength rising, shapes (pixels,)."""

    wavelength_nm: Array
    counts: Array
    header: str


@dataclass(frozen=True, slots=True)
class BiasSeries:
    """Spectra over a bias voltage, both axes rising: (n,), (pixels,), (n, pixels)."""

    voltage_V: Array
    wavelength_nm: Array
    counts: Array


def read_spectrum(path: Path | str) -> TextSpectrum:
    """Read a two-column text file: see parse_spectrum.

    Raises ValueError naming file and line for whatever cannot be a spectrum.
    """
    return parse_spectrum(Path(path).read_bytes(), name=str(path))


def read_bias_zip(path: Path | str) -> BiasSeries:
    """Read a zip of two-column text files whose names hold the voltage, as in "I15_V1=-0.100V.txt".

    Raises ValueError if a name holds no voltage, a voltage comes twice, or the axes differ.
    """
    read: dict[float, TextSpectrum] = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith("/") or Path(name).name.startswith((".", "__")):
                continue
            voltage = _voltage_in(name, archive=str(path))
            if voltage in read:
                raise ValueError(f"{path}: {name} is a second spectrum at {voltage} V")
            read[voltage] = parse_spectrum(archive.read(name), name=f"{path}: {name}")
    if not read:
        raise ValueError(f"{path}: holds no spectrum")
    voltages = sorted(read)
    axis = read[voltages[0]].wavelength_nm
    for voltage in voltages:
        other = read[voltage].wavelength_nm
        if other.shape != axis.shape or not np.allclose(other, axis, rtol=0.0, atol=1e-6):
            raise ValueError(
                f"{path}: the wavelength axis at {voltage} V ({other.size} pixels from "
                f"{other[0]} nm) differs from that at {voltages[0]} V ({axis.size} pixels from "
                f"{axis[0]} nm)"
            )
    counts = np.array([read[voltage].counts for voltage in voltages])
    return BiasSeries(np.array(voltages), axis, counts)


def _voltage_in(name: str, *, archive: str) -> float:
    found = _VOLTAGE.findall(Path(name).name)
    if len(found) != 1:
        raise ValueError(f"{archive}: the name {name} holds {len(found)} voltages, expected one")
    return float(found[0])


def parse_spectrum(text: bytes, *, name: str) -> TextSpectrum:
    """Return wavelength and counts of two-column text, in rising wavelength.

    Columns are separated by tabs, semicolons, commas or blanks; numbers have a decimal point or,
    where the comma does not separate columns, a decimal comma. Lines before the first numeric one
    are the header. Raises ValueError with name and line number.
    """
    lines = text.decode("utf-8-sig", errors="replace").splitlines()
    separator, decimal = _dialect(lines)
    header: list[str] = []
    rows: list[tuple[float, float]] = []
    numbers: list[int] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        cells = _cells(line, separator, decimal)
        numeric = [bool(_NUMBER.fullmatch(cell)) for cell in cells]
        if not rows and not (numeric and numeric[0]):
            header.append(line)
            continue
        if len(cells) != 2 or not all(numeric):
            raise ValueError(f"{name}, line {number}: {line.strip()!r} is not two numbers")
        rows.append((float(cells[0]), float(cells[1])))
        numbers.append(number)
    if not rows:
        raise ValueError(f"{name}: holds no line of two numbers")
    table = np.array(rows)
    _refuse_not_finite(table, numbers, name)
    try:
        axis = check_wavelength_axis(table[:, 0])
    except ValueError as error:
        raise ValueError(f"{name}, lines {numbers[0]} to {numbers[-1]}: {error}") from error
    rising = slice(None) if axis[-1] > axis[0] else slice(None, None, -1)
    return TextSpectrum(axis[rising], table[rising, 1], "\n".join(header))


def _refuse_not_finite(table: Array, numbers: list[int], name: str) -> None:
    wrong = np.flatnonzero(~np.isfinite(table).all(axis=1))
    if wrong.size:
        row = int(wrong[0])
        raise ValueError(
            f"{name}, line {numbers[row]}: {table[row, 0]}, {table[row, 1]} is not finite"
        )


def _dialect(lines: list[str]) -> tuple[str | None, str]:
    """Return the separator (None: blanks) and the decimal mark, from the last line with digits."""
    numeric = [line for line in lines if line.strip()[:1] in "+-.0123456789" and line.strip()]
    sample = numeric[-1] if numeric else ""
    for separator in ("\t", ";"):
        if separator in sample:
            return separator, "," if "." not in sample and "," in sample else "."
    if "," not in sample:
        return None, "."
    # A comma beside blanks between the columns is a decimal mark; alone it separates.
    blanks = len(sample.split()) == 2 and not sample.split()[0].endswith(",")
    return (None, ",") if blanks else (",", ".")


def _cells(line: str, separator: str | None, decimal: str) -> list[str]:
    cells = [cell.strip() for cell in line.strip().split(separator)]
    while len(cells) > 2 and not cells[-1]:
        cells.pop()  # a separator at the end of the line
    return [cell.replace(decimal, ".") if decimal != "." else cell for cell in cells]
