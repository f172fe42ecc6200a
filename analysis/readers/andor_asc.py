"""Read Andor's text exports (.asc): settings, then wavelength and one column per frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analysis.readers.measured_spectra import MeasuredSpectra, in_rising_order
from analysis.readers.text_table import decoded, parse_table

__all__ = ["is_andor_asc", "read_andor_asc"]

_SIGNS = ("Date and Time:", "Software Version:", "Acquisition Mode:", "Exposure Time (secs):")


def is_andor_asc(text: str) -> bool:
    """Return whether a text holds Andor's settings, before or after the numbers."""
    return sum(sign in text for sign in _SIGNS) >= 2


def read_andor_asc(path: Path | str) -> MeasuredSpectra:
    """Read a file. Raises ValueError, naming line or column, for what is no table of numbers."""
    table = parse_table(decoded(Path(path).read_bytes()), source=str(path))
    if table.numbers.shape[1] < 2:
        raise ValueError(f"{path}: holds one column, an axis and counts are needed")
    wavelength_nm, counts = in_rising_order(
        table.numbers[:, 0], np.ascontiguousarray(table.numbers[:, 1:].T), str(path)
    )
    pairs = [line.split(":", 1) for line in table.other if ":" in line]
    known = {key.strip(): value.strip() for key, value in pairs if value.strip()}
    exposure = known.get("Exposure Time (secs)")
    return MeasuredSpectra(
        source=str(path),
        format="Andor ASC",
        wavelength_nm=wavelength_nm,
        counts=counts,
        labels=tuple(f"frame {i}" for i in range(len(counts))),
        settings=known | ({"exposure_s": exposure} if exposure else {}),
    )
