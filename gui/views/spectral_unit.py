"""The unit of a spectral axis: photon energy, or wavelength in vacuum."""

from enum import Enum
from math import nan

from analysis.wavelength.units import HC_EV_NM

__all__ = ["SpectralUnit"]


class SpectralUnit(Enum):
    EV = "eV"
    NM = "nm"

    @property
    def label(self) -> str:
        return "photon energy" if self is SpectralUnit.EV else "wavelength"

    @property
    def other(self) -> "SpectralUnit":
        return SpectralUnit.NM if self is SpectralUnit.EV else SpectralUnit.EV

    def of_eV(self, energy_eV: float) -> float:
        """Return a photon energy in this unit; NaN for what is none."""
        if not energy_eV > 0:
            return nan
        return energy_eV if self is SpectralUnit.EV else HC_EV_NM / energy_eV

    def to_eV(self, value: float) -> float:
        """Return a value in this unit as photon energy in eV; NaN for what is none."""
        return self.of_eV(value)  # the same hyperbola both ways
