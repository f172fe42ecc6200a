"""The edge length of a nanocrystal from its exciton energy, and back.

A map between both is a model or a measured table; whatever it is, its own error goes into the size.
The default model is a stand-in for that of the literature: two-band (Kane) confinement of a pair in
a cube, and the variational Coulomb energy in it, good to about 30 meV.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq

from analysis.estimation.verdict import Verdict
from analysis.estimation.weighted_least_squares import check_points
from analysis.laws.errors_in_x import errors_in_x

__all__ = [
    "MATERIALS",
    "BulkMaterial",
    "KaneCoulombModel",
    "MeasuredSizes",
    "SizeFit",
    "SizeMap",
    "SizedEnergy",
    "fit_size",
    "size_from_energy",
]

Array = NDArray[np.float64]

_HBAR2_PER_M0 = 0.0761996  # eV nm^2
_RYDBERG_EV, _BOHR_NM = 13.605693, 0.0529177


@dataclass(frozen=True, slots=True)
class BulkMaterial:
    """Gap in eV, reduced mass of the pair in electron masses, relative permittivity."""

    gap_eV: float
    reduced_mass: float
    permittivity: float

    @property
    def rydberg_eV(self) -> float:
        """Bulk exciton binding energy, mu e^4 / (2 eps^2 hbar^2) in Gaussian units."""
        return _RYDBERG_EV * self.reduced_mass / self.permittivity**2

    @property
    def bohr_nm(self) -> float:
        return _BOHR_NM * self.permittivity / self.reduced_mass


# At low temperature. Z. Yang et al., ACS Energy Lett. 2, 1621 (2017) for Cs; K. Galkowski et al.,
# Energy Environ. Sci. 9, 962 (2016) for FA.
MATERIALS: Mapping[str, BulkMaterial] = {
    "CsPbBr3": BulkMaterial(2.342, 0.126, 7.3),
    "CsPbI3": BulkMaterial(1.723, 0.114, 10.0),
    "FAPbBr3": BulkMaterial(2.233, 0.115, 8.42),
}


class SizeMap(Protocol):
    """Energy over size, falling; sizes_nm: where it holds; error_eV: its own, of every energy."""

    @property
    def sizes_nm(self) -> tuple[float, float]: ...
    @property
    def error_eV(self) -> float: ...
    @property
    def least_energy_eV(self) -> float:
        """Below it no size has the energy: that of the bulk exciton."""
        ...

    def energy_eV(self, size_nm: ArrayLike) -> Array: ...


@dataclass(frozen=True, slots=True)
class KaneCoulombModel:
    """E = Eg sqrt(1 + hbar^2 k^2 / (mu Eg)) + Ry* g(L/a_B) + offset, k^2 = 3 pi^2 / L^2."""

    material: BulkMaterial
    offset_eV: float = 0.0
    error_eV: float = 0.03

    @property
    def sizes_nm(self) -> tuple[float, float]:
        """g is good to 0.01 Ry* between 0.5 and 5 Bohr radii."""
        return 0.5 * self.material.bohr_nm, 5.0 * self.material.bohr_nm

    @property
    def least_energy_eV(self) -> float:
        return self.material.gap_eV - self.material.rydberg_eV + self.offset_eV

    def pair_eV(self, size_nm: ArrayLike) -> Array:
        """Return the energy of electron and hole without their attraction."""
        gap, size = self.material.gap_eV, np.asarray(size_nm, dtype=np.float64)
        confinement = _HBAR2_PER_M0 * 3.0 * np.pi**2 / (self.material.reduced_mass * size**2)
        return np.asarray(gap * np.sqrt(1.0 + confinement / gap))

    def energy_eV(self, size_nm: ArrayLike) -> Array:
        x = np.asarray(size_nm, dtype=np.float64) / self.material.bohr_nm
        attraction = -(6.0956 / x + 0.250 + 0.0305 * x)
        return self.pair_eV(size_nm) + self.material.rydberg_eV * attraction + self.offset_eV


@dataclass(frozen=True, slots=True)
class MeasuredSizes:
    """One's own ensembles: energy over size, interpolated without overshoot in 1/L^2."""

    measured_nm: tuple[float, ...]
    measured_eV: tuple[float, ...]
    error_eV: float

    def __post_init__(self) -> None:
        size, energy = np.array(self.measured_nm), np.array(self.measured_eV)
        if size.size < 2 or size.shape != energy.shape or not (size > 0).all():
            raise ValueError(f"{size.size} sizes and {energy.size} energies: needs 2 or more each")
        if not (np.diff(size) > 0).all() or not (np.diff(energy) < 0).all():
            raise ValueError("sizes must rise and energies fall from row to row")

    @property
    def sizes_nm(self) -> tuple[float, float]:
        return self.measured_nm[0], self.measured_nm[-1]

    @property
    def least_energy_eV(self) -> float:
        return self.measured_eV[-1]

    def energy_eV(self, size_nm: ArrayLike) -> Array:
        confinement = 1.0 / np.array(self.measured_nm[::-1]) ** 2
        curve = PchipInterpolator(confinement, self.measured_eV[::-1], extrapolate=False)
        return np.asarray(curve(1.0 / np.asarray(size_nm, dtype=np.float64) ** 2))


@dataclass(frozen=True, slots=True)
class SizedEnergy:
    """A size with its error: from the energy alone, and with that of the map."""

    size_nm: float
    error_nm: float
    error_from_energy_nm: float
    slope_eV_per_nm: float


def size_from_energy(size_map: SizeMap, energy_eV: float, sigma_eV: float = 0.0) -> SizedEnergy:
    """Return the size whose energy this is.

    The error is to first order; above about four Bohr radii it grows fast, since the energy hardly
    depends on the size any more. Raises ValueError for an energy that no size in the map has.
    """
    small, large = size_map.sizes_nm
    high, low = (float(e) for e in size_map.energy_eV(np.array([small, large])))
    if not energy_eV > size_map.least_energy_eV:
        raise ValueError(
            f"{energy_eV} eV is not above {size_map.least_energy_eV:.4f} eV, the exciton of the "
            "bulk: no size has this energy"
        )
    if not low <= energy_eV <= high:
        raise ValueError(
            f"{energy_eV} eV is outside {low:.4f} to {high:.4f} eV, where the map holds "
            f"({small:.1f} to {large:.1f} nm)"
        )
    size = float(brentq(lambda s: float(size_map.energy_eV(s)) - energy_eV, small, large))
    step = 1e-4 * size
    ends = np.clip([size - step, size + step], small, large)
    below, above = (float(e) for e in size_map.energy_eV(ends))
    slope = (above - below) / float(ends[1] - ends[0])
    total = float(np.hypot(sigma_eV, size_map.error_eV))
    return SizedEnergy(size, total / abs(slope), sigma_eV / abs(slope), slope)


_COLDEST_K = 1.0  # points as cold as the coldest
_VAGUE = 0.25  # of the size: beyond that error the energy hardly tells it


@dataclass(frozen=True, slots=True)
class SizeFit:
    """The size that the coldest points of a sweep stand for; NaN where none has their energy."""

    size: SizedEnergy | None
    energy_eV: float
    verdict: Verdict
    reason: str


def fit_size(
    temperature_K: ArrayLike,
    energy_eV: ArrayLike,
    sigma_eV: ArrayLike,
    *,
    size_map: SizeMap,
    sigma_temperature_K: ArrayLike | None = None,
) -> SizeFit:
    """Return the size from the mean energy of the coldest points, for which maps are made.

    sigma_temperature_K: error of each, which enters by the slope towards the next temperature.
    Raises ValueError for points that are none; an energy outside the map is said by the verdict.
    """
    temperature, energy, sigma = check_points(
        {"temperature_K": temperature_K, "energy_eV": energy_eV, "sigma_eV": sigma_eV}
    )
    cold = temperature <= temperature.min() + _COLDEST_K
    if sigma_temperature_K is not None:
        error_K = errors_in_x(sigma_temperature_K, temperature, "sigma_temperature_K")
        sigma = np.hypot(sigma, _slope_from_the_cold(temperature, energy, cold) * error_K)
    weight = sigma[cold] ** -2.0
    mean, error = float(weight @ energy[cold] / weight.sum()), float(weight.sum() ** -0.5)
    try:
        size = size_from_energy(size_map, mean, error)
    except ValueError as why:
        return SizeFit(None, mean, Verdict.ILL_DETERMINED, str(why))
    said = (
        f"{size.size_nm:.2f} +- {size.error_nm:.2f} nm from {mean:.5f} eV at "
        f"{temperature[cold].mean():.1f} K; of the energy alone +- {size.error_from_energy_nm:.2g} "
        f"nm, the rest is the map's own {1e3 * size_map.error_eV:.0f} meV"
    )
    vague = size.error_nm > _VAGUE * size.size_nm
    return SizeFit(size, mean, Verdict.ILL_DETERMINED if vague else Verdict.CONVERGED, said)


def _slope_from_the_cold(temperature: Array, energy: Array, cold: NDArray[np.bool_]) -> float:
    """Return how the energy rises to the next temperature, in eV/K; 0 where there is none."""
    if cold.all():
        return 0.0
    following = temperature == temperature[~cold].min()
    rise = energy[following].mean() - energy[cold].mean()
    return float(rise / (temperature[following].mean() - temperature[cold].mean()))
