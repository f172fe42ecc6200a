"""Where the exciton of a nanocrystal is in a raw spectrum, going by everything that comes with it.

The exciton is not always the brightest line: a trion or a biexciton may outshine it. Each peak is
scored by its own significance and by what stands where its trion, its biexciton and its replicas
would be; the best one is then split into the lines asked for by a scan over all places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.components import COMPONENTS
from analysis.matched_filter import find_lines, kernel, significance
from analysis.spectrum_model import SpectrumModel

__all__ = ["ExcitonGuess", "guess_exciton"]

Array = NDArray[np.float64]

_SIGMAS_PER_FWHM = float(np.sqrt(8.0 * np.log(2.0)))
_LEAST_SIGNIFICANCE = 5.0
_FAINTEST = 0.03  # of the most significant peak
_MOST_CANDIDATES = 20
_WIDTHS_BESIDE = 1.5  # FWHM beyond the widest splitting in which lines are looked for


@dataclass(frozen=True, slots=True)
class ExcitonGuess:
    """Lines in rising energy. z: significance of the most significant line of the spectrum."""

    energy_eV: Array
    area_e: Array
    fwhm_eV: float
    z: float


def guess_exciton(
    model: SpectrumModel, emitter: int, middle_eV: Array, spectrum: Array, deviation: Array
) -> ExcitonGuess | float:
    """Return the exciton's lines, or the best significance where there is no line.

    middle_eV: of the pixels, rising; spectrum: background removed, in electrons; deviation: of a
    pixel without signal.
    """
    z, _, fwhm_px = significance(spectrum, deviation)
    if not z > _LEAST_SIGNIFICANCE:
        return z
    shape = kernel(fwhm_px / _SIGMAS_PER_FWHM)
    noise2 = np.convolve(deviation**2, shape**2, "same")
    z_map = np.convolve(spectrum, shape, "same") / np.sqrt(noise2)
    peaks = _peaks(z_map, apart=max(1, round(0.7 * fwhm_px)))
    scores = [_score(model, emitter, middle_eV, z_map, int(peak)) for peak in peaks]
    place = int(peaks[int(np.argmax(scores))])
    pixel_eV = float(middle_eV[-1] - middle_eV[0]) / (middle_eV.size - 1)
    return _split(model, middle_eV, spectrum, place, fwhm_px * pixel_eV, z)


def _peaks(z_map: Array, *, apart: int) -> NDArray[np.intp]:
    """Return the most significant maxima, none within reach of a higher one."""
    z = z_map.copy()
    least = max(_LEAST_SIGNIFICANCE, _FAINTEST * float(z.max()))
    found: list[int] = []
    for _ in range(_MOST_CANDIDATES):
        peak = int(np.argmax(z))
        if not z[peak] >= least and found:
            break
        found.append(peak)
        z[max(0, peak - apart) : peak + apart + 1] = -np.inf
    return np.array(found)


def _score(model: SpectrumModel, emitter: int, middle_eV: Array, z_map: Array, peak: int) -> float:
    energy = middle_eV[peak]
    score = float(z_map[peak]) ** 2
    one = model.emitters[emitter]
    for name in one.components:
        if COMPONENTS[name].window_eV is not None:
            near, far = model.window_of(emitter, name)
            first, last = np.searchsorted(middle_eV, (energy - far, energy - near))
            score += float(z_map[first:last].max(initial=0.0)) ** 2
    if "replicas" in one.components:
        places = energy - np.array([phonon.energy_eV for phonon in one.phonons])
        inside = places[places > middle_eV[0]]
        score += float((np.maximum(np.interp(inside, middle_eV, z_map), 0.0) ** 2).sum())
    return score


def _split(
    model: SpectrumModel, middle_eV: Array, spectrum: Array, place: int, fwhm_eV: float, z: float
) -> ExcitonGuess:
    """Return the lines around a place that explain most of what is there."""
    reach = _WIDTHS_BESIDE * fwhm_eV + (model.widest_splitting_eV if model.lines > 1 else 0.0)
    first, last = np.searchsorted(middle_eV, (middle_eV[place] - reach, middle_eV[place] + reach))
    first, last = max(0, min(int(first), place - 12)), max(int(last), place + 13)
    found = find_lines(spectrum[first:last], model.lines)
    pixel = found.pixel + first
    if pixel.size < model.lines:  # the scan found no such set: halve the brightest
        brightest = int(np.argmax(found.area))
        beside = pixel[brightest] + 0.4 * found.fwhm_px * np.linspace(-1.0, 1.0, model.lines)
        pixel, area = beside, np.full(model.lines, found.area[brightest] / model.lines)
    else:
        area = found.area
    pixel_eV = float(np.median(np.diff(middle_eV)))
    energy = np.interp(pixel, np.arange(middle_eV.size), middle_eV)
    order = np.argsort(energy)
    return ExcitonGuess(energy[order], area[order], found.fwhm_px * pixel_eV, z)
