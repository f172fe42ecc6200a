"""Where the parameters of a spectrum model may go, and in which unit they are."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.fisher_scoring import Box, StepCap
from analysis.estimation.line_table import LineTable, Shape
from analysis.spectra.spectrum_model import SpectrumModel, prefix_of
from analysis.spectra.spectrum_window import Window

__all__ = ["box_of_model", "electrons_per_unit", "step_share"]

Array = NDArray[np.float64]

_SLACK = 0.1  # beyond the window in which a component was looked for
_PHONON_SLACK = 0.2


def box_of_model(
    model: SpectrumModel, table: LineTable, window: Window, noise: DetectorNoise
) -> Box:
    """Return bounds for one spectrum and the largest step.

    Lines inside the window, widths from half a pixel (next to nothing where the instrument's is
    apart) to half the window, bindings within a tenth of
    the window they were looked for in; areas, couplings and background may go below zero, since a
    bound would bias them.
    """
    names = table.names
    scale = electrons_per_unit(names, noise)
    span, pixel_eV = window.limits_eV, window.pixel_eV
    limits = [_limits(model, name, span, pixel_eV) for name in names]
    for name, (lower, upper) in {
        **model.bounds,
        **{name: (value, value) for name, value in model.fixed.items()},
    }.items():
        if name in names:
            i = names.index(name)
            limits[i] = (lower * scale[i], upper * scale[i])
    bounds = np.array(limits)
    return Box(bounds[None, :, 0], bounds[None, :, 1], StepCap(step_share(names)))


@lru_cache(maxsize=64)
def step_share(names: tuple[str, ...]) -> Array:
    """Return how far each parameter may step, in widths of its line, as StepCap takes it."""
    share = np.zeros((len(names), len(names)))
    for i, name in enumerate(names):
        if name.endswith("_eV"):
            share[i, _widths_of(names, name)] = 0.4 if "width" in name else 0.7
    share.flags.writeable = False
    return share


def electrons_per_unit(names: tuple[str, ...], noise: DetectorNoise) -> Array:
    """Return what turns each parameter's unit into the fit's own: counts into electrons."""
    in_counts = [name.endswith("_counts") or name.startswith("background") for name in names]
    return np.where(in_counts, noise.gain_e_per_count, 1.0)


def _limits(
    model: SpectrumModel, name: str, span: tuple[float, float], pixel_eV: float
) -> tuple[float, float]:
    low, high = span
    number = int(name.split("_")[1]) - 1 if name.startswith("emitter_") else 0
    base = name.removeprefix(prefix_of(number))
    if base.startswith("energy_"):
        return low, high
    if "lorentz" in base:
        return 0.0, 0.5 * (high - low)
    if base.endswith("width_eV"):
        return _narrowest_px(model, number) * pixel_eV, 0.5 * (high - low)
    if base.endswith("_binding_eV"):
        near, far = model.window_of(number, base.removesuffix("_binding_eV"))
        return (1.0 - _SLACK) * near, (1.0 + _SLACK) * far
    if base.startswith("phonon_"):
        energy = model.emitters[number].phonons[int(base.split("_")[1]) - 1].energy_eV
        return (1.0 - _PHONON_SLACK) * energy, (1.0 + _PHONON_SLACK) * energy
    return -np.inf, np.inf


def _narrowest_px(model: SpectrumModel, number: int) -> float:
    """Return the least width of a line; behind an instrument profile it may be next to nothing."""
    return 0.05 if model.emitters[number].shape is Shape.PROFILE else 0.5


def _widths_of(names: tuple[str, ...], name: str) -> list[int]:
    """Return the Gaussian and the Lorentzian width of the line that a parameter belongs to."""
    prefix = "_".join(name.split("_")[:2]) + "_" if name.startswith("emitter_") else ""
    base = name.removeprefix(prefix)
    own = "trion_width_eV" if base.startswith(("trion", "lorentz_trion")) else "width_eV"
    found = [
        names.index(candidate)
        for candidate in (f"{prefix}{own}", f"{prefix}lorentz_{own}")
        if candidate in names
    ]
    return found or [i for i, other in enumerate(names) if other.endswith("width_eV")][:1]
