"""The energy of a line over temperature: thermal expansion and one phonon.

E(T) = E_0 + A_TE T + A_ep [2 / (exp(E_ph/kT) - 1) + 1], without phase transitions.
Source: D. Olguin, M. Cardona and A. Cantarero, Solid State Commun. 122, 575 (2002).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.laws.law_fit import LawFit
from analysis.laws.phonon_law import fit_phonon_law
from analysis.spectra.thermal_occupation import thermal_occupation

__all__ = ["energy_at_temperature_eV", "fit_energy_of_temperature"]

Array = NDArray[np.float64]

_NAMES = ("energy_0_eV", "expansion_eV_per_K", "coupling_eV", "phonon_eV")


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
    them the verdict says that they are not determined, while the curve itself is; where not even
    that has an end, the likeliest phonon is held.
    Raises ValueError for points that cannot be fitted.
    """
    return fit_phonon_law(
        energy_at_temperature_eV,
        temperature_K,
        energy_eV,
        sigma_eV,
        observed="energy_eV",
        names=_NAMES,
        sigma_temperature_K=sigma_temperature_K,
        fixed=fixed,
    )
