"""Spectra in text: two columns, several columns with names, or a matrix either way round."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.readers.measured_spectra import MeasuredSpectra, Medium, in_rising_order
from analysis.readers.text_table import Table, parse_table
from analysis.wavelength.units import wavelength_from_energy_nm

__all__ = ["parse_text_spectra"]

Array = NDArray[np.float64]

_WAVELENGTH = re.compile(r"wave ?length|wellenl|\bnm\b|lambda|^wl", re.I)
_ENERGY = re.compile(r"energy|\beV\b", re.I)
_NO_WAVELENGTH = re.compile(
    r"raman|wave ?number|cm-?1|1/cm|\bpixel|channel|frequency|\b[GT]Hz\b", re.I
)
_OTHER_UNIT = re.compile(r"\b[uµμ]m\b|micron|\bpm\b|Å|angstr|\bmeV\b|[(\[] ?A ?[)\]]", re.I)
_NO_COUNTS = re.compile(r"^dark$|reference|%|absorb|irradiance|error|sigma|time|date", re.I)
_SUBTRACTED = re.compile(r"dark subtracted|corrected", re.I)
_RAW = re.compile(r"\braw\b", re.I)
_FULL_SCALE = 65535.0  # of 16 bits, which a subtracted dark frame hides


@dataclass(frozen=True, slots=True)
class _Columns:
    """One axis and spectra of its length, shape (pixels,) and (spectra, pixels)."""

    axis: Array
    counts: Array
    labels: tuple[str, ...]
    notes: tuple[str, ...] = ()
    medium: Medium = "unknown"


def parse_text_spectra(text: str, *, source: str) -> MeasuredSpectra:
    """Read spectra from text in any dialect of text_table.

    A column named after an energy in eV is converted, one named after a Raman shift, a pixel or
    another unit is refused; without names, or with strange ones, the first column, or the first
    row of a longer matrix, is taken as the wavelength in nm, and a note says so; as it does of
    pixels at the ends that have no wavelength and are left out. Raises
    ValueError, naming file and line, for whatever cannot be a spectrum.
    """
    table = parse_table(text, source=source)
    found = _named(table, source) if table.names else _unnamed(table, source)
    found = _without_open_ends(found, source)
    wavelength_nm, counts = in_rising_order(found.axis, found.counts, source)
    notes = found.notes
    if table.left_out:
        notes = (*notes, f"line {table.left_out[0]} holds numbers, but not as many: left out")
    missing = int((~np.isfinite(counts)).sum())
    if missing == counts.size:
        raise ValueError(f"{source}: no count is a finite number")
    if missing:
        notes = (*notes, f"{missing} counts are no finite numbers and are left out of fits")
    return MeasuredSpectra(source, "text", wavelength_nm, counts, found.labels, found.medium, notes)


def _named(table: Table, source: str) -> _Columns:
    names, numbers = table.names, table.numbers
    axis, convert, assumed = _axis_column(names, source)
    others = [k for k in range(len(names)) if k != axis]
    spectra = [k for k in others if not _is_no_spectrum(names[k], numbers[:, k])]
    subtracted = [k for k in spectra if _SUBTRACTED.search(names[k])]
    chosen = subtracted or spectra
    if not chosen:
        raise ValueError(f"{source}: none of the columns {', '.join(names)} holds counts")
    left = [names[k] for k in others if k not in chosen]
    notes = (*assumed, *((f"columns not used: {', '.join(left)}",) if left else ()))
    said = re.search(r"\b(air|vac(uum)?)\b", names[axis], re.I)
    medium: Medium = "unknown" if not said else "air" if said[0].lower() == "air" else "vacuum"
    counts = np.array(numbers[:, chosen].T)
    if subtracted:
        raw = [k for k in others if _RAW.search(names[k])]
        saturated = (numbers[:, raw] >= _FULL_SCALE).any(axis=1)
        if saturated.any():
            counts[:, saturated] = np.nan
            at = f"{int(saturated.sum())} pixels at {_FULL_SCALE:g} in {names[raw[0]]!r}"
            notes = (*notes, f"{at} are saturated and left out")
    return _Columns(
        convert(numbers[:, axis]),
        counts,
        tuple(names[k] for k in chosen),
        notes,
        "vacuum" if convert is _from_energy else medium,
    )


def _is_no_spectrum(name: str, values: Array) -> bool:
    """Return whether a column holds something else by its name, such as a second axis."""
    if _NO_COUNTS.search(name) or _NO_WAVELENGTH.search(name):
        return True
    return bool(_WAVELENGTH.search(name) or _ENERGY.search(name)) and _is_axis(values)


def _axis_column(
    names: tuple[str, ...], source: str
) -> tuple[int, Callable[[Array], Array], tuple[str, ...]]:
    """Return the column of the axis, what makes nm of it, and what had to be assumed."""
    for pattern, convert in ((_WAVELENGTH, _as_it_is), (_ENERGY, _from_energy)):
        for k, name in enumerate(names):
            if pattern.search(name) and not _NO_WAVELENGTH.search(name):
                if _OTHER_UNIT.search(name):
                    raise ValueError(f"{source}: the axis is {name!r}, needed is one in nm or eV")
                return k, convert, ()
    if _NO_WAVELENGTH.search(names[0]):
        raise ValueError(f"{source}: the axis is {names[0]!r}, neither a wavelength nor an energy")
    return 0, _as_it_is, (f"the column named {names[0]!r} is taken as the wavelength in nm",)


def _as_it_is(wavelength_nm: Array) -> Array:
    return wavelength_nm


def _from_energy(energy_eV: Array) -> Array:
    with np.errstate(invalid="ignore"):
        known = np.isfinite(energy_eV) & (energy_eV > 0)
    wavelength_nm = np.full(energy_eV.shape, np.nan)
    wavelength_nm[known] = wavelength_from_energy_nm(energy_eV[known])
    return wavelength_nm


def _unnamed(table: Table, source: str) -> _Columns:
    numbers = table.numbers
    if len(numbers) == 1:
        raise ValueError(f"{source}: holds a single row of numbers, no axis")
    if len(numbers) < numbers.shape[1] and _is_axis(numbers[0, 1:]):
        return _by_rows(numbers)
    labels = tuple(f"column {k}" for k in range(2, numbers.shape[1] + 1))
    if np.isnan(numbers[0, 0]) and not np.isnan(numbers[0, 1:]).any():
        labels = tuple(f"{value:g}" for value in numbers[0, 1:])
        numbers = numbers[1:]
    return _Columns(
        numbers[:, 0],
        np.ascontiguousarray(numbers[:, 1:].T),
        labels if labels else ("",),
        ("no column is named: the first is taken as the wavelength in nm",),
    )


def _by_rows(numbers: Array) -> _Columns:
    """Return a matrix whose first row is the axis, with or without a column of labels."""
    corner = numbers[0, 0]
    if np.isnan(corner) or not _is_axis(numbers[0]):
        labels = tuple(f"{value:g}" for value in numbers[1:, 0])
        return _Columns(
            numbers[0, 1:],
            numbers[1:, 1:],
            labels,
            ("the first row is taken as the wavelength in nm",),
        )
    labels = tuple(f"row {k}" for k in range(2, len(numbers) + 1))
    return _Columns(
        numbers[0], numbers[1:], labels, ("the first row is taken as the wavelength in nm",)
    )


def _is_axis(values: Array) -> bool:
    steps = np.diff(values)
    return bool((values > 0).all() and ((steps > 0).all() or (steps < 0).all()))


def _without_open_ends(found: _Columns, source: str) -> _Columns:
    """Return the stretch of pixels that have a wavelength. Raises ValueError for gaps within."""
    known = np.flatnonzero(np.isfinite(found.axis))
    if not known.size:
        raise ValueError(f"{source}: no pixel has a wavelength")
    part = slice(int(known[0]), int(known[-1]) + 1)
    lost = found.axis.size - (part.stop - part.start)
    if not lost:
        return found
    note = f"{lost} pixels at the ends have no wavelength and are left out"
    return _Columns(
        found.axis[part], found.counts[:, part], found.labels, (*found.notes, note), found.medium
    )
