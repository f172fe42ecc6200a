"""Convert between wavelength and photon energy, in vacuum and in air.

The only place in analysis where a conversion factor appears.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "HC_EV_NM",
    "air_from_vacuum_nm",
    "energy_from_wavelength_eV",
    "refractive_index_of_air",
    "vacuum_from_air_nm",
    "wavelength_from_energy_nm",
]

# h c / e from the defining constants of the SI (2019): exact.
HC_EV_NM = 6.62607015e-34 * 299792458.0 / 1.602176634e-19 * 1e9


def energy_from_wavelength_eV(wavelength_nm: ArrayLike) -> NDArray[np.float64]:
    """Return the photon energy in eV of each vacuum wavelength.

    Raises ValueError unless every wavelength is finite and positive.
    """
    return HC_EV_NM / _positive(wavelength_nm, "wavelength_nm")


def wavelength_from_energy_nm(energy_eV: ArrayLike) -> NDArray[np.float64]:
    """Return the vacuum wavelength in nm of each photon energy.

    Raises ValueError unless every energy is finite and positive.
    """
    return HC_EV_NM / _positive(energy_eV, "energy_eV")


def refractive_index_of_air(vacuum_nm: ArrayLike) -> NDArray[np.float64]:
    """Return n of standard air (15 C, 101325 Pa, dry, 450 ppm CO2) at vacuum wavelengths.

    Valid from 230 to 1690 nm.
    Source: P. E. Ciddor, Appl. Opt. 35, 1566 (1996), equation 1.
    """
    inverse_um2 = (1e3 / _positive(vacuum_nm, "vacuum_nm")) ** 2
    return 1.0 + 0.05792105 / (238.0185 - inverse_um2) + 0.00167917 / (57.362 - inverse_um2)


def air_from_vacuum_nm(vacuum_nm: ArrayLike) -> NDArray[np.float64]:
    """Return the wavelength in standard air of each vacuum wavelength, in nm."""
    return _positive(vacuum_nm, "vacuum_nm") / refractive_index_of_air(vacuum_nm)


def vacuum_from_air_nm(air_nm: ArrayLike) -> NDArray[np.float64]:
    """Return the vacuum wavelength of each wavelength in standard air, in nm."""
    air = _positive(air_nm, "air_nm")
    vacuum = air
    for _ in range(4):  # each pass gains three digits, since dn/dlambda is ~1e-8 per nm
        vacuum = air * refractive_index_of_air(vacuum)
    return vacuum


def _positive(values: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    wrong = ~(np.isfinite(array) & (array > 0))
    if wrong.any():
        raise ValueError(f"{name}: {array[wrong].flat[0]} is not a finite positive number")
    return array
