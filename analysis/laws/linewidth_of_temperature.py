"""The width of a line over temperature: acoustic and optical phonons after Rudin.

Gamma(T) = Gamma_0 + sigma_ac T + Gamma_LO / (exp(E_LO/kT) - 1)
Source: S. Rudin, T. L. Reinecke and B. Segall, Phys. Rev. B 42, 11218 (1990).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.laws.law_fit import LawFit
from analysis.laws.phonon_law import fit_phonon_law
from analysis.spectra.thermal_occupation import thermal_occupation

__all__ = ["fit_linewidth_of_temperature", "linewidth_eV"]

Array = NDArray[np.float64]

_NAMES = ("gamma_0_eV", "sigma_ac_eV_per_K", "gamma_lo_eV", "energy_lo_eV")


def linewidth_eV(temperature_K: ArrayLike, parameters: ArrayLike) -> Array:
    """Return Gamma in eV; parameters: Gamma_0, sigma_ac, Gamma_LO, E_LO in eV and eV/K."""
    gamma_0, acoustic, optical, phonon = np.asarray(parameters, dtype=np.float64)
    temperature = np.asarray(temperature_K, dtype=np.float64)
    # A phonon energy at or below zero, tried on the way, would be no law.
    width: Array = (
        gamma_0
        + acoustic * temperature
        + optical * thermal_occupation(max(phonon, 1e-6), temperature)
    )
    return width


def fit_linewidth_of_temperature(
    temperature_K: ArrayLike,
    width_eV: ArrayLike,
    sigma_eV: ArrayLike,
    *,
    sigma_temperature_K: ArrayLike | None = None,
    fixed: dict[str, float] | None = None,
) -> LawFit:
    """Fit Gamma_0, sigma_ac, Gamma_LO and E_LO, any of which may be fixed by name.

    sigma_eV: of each width, (n,), or their covariance, (n, n).
    E_LO and Gamma_LO are strongly correlated, which is among the warnings; below about 100 K they
    are not determined at all unless E_LO is fixed, from the replicas for instance.
    Raises ValueError for points that cannot be fitted.
    """
    return fit_phonon_law(
        linewidth_eV,
        temperature_K,
        width_eV,
        sigma_eV,
        observed="width_eV",
        names=_NAMES,
        sigma_temperature_K=sigma_temperature_K,
        fixed=fixed,
    )
