"""The energy of a line over temperature: thermal expansion and one phonon.

E(T) = E_0 + A_TE T + A_ep [2 / (exp(E_ph/kT) - 1) + 1], without phase transitions.
Source: D. Olguin, M. Cardona and A. Cantarero, Solid State Commun. 122, 575 (2002).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.estimation.linear_start import scan_start
from analysis.estimation.weighted_least_squares import check_points, errors_of
from analysis.laws.law_fit import LawFit, fit_law
from analysis.spectra.thermal_occupation import thermal_occupation

__all__ = ["energy_at_temperature_eV", "fit_energy_of_temperature"]

Array = NDArray[np.float64]

_NAMES = ("energy_0_eV", "expansion_eV_per_K", "coupling_eV", "phonon_eV")
_PHONONS_EV = np.geomspace(2e-3, 60e-3, 60)


def energy_at_temperature_eV(temperature_K: ArrayLike, parameters: ArrayLike) -> Array:
    """Return E in eV; parameters: E_0, A_TE, A_ep, E_ph in eV and eV/K."""
    level, expansion, coupling, phonon = np.asarray(parameters, dtype=np.float64)
    temperature = np.asarray(temperature_K, dtype=np.float64)
    doubled = 2.0 * thermal_occupation(max(phonon, 1e-6), temperature) + 1.0
    energy: Array = level + expansion * temperature + coupling * doubled
    return energy


def fit_energy_of_temperature(
    temperature_K: ArrayLike,
    energy_eV: ArrayLike,
    sigma_eV: ArrayLike,
    *,
    sigma_temperature_K: ArrayLike | None = None,
    fixed: dict[str, float] | None = None,
) -> LawFit:
    """Fit E_0, A_TE, A_ep and E_ph, any of which may be fixed by name.

    sigma_eV: of each energy, (n,), or their covariance, (n, n).
    Expansion and phonon share the slope at high temperature: where the sweep shows no bend between
    them the verdict says that they are not determined, while the curve itself is.
    Raises ValueError for points that cannot be fitted.
    """
    sigma = errors_of(sigma_eV)
    temperature, energy, sigma = check_points(
        {"temperature_K": temperature_K, "energy_eV": energy_eV, "sigma_eV": sigma}
    )

    def columns(phonon: float) -> Array:
        doubled = 2.0 * thermal_occupation(phonon, temperature) + 1.0
        return np.column_stack([np.ones_like(temperature), temperature, doubled])

    known = (fixed or {}).get("phonon_eV")
    grid = _PHONONS_EV if known is None else np.array([known])
    phonon, linear = scan_start(columns, energy, sigma, grid)
    return fit_law(
        energy_at_temperature_eV,
        temperature,
        energy,
        sigma_eV,
        start=[*linear, phonon],
        names=_NAMES,
        sigma_x=sigma_temperature_K,
        fixed=fixed,
        wanted=("coupling_eV", "phonon_eV"),
    )
