"""Where the exciton of a nanocrystal is in a raw spectrum, going by everything that comes with it.

The exciton is not always the brightest line: a trion or a biexciton may outshine it. Each peak is
scored by its own significance and by what stands where its trion, its biexciton and its replicas
would be; the best one is then split into the lines asked for by a scan over all places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.spectra.components import COMPONENTS
from analysis.spectra.matched_filter import find_lines, kernel, significance, smoothed
from analysis.spectra.spectrum_model import SpectrumModel

__all__ = ["ExcitonGuess", "guess_exciton"]

Array = NDArray[np.float64]

_SIGMAS_PER_FWHM = float(np.sqrt(8.0 * np.log(2.0)))
_LEAST_SIGNIFICANCE = 5.0
_FAINTEST = 0.03  # of the most significant peak
_MOST_CANDIDATES = 20
_WIDTHS_BESIDE = 1.5  # FWHM beyond the widest splitting in which lines are looked for
_BROAD = 1.5  # widest splittings: no multiplet is so wide, these are lines


@dataclass(frozen=True, slots=True)
class ExcitonGuess:
    """Lines in rising energy. z: significance of the most significant line of the spectrum."""

    energy_eV: Array
    area_e: Array
    fwhm_eV: float
    z: float


def guess_exciton(
    model: SpectrumModel,
    emitter: int,
    middle_eV: Array,
    spectrum: Array,
    deviation: Array,
    *,
    is_close: bool = False,
) -> ExcitonGuess | float:
    """Return the exciton's lines, or the best significance where there is no line.

    middle_eV: of the pixels, rising; spectrum: background removed, in electrons; deviation: of a
    pixel without signal. is_close: whether two of the lines are taken to look like one.
    """
    z, _, fwhm_px = significance(spectrum, deviation)
    if not z > _LEAST_SIGNIFICANCE:
        return z
    shape = kernel(fwhm_px / _SIGMAS_PER_FWHM)
    noise2 = smoothed(deviation**2, shape**2)
    z_map = smoothed(spectrum, shape) / np.sqrt(noise2)
    peaks = _peaks(z_map, apart=max(1, round(0.7 * fwhm_px)))
    scores = [
        _score(model, emitter, middle_eV, z_map, int(peak))
        + _score_of_multiplet(model, middle_eV[peaks], z_map[peaks], which)
        for which, peak in enumerate(peaks)
    ]
    place = int(peaks[int(np.argmax(scores))])
    pixel_eV = float(middle_eV[-1] - middle_eV[0]) / (middle_eV.size - 1)
    around = _Around(model, middle_eV, spectrum, place, fwhm_px * pixel_eV)
    return (_halved if is_close and model.lines > 1 else _apart)(around, z)


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


def _score_of_multiplet(model: SpectrumModel, energy_eV: Array, z: Array, which: int) -> float:
    """Return what the brightest peaks near enough to be lines of the same exciton add."""
    apart = np.abs(energy_eV - energy_eV[which])
    near = np.sort(z[(apart > 0) & (apart <= model.widest_splitting_eV)])
    return float((near[near.size - min(near.size, model.lines - 1) :] ** 2).sum())


@dataclass(frozen=True, slots=True)
class _Around:
    """A place in the spectrum about which the exciton's lines are."""

    model: SpectrumModel
    middle_eV: Array
    spectrum: Array
    place: int
    fwhm_eV: float

    def lines(self, number: int) -> tuple[Array, Array, float]:
        """Return pixels, areas and FWHM in pixels of the lines that explain most."""
        reach, middle = self._reach_eV(), self.middle_eV
        centre = middle[self.place]
        first, last = (int(i) for i in np.searchsorted(middle, (centre - reach, centre + reach)))
        first, last = max(0, min(first, self.place - 12)), max(last, self.place + 13)
        found = find_lines(self.spectrum[first:last], number)
        return found.pixel + first, found.area, found.fwhm_px

    def _reach_eV(self) -> float:
        """Return how far the lines may be from a peak among them, whose width may be of them all.

        Not farther, since the first replica and other nanocrystals are near.
        """
        splitting = self.model.widest_splitting_eV if self.model.lines > 1 else 0.0
        if self.fwhm_eV > _BROAD * splitting:
            return _WIDTHS_BESIDE * self.fwhm_eV + splitting
        return splitting + min(self.fwhm_eV, 0.3 * splitting)

    def guess(self, pixel: Array, area: Array, fwhm_px: float, z: float) -> ExcitonGuess:
        order = np.argsort(pixel)
        energy = np.interp(pixel[order], np.arange(self.middle_eV.size), self.middle_eV)
        pixel_eV = float(self.middle_eV[-1] - self.middle_eV[0]) / (self.middle_eV.size - 1)
        return ExcitonGuess(energy, area[order], fwhm_px * pixel_eV, z)


def _apart(around: _Around, z: float) -> ExcitonGuess:
    """Return the lines that explain most of what is there."""
    pixel, area, fwhm_px = around.lines(around.model.lines)
    if pixel.size < around.model.lines:
        return _halved(around, z)
    return around.guess(pixel, area, fwhm_px, z)


def _halved(around: _Around, z: float) -> ExcitonGuess:
    """Return one line less with the brightest of them halved."""
    pixel, area, fwhm_px = around.lines(around.model.lines - 1)
    brightest = int(np.argmax(area))
    halves = pixel[brightest] + _HALF_APART * fwhm_px * np.array([-1.0, 1.0])
    pixel = np.concatenate([np.delete(pixel, brightest), halves])
    area = np.concatenate([np.delete(area, brightest), [0.5 * area[brightest]] * 2])
    return around.guess(pixel, area, _NARROWER * fwhm_px, z)


_HALF_APART, _NARROWER = 0.35, 0.75  # of the width of the line that was halved
