"""Every peak of a spectrum: where it is highest, and the window in which to fit it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import convolve1d
from scipy.signal import find_peaks, peak_widths
from scipy.stats import norm

from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.weighted_least_squares import solve
from analysis.spectra.matched_filter import kernel
from analysis.wavelength.axis import energy_edges_eV

__all__ = ["Peak", "spectrum_peaks"]

Array = NDArray[np.float64]

_SMOOTH_PX = (0.85, 1.7, 3.4)  # sigma; the first is below the width of any line on a detector
_LEAST_PROMINENCE = 8.0  # sigma, of noise in a smoothed pixel
_FALSE_PEAKS = 0.1  # in a spectrum of noise
_LEAST_SHARE = 0.02  # of the peak's own height: less is ripple on a slope
_TOP = 0.35  # of its prominence: where a skewed peak is still a parabola, or a cubic
_FWHM_AROUND = 2.5
_LEAST_PIXELS = 11
_FOR_A_CUBIC = 9


@dataclass(frozen=True, slots=True)
class Peak:
    """A maximum, whatever the shape around it.

    energy_eV, error_eV: of the highest place, by a parabola or cubic through its top. window_eV: to
    2.5 widths on both sides, or to the valley before the next peak.
    """

    energy_eV: float
    error_eV: float
    window_eV: tuple[float, float]


def spectrum_peaks(
    wavelength_nm: ArrayLike, counts: ArrayLike, noise: DetectorNoise
) -> tuple[Peak, ...]:
    """Return all peaks in rising energy; raw counts, NaN where a pixel is not to be used.

    A peak stands above the higher of the valleys beside it by 8 sigma and by 2 % of its height.
    Raises ValueError for an axis that is none and for shapes that differ.
    """
    edges = energy_edges_eV(wavelength_nm)
    raw = np.asarray(counts, dtype=np.float64)
    if raw.shape != (edges.size - 1,):
        raise ValueError(f"counts of shape {raw.shape} for a wavelength axis of {edges.size - 1}")
    if edges[-1] < edges[0]:
        edges, raw = edges[::-1], raw[::-1]
    good = np.isfinite(raw) & (raw < noise.saturation_counts)
    if good.sum() < _LEAST_PIXELS:
        return ()
    electrons = noise.gain_e_per_count * (raw - noise.offset_counts)
    place = np.arange(raw.size)
    filled = np.interp(place, place[good], electrons[good])
    variance = np.maximum(filled, 0.0) + noise.read_noise_e**2 + 1e-6
    found: dict[int, tuple[float, tuple[float, float]]] = {}
    is_peak = np.zeros(raw.size, dtype=np.bool_)
    for sigma in _SMOOTH_PX:
        reach = int(3.0 * sigma)
        for peak, width, top in _standing_out(filled, variance, sigma):
            if not is_peak[max(0, peak - reach) : peak + reach + 1].any():
                found[peak], is_peak[peak] = (width, top), True
    peaks = sorted(found)
    valleys = _valleys(_smoothed(filled, _SMOOTH_PX[0]), peaks)
    return tuple(
        Peak(
            *_highest(filled, variance, edges, peak, found[peak][1]),
            _window(edges, peak, _FWHM_AROUND * found[peak][0], valleys[k], valleys[k + 1]),
        )
        for k, peak in enumerate(peaks)
    )


def _smoothed(values: Array, sigma: float) -> Array:
    shape = kernel(sigma)
    return np.asarray(convolve1d(values, shape / shape.sum(), mode="nearest"))


def _standing_out(
    filled: Array, variance: Array, sigma: float
) -> Iterator[tuple[int, float, tuple[float, float]]]:
    """Yield pixel, width at half of its prominence, and ends of the top, of every peak."""
    smooth = _smoothed(filled, sigma)
    shape = kernel(sigma) / kernel(sigma).sum()
    deviation = np.sqrt(convolve1d(variance, shape**2, mode="nearest"))
    # Noise rises above its valleys by twice its largest excursion, which grows with the pixels.
    least = max(_LEAST_PROMINENCE, 2.0 * float(norm.isf(_FALSE_PEAKS / smooth.size)))
    peaks, of = find_peaks(smooth, prominence=least * float(deviation.min()))
    stands = of["prominences"] > np.maximum(least * deviation[peaks], _LEAST_SHARE * smooth[peaks])
    peaks = peaks[stands]
    bases = tuple(of[name][stands] for name in ("prominences", "left_bases", "right_bases"))
    width, *_ = peak_widths(smooth, peaks, 0.5, bases)
    _, _, left, right = peak_widths(smooth, peaks, _TOP, bases)
    for k, peak in enumerate(peaks):
        yield int(peak), float(width[k]), (float(left[k]), float(right[k]))


def _valleys(smooth: Array, peaks: Sequence[int]) -> list[int]:
    """Return the lowest pixel between neighbouring peaks, and both ends of the spectrum."""
    between = [a + int(np.argmin(smooth[a:b])) for a, b in pairwise(peaks)]
    return [0, *between, smooth.size - 1]


def _window(edges: Array, peak: int, reach: float, first: int, last: int) -> tuple[float, float]:
    """Return the limits of a window between two valleys, however near they are of 11 pixels."""
    least = _LEAST_PIXELS // 2 + 1
    low = max(0, min(max(round(peak - reach), first), peak - least))
    high = min(edges.size - 2, max(min(round(peak + reach), last), peak + least))
    return float(edges[low]), float(edges[high + 1])


def _highest(
    filled: Array, variance: Array, edges: Array, peak: int, top: tuple[float, float]
) -> tuple[float, float]:
    """Return the energy of the maximum and its error: of noise, misfit, and of the curve chosen."""
    first = max(0, min(int(np.floor(top[0])), peak - 2))
    last = min(filled.size, max(int(np.ceil(top[1])) + 1, peak + 3))
    part = slice(first, last)
    degree = 3 if last - first >= _FOR_A_CUBIC else 2
    at, error = _vertex(filled[part], variance[part], peak - first, degree)
    other, _ = _vertex(filled[part], variance[part], peak - first, degree + 1)
    error_px = min(float(np.hypot(error, at - other)), 0.5 * (last - first))
    low = int(np.clip(np.floor(peak + at + 0.5), 0, edges.size - 2))
    share = float(np.clip(peak + at + 0.5 - low, 0.0, 1.0))
    energy = float(edges[low] + share * (edges[low + 1] - edges[low]))
    return energy, error_px * float(edges[peak + 1] - edges[peak])


def _vertex(top: Array, variance: Array, peak: int, degree: int) -> tuple[float, float]:
    """Return where a polynomial through the top is highest, from the peak, and its error."""
    x = np.arange(top.size) - float(peak)
    scale = float(np.abs(x).max())
    powers = np.arange(degree + 1.0)
    fit = solve((x / scale)[:, None] ** powers, top, variance)
    curve = Polynomial(fit.coefficients)
    bend = curve.deriv(2)
    roots = [float(r.real) for r in np.atleast_1d(curve.deriv().roots()) if abs(r.imag) < 1e-9]
    tops = [root for root in roots if bend(root) < 0 and abs(root) <= 1.5]
    at = min(tops, key=abs) if tops else 0.0
    by_each = np.append(0.0, powers[1:] * at ** (powers[1:] - 1.0))
    error = float(np.sqrt(by_each @ fit.covariance @ by_each * max(1.0, fit.chi2_per_dof)))
    return at * scale, scale * error / max(abs(float(bend(at))), 1e-300)
