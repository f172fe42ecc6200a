"""How many phonons of an energy there are at a temperature."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["BOLTZMANN_EV_PER_K", "thermal_occupation"]

BOLTZMANN_EV_PER_K = 1.380649e-23 / 1.602176634e-19  # exact in the SI (2019)


def thermal_occupation(energy_eV: ArrayLike, temperature_K: ArrayLike) -> NDArray[np.float64]:
    """Return 1 / (exp(E/kT) - 1); 0 at 0 K."""
    temperature = np.asarray(temperature_K, dtype=np.float64)
    energy = np.asarray(energy_eV, dtype=np.float64)
    thermal = BOLTZMANN_EV_PER_K * np.where(temperature > 0, temperature, np.nan)
    ratio = np.nan_to_num(energy / thermal, nan=np.inf)
    # Beyond 700 the occupation is below any double, and exp would overflow.
    return np.asarray(1.0 / np.expm1(np.minimum(ratio, 700.0)) * (ratio < 700.0))
