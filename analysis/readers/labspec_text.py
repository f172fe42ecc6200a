"""Read the text exports of Horiba's LabSpec: lines "#key=value", then a spectrum or a map.

A map has the axis in its first row, below one or two empty cells, and the place on the sample in
the first cells of every other row. LabSpec's XML and binary files are not read: what their fields
mean is not published.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from analysis.readers.measured_spectra import MeasuredSpectra, in_rising_order
from analysis.readers.text_table import parse_table
from analysis.wavelength.units import wavelength_from_energy_nm

__all__ = ["is_labspec_text", "parse_labspec_text"]

_SETTING = re.compile(r"#\s*([^=]+?)\s*=\s*(.*?)\s*")
_MOST_PLACES = 2  # on the sample
_RANGE = re.compile(r"Range \((.+)\)")


def is_labspec_text(text: str) -> bool:
    """Return whether a text begins with LabSpec's settings."""
    head = text[:4000]
    return text.startswith("#") and "#Acq. time (s)=" in head and "#Accumulations=" in head


def parse_labspec_text(text: str, *, source: str) -> MeasuredSpectra:
    """Read a spectrum or a map. Raises ValueError, naming it, for an axis not in nm or eV."""
    lines = text.splitlines()
    settings = {
        found[1]: found[2] for line in lines if (found := _SETTING.fullmatch(line)) is not None
    }
    numbers = parse_table(
        "\n".join("" if line.startswith("#") else line for line in lines), source=source
    ).numbers
    places = int(np.argmax(np.isfinite(numbers[0]))) if np.isnan(numbers[0, 0]) else 0
    if places > _MOST_PLACES:
        raise ValueError(
            f"{source}: the axis of a map begins with {places} empty cells, at most {_MOST_PLACES} "
            "are the place: wavelengths are missing"
        )
    if places:
        axis, counts = numbers[0, places:], numbers[1:, places:]
        labels = tuple(", ".join(f"{at:g}" for at in row) for row in numbers[1:, :places])
    else:
        axis, counts = numbers[:, 0], np.ascontiguousarray(numbers[:, 1:].T)
        labels = (
            tuple(f"column {k}" for k in range(2, len(counts) + 2)) if len(counts) > 1 else ("",)
        )
    unit = _unit(settings, source)
    wavelength_nm, counts = in_rising_order(_in_nm(axis, unit, source), counts, source)
    exposure = settings.get("Acq. time (s)")
    return MeasuredSpectra(
        source=source,
        format="LabSpec text",
        wavelength_nm=wavelength_nm,
        counts=counts,
        labels=labels,
        medium="vacuum" if unit == "eV" else "unknown",
        notes=() if unit else ("LabSpec names no unit of the axis: taken as nm",),
        settings=settings | ({"exposure_s": exposure} if exposure else {}),
    )


def _in_nm(axis: NDArray[np.float64], unit: str, source: str) -> NDArray[np.float64]:
    try:
        return wavelength_from_energy_nm(axis) if unit == "eV" else axis
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def _unit(settings: dict[str, str], source: str) -> str:
    """Return "nm" or "eV", or nothing where the file does not say."""
    ranges = [found[1] for key in settings if (found := _RANGE.fullmatch(key)) is not None]
    unit = settings.get("AxisUnit[1]", ranges[0] if ranges else "")
    if unit not in ("nm", "eV", ""):
        raise ValueError(
            f"{source}: the axis is in {unit!r}, neither a wavelength nor an energy; "
            "export it in nm or eV"
        )
    return unit
