"""Spectra as foreign files hold them: one axis, any number of spectra, what is said of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analysis.wavelength.axis import check_wavelength_axis

__all__ = ["MeasuredSpectra", "in_rising_order"]

Array = NDArray[np.float64]
Medium = Literal["air", "vacuum", "unknown"]

_SHORTEST_NM, _LONGEST_NM = 100.0, 30_000.0  # else it is eV, meV, pixels or 1/cm


@dataclass(frozen=True, slots=True)
class MeasuredSpectra:
    """wavelength_nm: rising, (pixels,); counts: (spectra, pixels); labels: one for each spectrum.

    medium: in which the wavelengths are; few formats say.
    notes: what was repaired or left out while reading, for people.
    settings: what the file says of the instrument, such as exposure_s.
    """

    source: str
    format: str
    wavelength_nm: Array
    counts: Array
    labels: tuple[str, ...]
    medium: Medium = "unknown"
    notes: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        expected = (len(self.labels), self.wavelength_nm.size)
        if self.counts.shape != expected:
            raise ValueError(
                f"{self.source}: counts of shape {self.counts.shape} for {expected[0]} spectra of "
                f"{expected[1]} pixels"
            )


def in_rising_order(axis: Array, counts: Array, source: str) -> tuple[Array, Array]:
    """Return axis and counts with the wavelength rising.

    Raises ValueError, naming the file, for an axis that is none: not finite, not positive, not in
    order, or not in nm. Such an axis is never repaired, since nobody can know how.
    """
    try:
        checked = check_wavelength_axis(axis)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    low, high = sorted((float(checked[0]), float(checked[-1])))
    if low < _SHORTEST_NM or high > _LONGEST_NM:
        raise ValueError(
            f"{source}: an axis from {low:.6g} to {high:.6g} is none in nm (allowed is "
            f"{_SHORTEST_NM:g} to {_LONGEST_NM:g}); name the column of an axis in eV so"
        )
    turn = slice(None) if checked[-1] > checked[0] else slice(None, None, -1)
    return checked[turn], counts[..., turn]
