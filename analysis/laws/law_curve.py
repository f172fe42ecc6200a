"""A fitted law to be drawn and read out: its curve, and what it says in one sentence."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.estimation.verdict import Verdict
from analysis.laws.energy_of_temperature import energy_at_temperature_eV
from analysis.laws.law_fit import LawFit
from analysis.laws.laws import LawResult
from analysis.laws.linewidth_of_temperature import linewidth_eV
from analysis.laws.polarization import PolarizationFit, harmonics
from analysis.laws.stark import StarkFit
from analysis.laws.transition_onset import TransitionOnset

__all__ = ["law_curve", "law_words"]

Array = NDArray[np.float64]

PLACES = 400


def law_curve(law: str, result: LawResult, x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Return where the law is drawn and its values there, over the points it was fitted to.

    A parabola reaches to its vertex, an angle once around. Empty where a law has no curve.
    """
    at, value = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if isinstance(result, TransitionOnset):
        order = np.argsort(at, kind="stable")
        return at[order], value[order] - result.residuals_eV
    if isinstance(result, PolarizationFit):
        angle = np.linspace(0.0, 360.0, PLACES)
        return angle, np.asarray(harmonics(angle) @ result.coefficients)
    if isinstance(result, StarkFit):
        field = np.linspace(*_with_vertex(at, result), PLACES)
        return field, np.asarray(np.polyval(result.coefficients[2::-1], field))
    functions = {"energy": energy_at_temperature_eV, "linewidth": linewidth_eV}
    if isinstance(result, LawFit) and law in functions:
        place = np.linspace(float(at.min()), float(at.max()), PLACES)
        return place, functions[law](place, result.values)
    return np.empty(0), np.empty(0)


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
