"""The laws that can be fitted over a sweep, by name: what each needs and what fits it.

A new law is one function in a file of its own and one entry here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.estimation.verdict import Verdict
from analysis.laws.binding_energy_scaling import fit_binding_energy_scaling
from analysis.laws.energy_of_temperature import fit_energy_of_temperature
from analysis.laws.huang_rhys import fit_huang_rhys
from analysis.laws.linewidth_of_temperature import fit_linewidth_of_temperature
from analysis.laws.polarization import fit_polarization
from analysis.laws.power_dependence import Pairs, fit_power_law, fit_saturation
from analysis.laws.size_from_energy import MATERIALS, KaneCoulombModel, SizeMap, fit_size
from analysis.laws.spectral_diffusion import fit_spectral_diffusion
from analysis.laws.stark import fit_stark_parabola
from analysis.laws.transition_onset import fit_transition_onset

__all__ = ["LAWS", "Law", "LawResult", "laws_of_a_run"]


class LawResult(Protocol):
    """What every law returns beside its own parameters and errors."""

    @property
    def verdict(self) -> Verdict: ...
    @property
    def reason(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Law:
    """What a law needs and what fits it.

    sweep and observable: names of the columns it takes, in their units; fit: (x, y, sigma).
    fit_with_x_errors: (x, y, sigma, sigma of x), where errors of x matter.
    """

    title: str
    sweep: str
    observable: str
    fit: Callable[[ArrayLike, ArrayLike, ArrayLike], LawResult]
    fit_with_x_errors: Callable[[ArrayLike, ArrayLike, ArrayLike, ArrayLike], LawResult] | None = (
        None
    )

    def fitted(self, x: ArrayLike, y: ArrayLike, sigma: ArrayLike, sigma_x: ArrayLike) -> LawResult:
        """Fit the law, with the errors of x where it takes them. Raises ValueError as it does."""
        if self.fit_with_x_errors is not None and (np.asarray(sigma_x) > 0).any():
            return self.fit_with_x_errors(x, y, sigma, sigma_x)
        return self.fit(x, y, sigma)


_SWEPT_IN_A_RUN = frozenset(
    {"field_kV_per_cm", "angle_deg", "temperature_K", "time_s", "replica_order"}
)


def laws_of_a_run() -> tuple[str, ...]:
    """Return the names of the laws whose sweep a run, or each of its spectra, can hold."""
    return tuple(name for name, law in LAWS.items() if law.sweep in _SWEPT_IN_A_RUN)


def _saturation(pairs: Pairs) -> Callable[[ArrayLike, ArrayLike, ArrayLike], LawResult]:
    return lambda x, y, sigma: fit_saturation(x, y, pairs, background_sigma=_beyond(y, sigma))


def _power_law(x: ArrayLike, y: ArrayLike, sigma: ArrayLike) -> LawResult:
    return fit_power_law(x, y, background_sigma=_beyond(y, sigma))


def _beyond(counts: ArrayLike, sigma: ArrayLike) -> NDArray[np.float64]:
    """Return what an error holds beyond the noise of the counts themselves."""
    own = np.maximum(np.asarray(counts, dtype=np.float64), 0.0)
    return np.sqrt(np.maximum(np.asarray(sigma, dtype=np.float64) ** 2 - own, 0.0))


def _size_with_errors(
    size_map: SizeMap, x: ArrayLike, y: ArrayLike, sigma: ArrayLike, sigma_x: ArrayLike
) -> LawResult:
    return fit_size(x, y, sigma, size_map=size_map, sigma_temperature_K=sigma_x)


LAWS: Mapping[str, Law] = MappingProxyType(
    {
        "parabola": Law(
            "Stark parabola",
            "field_kV_per_cm",
            "energy_eV",
            fit_stark_parabola,
            lambda x, y, sigma, sigma_x: fit_stark_parabola(
                x, y, sigma, sigma_field_kV_per_cm=sigma_x
            ),
        ),
        "cos2": Law(
            "polarization",
            "angle_deg",
            "area_counts",
            fit_polarization,
            lambda x, y, sigma, sigma_x: fit_polarization(x, y, sigma, sigma_angle_deg=sigma_x),
        ),
        "energy": Law(
            "energy over temperature",
            "temperature_K",
            "energy_eV",
            fit_energy_of_temperature,
            lambda x, y, sigma, sigma_x: fit_energy_of_temperature(
                x, y, sigma, sigma_temperature_K=sigma_x
            ),
        ),
        "linewidth": Law(
            "linewidth over temperature",
            "temperature_K",
            "width_eV",
            fit_linewidth_of_temperature,
            lambda x, y, sigma, sigma_x: fit_linewidth_of_temperature(
                x, y, sigma, sigma_temperature_K=sigma_x
            ),
        ),
        "onset": Law(
            "transition onset",
            "temperature_K",
            "energy_eV",
            fit_transition_onset,
            lambda x, y, sigma, sigma_x: fit_transition_onset(
                x, y, sigma, sigma_temperature_K=sigma_x
            ),
        ),
        "huang_rhys": Law("Huang-Rhys factor", "replica_order", "area_counts", fit_huang_rhys),
        "power": Law(
            "power law",
            "power",
            "area_counts",
            _power_law,
            lambda x, y, sigma, sigma_x: fit_power_law(
                x, y, background_sigma=_beyond(y, sigma), sigma_power=sigma_x
            ),
        ),
        "exciton_saturation": Law(
            "saturation of the exciton", "power", "area_counts", _saturation(Pairs.EXCITON)
        ),
        "biexciton_saturation": Law(
            "saturation of the biexciton", "power", "area_counts", _saturation(Pairs.BIEXCITON)
        ),
        "binding": Law(
            "scaling of binding energies",
            "scaled_size",
            "scaled_binding",
            fit_binding_energy_scaling,
            lambda x, y, sigma, sigma_x: fit_binding_energy_scaling(
                x, y, sigma, sigma_size=sigma_x
            ),
        ),
        "diffusion": Law("spectral diffusion", "time_s", "energy_eV", fit_spectral_diffusion),
    }
    | {
        f"size_{name}": Law(
            f"size as {name}",
            "temperature_K",
            "energy_eV",
            partial(fit_size, size_map=KaneCoulombModel(material)),
            partial(_size_with_errors, KaneCoulombModel(material)),
        )
        for name, material in MATERIALS.items()
    }
)
