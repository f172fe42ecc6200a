"""Start values of a spectrum model, by parameter name and in electrons, from what was sighted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from analysis.estimation.line_table import LineTable, Shape
from analysis.spectra.components import COMPONENTS
from analysis.spectra.presence import Sighting
from analysis.spectra.spectrum_model import SpectrumModel, prefix_of
from analysis.spectra.spectrum_window import Window
from analysis.spectra.structured_guess import ExcitonGuess

__all__ = ["exciton_values", "sighted_values", "solve_areas", "widths_of"]

Array = NDArray[np.float64]

_COUPLINGS = (0.02, 0.8)
_BROADER = 1.5  # than the exciton, where replicas have a width of their own
_VOIGT_PARTS = (0.7, 0.45)  # Gaussian and Lorentzian width of a line of width 1


def exciton_values(
    model: SpectrumModel, number: int, guess: ExcitonGuess, middle_eV: Array, spectrum: Array
) -> dict[str, float]:
    """Return energies, areas and width of one emitter, and the couplings of its phonons."""
    prefix, emitter = prefix_of(number), model.emitters[number]
    values = _widths(model, number, "width_eV", guess.fwhm_eV, float(guess.energy_eV[0]))
    for k, (energy, area) in enumerate(zip(guess.energy_eV, guess.area_e, strict=True), start=1):
        values[f"{prefix}energy_{k}_eV"] = float(energy)
        values[f"{prefix}area_{k}_counts"] = float(area)
    seen = float(np.interp(guess.energy_eV, middle_eV, spectrum) @ guess.area_e)
    for j, phonon in enumerate(emitter.phonons, start=1):
        copies = np.interp(guess.energy_eV - phonon.energy_eV, middle_eV, spectrum)
        values[f"{prefix}coupling_{j}"] = _coupling(float(copies @ guess.area_e), seen)
        values[f"{prefix}phonon_{j}_eV"] = phonon.energy_eV
        values[f"{prefix}replica_{j}_width_eV"] = _BROADER * values[f"{prefix}width_eV"]
    return _untied(model, values)


def _coupling(copied: float, seen: float) -> float:
    """Return copy over original within what a coupling may be; the least of nothing seen."""
    return float(np.clip(copied / seen, *_COUPLINGS)) if seen > 0.0 else _COUPLINGS[0]


def sighted_values(
    model: SpectrumModel, number: int, name: str, sighting: Sighting
) -> dict[str, float]:
    """Return binding, areas and width of a component where it was sighted."""
    prefix = prefix_of(number)
    values = {f"{prefix}{name}_binding_eV": sighting.binding_eV}
    if COMPONENTS[name].is_mirrored:
        for k, area in enumerate(sighting.area_e, start=1):
            values[f"{prefix}{name}_area_{k}_counts"] = float(area)
    else:
        values[f"{prefix}{name}_area_counts"] = float(sighting.area_e[0])
        at = sighting.centre_eV - sighting.binding_eV
        values |= _widths(model, number, f"{name}_width_eV", sighting.fwhm_eV, at)
        for j in range(1, len(model.emitters[number].phonons) + 1):
            values[f"{prefix}{name}_coupling_{j}"] = _COUPLINGS[0]
    return _untied(model, values)


def solve_areas(table: LineTable, window: Window, values: Mapping[str, float]) -> dict[str, float]:
    """Return the values with everything that is linear solved for at once, weighted.

    Areas that were wrong by far cost nothing afterwards.
    """
    start = np.array([values.get(name, 0.0) for name in table.names])
    is_linear = np.array(
        [
            n.endswith("_counts") or "coupling" in n or n.startswith("background")
            for n in table.names
        ]
    )
    expected, jacobian = (of[0] for of in table.evaluate(start[None], window.edges_eV))
    counts = window.counts
    weight = np.sqrt(
        counts.good[0] / (np.maximum(0.5 * (expected + counts.electrons[0]), 0.0) + counts.shift[0])
    )
    design = (jacobian[is_linear] * weight).T
    step = np.linalg.lstsq(design, weight * (counts.electrons[0] - expected), rcond=1e-6)[0]
    start[is_linear] += step
    solved = dict(zip(table.names, start.tolist(), strict=True))
    for name, value in solved.items():
        if "coupling" in name:
            solved[name] = float(np.clip(value, -_COUPLINGS[0], _COUPLINGS[1]))
    return {**values, **solved}


def widths_of(values: Mapping[str, float]) -> dict[str, float]:
    """Return the widths among the values."""
    return {name: value for name, value in values.items() if name.endswith("width_eV")}


_LEAST_OWN = 0.3  # of the width as seen: what a line has at least apart from the instrument's


def _widths(
    model: SpectrumModel, number: int, name: str, fwhm_eV: float, energy_eV: float
) -> dict[str, float]:
    prefix = prefix_of(number)
    instrument = model.instrument_fwhm_eV(number, energy_eV)
    if instrument:
        fwhm_eV = float(np.sqrt(max(fwhm_eV**2 - instrument**2, (_LEAST_OWN * fwhm_eV) ** 2)))
    if model.emitters[number].own_shape is not Shape.VOIGT:
        return {prefix + name: fwhm_eV}
    gauss, lorentz = _VOIGT_PARTS
    fixed = model.fixed.get(prefix + name)
    if fixed is not None:
        return {prefix + name: fixed, f"{prefix}lorentz_{name}": max(fwhm_eV - fixed, 0.3 * fixed)}
    return {prefix + name: gauss * fwhm_eV, f"{prefix}lorentz_{name}": lorentz * fwhm_eV}


def _untied(model: SpectrumModel, values: dict[str, float]) -> dict[str, float]:
    """Return values of what stands in place of tied parameters too, where one is still open."""
    found = dict(values)
    for name, tie in model.ties.items():
        if name not in values:
            continue
        unknown = [(other, factor) for other, factor in tie if other not in found]
        known = sum(factor * found[other] for other, factor in tie if other in found)
        if len(unknown) == 1:
            other, factor = unknown[0]
            found[other] = (values[name] - known) / factor
    return found
