"""Find one to three lines of equal width in a raw spectrum, to start a fit from.

Every place and width is tried at once: correlation with Gaussians of a few widths, and for several
lines the closed-form gain of a least-squares fit of that many equal Gaussians.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Candidates", "find_lines", "floor_of", "significance"]

Array = NDArray[np.float64]

_SIGMAS_PER_FWHM = float(np.sqrt(8.0 * np.log(2.0)))
_WIDTHS_PX = (1.0, 1.6, 2.5, 4.0, 6.3, 10.0, 16.0, 25.0)  # sigma
_MOST_PLACES = {1: 10**9, 2: 200, 3: 36}


@dataclass(frozen=True, slots=True)
class Candidates:
    """Lines in rising order of pixel; areas in the unit of the spectrum times pixels."""

    pixel: Array
    fwhm_px: float
    area: Array
    gain: float  # drop of the sum of squares


def floor_of(spectrum: Array) -> float:
    """Return a level near the background: the lowest fifth's upper end."""
    return float(np.percentile(spectrum, 20.0))


def significance(spectrum: Array, deviation: Array) -> tuple[float, int, float]:
    """Return z of the most significant line, its pixel and its FWHM in pixels.

    spectrum: background removed; deviation: standard deviation per pixel without signal.
    """
    best = (-np.inf, 0, _SIGMAS_PER_FWHM)
    for sigma in _usable(spectrum.size):
        kernel = _kernel(sigma)
        z = np.convolve(spectrum, kernel, "same") / np.sqrt(
            np.convolve(deviation**2, kernel**2, "same")
        )
        peak = int(np.argmax(z))
        if z[peak] > best[0]:
            best = (float(z[peak]), peak, sigma * _SIGMAS_PER_FWHM)
    return best


def find_lines(spectrum: Array, lines: int) -> Candidates:
    """Return the equal Gaussians, as many as asked, that explain most of the spectrum.

    spectrum: background removed, shape (pixels,).
    """
    found = [_best_of_width(spectrum, lines, sigma) for sigma in _usable(spectrum.size)]
    return max(found, key=lambda candidates: candidates.gain)


def _best_of_width(spectrum: Array, lines: int, sigma: float) -> Candidates:
    kernel = _kernel(sigma)
    projection = np.convolve(spectrum, kernel, "same")
    places = _places(projection, sigma, _MOST_PLACES[lines])
    sets = np.array(list(combinations(places, lines)))
    gain, height = _gain(projection[sets], _overlap(sets, sigma))
    best = int(np.argmax(gain))
    norm = np.sqrt(2.0 * np.sqrt(np.pi) * sigma)  # area of a Gaussian of unit square integral
    return Candidates(
        pixel=sets[best].astype(np.float64),
        fwhm_px=sigma * _SIGMAS_PER_FWHM,
        area=height[best] * norm,
        gain=float(gain[best]),
    )


def _places(projection: Array, sigma: float, most: int) -> NDArray[np.intp]:
    """Return candidate pixels half a sigma apart; the strongest stretch if there are too many."""
    every = np.arange(0, projection.size, max(1, round(0.5 * sigma)))
    if every.size <= most:
        return every
    strong = every[projection[every] > 0.05 * projection.max()]
    if strong.size <= most:
        return strong if strong.size >= 3 else every[:most]
    return strong[:: -(-strong.size // most)]


def _overlap(sets: NDArray[np.intp], sigma: float) -> Array:
    distance = sets[:, :, None] - sets[:, None, :]
    overlap: Array = np.exp(-((distance / (2.0 * sigma)) ** 2))
    return overlap


def _gain(projection: Array, overlap: Array) -> tuple[Array, Array]:
    """Return the least-squares gain of each set and its heights; sets with a negative line lose."""
    lines = projection.shape[1]
    ridge = overlap + 1e-6 * np.eye(lines)
    if lines == 1:
        height = projection
    elif lines == 2:
        rho = ridge[:, 0, 1]
        a, b = projection.T
        height = np.stack([a - rho * b, b - rho * a], axis=1) / (1.0 + 1e-6 - rho**2)[:, None]
    else:
        height = np.linalg.solve(ridge, projection[..., None])[..., 0]
    gain = (height * projection).sum(axis=1)
    return np.where((height > 0).all(axis=1), gain, -np.inf), height


def _usable(pixels: int) -> list[float]:
    return [sigma for sigma in _WIDTHS_PX if 6.0 * sigma <= pixels] or [1.0]


def _kernel(sigma: float) -> Array:
    reach = int(np.ceil(4.0 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    normalised: Array = kernel / np.sqrt((kernel**2).sum())
    return normalised
