"""A fitted law to be drawn and read out: its curve, and what it says in one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.estimation.verdict import Verdict
from analysis.laws.energy_of_temperature import energy_at_temperature_eV
from analysis.laws.huang_rhys import replica_weights
from analysis.laws.law_fit import LawFit
from analysis.laws.laws import LawResult
from analysis.laws.linewidth_of_temperature import linewidth_eV
from analysis.laws.polarization import PolarizationFit, harmonics
from analysis.laws.power_dependence import Pairs, light_of_pairs
from analysis.laws.size_from_energy import SizeFit
from analysis.laws.spectral_diffusion import Diffusion
from analysis.laws.stark import StarkFit
from analysis.laws.transition_onset import TransitionOnset

__all__ = ["law_curve", "law_words"]

Array = NDArray[np.float64]
Curve = Callable[[Array, Array, Array], Array]  # places, parameters, where the points are

PLACES = 400


def law_curve(law: str, result: LawResult, x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Return where the law is drawn and its values there, over the points it was fitted to.

    A parabola reaches to its vertex, an angle once around; replicas are drawn at whole orders.
    Empty for a law that is not in the registry.
    """
    at, value = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if isinstance(result, LawFit):
        return _fitted_curve(law, result, at)
    if isinstance(result, TransitionOnset):
        order = np.argsort(at, kind="stable")
        return at[order], value[order] - result.residuals_eV
    if isinstance(result, PolarizationFit):
        angle = np.linspace(0.0, 360.0, PLACES)
        return angle, np.asarray(harmonics(angle) @ result.coefficients)
    if isinstance(result, StarkFit):
        field = np.linspace(*_with_vertex(at, result), PLACES)
        return field, np.asarray(np.polyval(result.coefficients[2::-1], field))
    if not isinstance(result, Diffusion | SizeFit):
        return np.empty(0), np.empty(0)
    level = result.mean_eV if isinstance(result, Diffusion) else result.energy_eV
    return np.linspace(float(at.min()), float(at.max()), PLACES), np.full(PLACES, level)


def _fitted_curve(law: str, result: LawFit, at: Array) -> tuple[Array, Array]:
    if law == "huang_rhys":
        place = np.arange(np.rint(at.min()), np.rint(at.max()) + 1.0)
        return place, result["total_area"] * replica_weights(place, result["coupling"])
    if law not in _CURVES:
        return np.empty(0), np.empty(0)
    spaced = np.geomspace if law in _OVER_DECADES and at.min() > 0.0 else np.linspace
    place = spaced(float(at.min()), float(at.max()), PLACES)
    return place, _CURVES[law](place, result.values, at)


def _power(place: Array, values: Array, at: Array) -> Array:
    middle = np.exp(np.log(at).mean())
    return np.asarray(np.exp(values[0]) * (place / middle) ** values[1])


def _saturation(pairs: Pairs) -> Curve:
    return lambda place, values, _: np.asarray(
        np.exp(values[0]) * light_of_pairs(place / np.exp(values[1]), pairs)
    )


_OVER_DECADES = ("power", "exciton_saturation", "biexciton_saturation")
_CURVES: Mapping[str, Curve] = {
    "energy": lambda place, values, _: energy_at_temperature_eV(place, values),
    "linewidth": lambda place, values, _: linewidth_eV(place, values),
    "power": _power,
    "exciton_saturation": _saturation(Pairs.EXCITON),
    "biexciton_saturation": _saturation(Pairs.BIEXCITON),
    "binding": lambda place, values, _: np.asarray(values[0] + values[1] / place**2),
}


def law_words(result: LawResult) -> str:
    """Return what a law found, in a few words."""
    if isinstance(result, StarkFit):
        return _stark_words(result)
    if isinstance(result, PolarizationFit):
        return (
            f"axis {_pair(result.axis_deg, result.axis_error_deg)} deg, "
            f"visibility {_pair(result.visibility, result.visibility_error)}"
        )
    if isinstance(result, TransitionOnset):
        if not result.is_detected:
            return "no onset of a transition"
        return f"transition sets in at {result.onset_K:.1f} ± {result.error_K:.1f} K"
    if isinstance(result, LawFit):
        return ", ".join(_parameter(result, name) for name in result.names)
    return _level_words(result)


def _level_words(result: LawResult) -> str:
    """Return what a law found that is a number, and no curve over the sweep."""
    if isinstance(result, Diffusion):
        return f"wanders by {1e6 * result.scatter_eV:.0f} ueV, memory {result.memory_s:.3g} s"
    if isinstance(result, SizeFit) and result.size is not None:
        return f"{_pair(result.size.size_nm, result.size.error_nm)} nm"
    return ""


_MOST_BEYOND = 1.5  # of the swept range: farther out a vertex is said, not drawn


def _with_vertex(field: Array, result: StarkFit) -> tuple[float, float]:
    low, high = float(field.min()), float(field.max())
    _, slope, curvature = (float(c) for c in result.coefficients[:3])
    vertex = -slope / (2.0 * curvature) if curvature else np.inf
    reach = _MOST_BEYOND * (high - low)
    if not low - reach < vertex < high + reach:
        return low, high
    return min(low, vertex), max(high, vertex)


def _stark_words(result: StarkFit) -> str:
    if result.verdict is Verdict.ILL_DETERMINED:
        return "internal field not determined"
    far = ", extrapolated" if result.extrapolated else ""
    return (
        f"internal field {_pair(result.internal_field_kV_per_cm, result.internal_field_error)} "
        f"kV/cm{far}; dipole {result.dipole_e_nm:.3f} e nm, alpha/2 "
        f"{_pair(1e6 * result.half_polarizability, 1e6 * result.half_polarizability_error)} "
        "ueV/(kV/cm)²"
    )


def _parameter(result: LawFit, name: str) -> str:
    word, _, unit = name.partition("_eV")
    scale, shown = (1e3, "meV" + unit.replace("_per_", "/")) if "_eV" in name else (1.0, "")
    if abs(result[name]) > 1.0 and "_eV" in name:
        scale, shown = 1.0, "eV"
    if "per_K" in name:
        scale, shown = 1e6, "ueV/K"
    pair = _pair(scale * result[name], scale * result.error(name))
    return f"{word.replace('_', ' ')} {pair} {shown}"


def _pair(value: float, error: float) -> str:
    """Return value and error to two digits of the error."""
    if not np.isfinite(error) or error <= 0.0:
        return f"{value:.6g} ± {error:.2g}"
    digits = int(np.clip(1 - np.floor(np.log10(error)), 0, 9))
    return f"{value:.{digits}f} ± {error:.{digits}f}"
