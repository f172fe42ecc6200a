"""Find one to three lines of equal width in a raw spectrum, to start a fit from.

Every place and width is tried at once: correlation with Gaussians of a few widths, and for several
lines the closed-form gain of a least-squares fit of that many equal Gaussians.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import oaconvolve

__all__ = [
    "Candidates",
    "find_lines",
    "find_peaks",
    "floor_of",
    "kernel",
    "responses",
    "significance",
    "smoothed",
    "width_px",
]

Array = NDArray[np.float64]

_SIGMAS_PER_FWHM = float(np.sqrt(8.0 * np.log(2.0)))
_WIDTHS_PX = (1.0, 1.6, 2.5, 4.0, 6.3, 10.0, 16.0, 25.0, 40.0, 63.0)  # sigma
_MOST_PLACES = {1: 10**9, 2: 60, 3: 24}


@dataclass(frozen=True, slots=True)
class Candidates:
    """Lines in rising order of pixel; areas in the unit of the spectrum times pixels."""

    pixel: Array
    fwhm_px: float
    area: Array
    gain: float  # drop of the sum of squares


def floor_of(spectrum: Array) -> float:
    """Return the level of the background, going by the lowest fifth of the pixels.

    In noise alone the lowest fifth ends 0.84 deviations below the mean; the deviation is taken from
    neighbours, which a line far wider than a pixel does not disturb.
    """
    if spectrum.size < 2:
        return float(spectrum.min(initial=0.0))
    deviation = _quantile(np.abs(np.diff(spectrum)), 0.5) / 0.954
    return _quantile(spectrum, 0.2) + 0.84 * deviation


def _quantile(values: Array, share: float) -> float:
    """Return what np.quantile does, in a fifth of the time."""
    place = share * (values.size - 1)
    low = int(place)
    high = min(low + 1, values.size - 1)
    ordered = np.partition(values, (low, high))
    return float(ordered[low] + (place - low) * (ordered[high] - ordered[low]))


def significance(spectrum: Array, deviation: Array) -> tuple[float, int, float]:
    """Return z of the most significant line, its pixel and its FWHM in pixels.

    spectrum: background removed; deviation: standard deviation per pixel without signal.
    """
    widths = _usable(spectrum.size)
    if not widths:
        return (-np.inf, 0, _SIGMAS_PER_FWHM)
    z = responses(spectrum) / _deviations(deviation)
    width, peak = np.unravel_index(int(np.argmax(z)), z.shape)
    return float(z[width, peak]), int(peak), widths[int(width)] * _SIGMAS_PER_FWHM


def _deviations(deviation: Array) -> Array:
    """Return the deviation of the responses; one for all pixels needs no second transform."""
    if np.ptp(deviation) == 0.0:
        return float(deviation[0]) * _deviations_of_one(deviation.size)
    variance = _responses(deviation**2, 2)
    return np.asarray(np.sqrt(np.maximum(variance, 1e-12 * variance.max())))


@lru_cache(maxsize=16)
def _deviations_of_one(pixels: int) -> Array:
    return np.asarray(np.sqrt(_responses(np.ones(pixels), 2)))


def responses(spectrum: Array) -> Array:
    """Return the spectrum correlated with the Gaussian of each width, shape (widths, pixels)."""
    return _responses(spectrum, 1)


def find_lines(spectrum: Array, lines: int, *, seen: Array | None = None) -> Candidates:
    """Return the equal Gaussians, as many as asked, that explain most of the spectrum.

    spectrum: background removed, shape (pixels,). seen: its responses, if they are known.
    """
    widths = _usable(spectrum.size)
    every = responses(spectrum) if seen is None else seen
    heights = every.max(axis=1)
    strongest = int(np.argmax(heights * np.abs(heights)))
    if lines == 1:
        return _strongest(every[strongest], widths[strongest])
    # Several lines are no wider than the one that covers them all.
    narrow = widths[: strongest + 1]
    return _best_of([_choices(one, lines, s) for one, s in zip(every, narrow, strict=False)], lines)


def width_px(spectrum: Array) -> float:
    """Return the FWHM of the strongest line, between those of the filters.

    The gain of a Gaussian filter on a Gaussian line is symmetric in the logarithm of the width.
    """
    widths = _usable(spectrum.size)
    heights = responses(spectrum).max(axis=1)
    gain = np.log(np.maximum(heights * np.abs(heights), 1e-300))
    i = int(np.argmax(gain))
    if not 0 < i < len(widths) - 1:
        return widths[i] * _SIGMAS_PER_FWHM
    x, y = np.log(widths[i - 1 : i + 2]), gain[i - 1 : i + 2]
    curvature, slope, _ = np.polyfit(x - x[1], y, 2)
    vertex = x[1] - slope / (2.0 * curvature) if curvature < 0 else x[1]
    return float(np.exp(np.clip(vertex, x[0], x[2]))) * _SIGMAS_PER_FWHM


def find_peaks(spectrum: Array, lines: int) -> Candidates | None:
    """Return the highest separate maxima, or None where there are fewer.

    Beside a bright line this finds a weak one, which the scan for equal lines passes over.
    """
    smooth = np.convolve(spectrum, kernel(1.6), "same")
    inner = smooth[1:-1]
    peaks = 1 + np.flatnonzero((inner > smooth[:-2]) & (inner >= smooth[2:]))
    if peaks.size < lines:
        return None
    highest = np.sort(peaks[np.argsort(-smooth[peaks], kind="stable")[:lines]])
    top = int(np.argmax(spectrum))
    half = np.flatnonzero(spectrum < 0.5 * spectrum[top])
    left, right = half[half < top], half[half > top]
    reach = min(
        top - int(left[-1]) if left.size else top + 1,
        int(right[0]) - top if right.size else spectrum.size - top,
    )
    fwhm_px = float(max(2 * reach - 1, 2))
    area = np.maximum(spectrum[highest], 0.0) * 1.06 * fwhm_px
    return Candidates(highest.astype(np.float64), fwhm_px, area, float(smooth[highest].sum()))


def _strongest(projection: Array, sigma: float) -> Candidates:
    best = int(np.argmax(projection))
    height = projection[[best]]
    return _candidates(np.array([best]), height, float(height[0] * abs(height[0])), sigma)


@dataclass(frozen=True, slots=True)
class _Choices:
    """Every choice of so many places for lines of one width, first axis lines or pairs of them."""

    sigma: float
    pixel: NDArray[np.intp]
    projection: Array
    overlap: Array


def _choices(projection: Array, lines: int, sigma: float) -> _Choices:
    places = _places(projection, sigma, _MOST_PLACES[lines])
    pixel = places.take(_sets(places.size, lines))
    apart = [pixel[j] - pixel[i] for i, j in combinations(range(lines), 2)]
    overlap = _overlaps(sigma).take(apart, mode="clip")
    return _Choices(sigma, pixel, projection.take(pixel), overlap)


def _best_of(widths: list[_Choices], lines: int) -> Candidates:
    """Return the choice that gains most; all widths at once, since each is soon done."""
    projection = np.concatenate([one.projection for one in widths], axis=1)
    overlap = np.concatenate([one.overlap for one in widths], axis=1)
    gain, height = (_gain_of_two if lines == 2 else _gain_of_three)(projection, overlap)
    best = int(np.argmax(gain))
    pixel = np.concatenate([one.pixel for one in widths], axis=1)[:, best]
    last = np.cumsum([one.pixel.shape[1] for one in widths])
    sigma = widths[int(np.searchsorted(last, best, side="right"))].sigma
    return _candidates(pixel, height[:, best], float(gain[best]), sigma)


def _candidates(pixel: NDArray[np.intp], height: Array, gain: float, sigma: float) -> Candidates:
    norm = np.sqrt(2.0 * np.sqrt(np.pi) * sigma)  # area of a Gaussian of unit square integral
    return Candidates(pixel.astype(np.float64), sigma * _SIGMAS_PER_FWHM, height * norm, gain)


def _places(projection: Array, sigma: float, most: int) -> NDArray[np.intp]:
    """Return candidate pixels half a sigma apart; the strong stretch, thinned, if too many."""
    every = np.arange(0, projection.size, max(1, round(0.5 * sigma)))
    if every.size <= most:
        return every
    strong = every[projection[every] > 0.05 * projection.max()]
    if strong.size < 3:
        strong = every[:: -(-every.size // most)]
    return np.asarray(strong[:: -(-strong.size // most)])


@lru_cache(maxsize=256)
def _sets(places: int, lines: int) -> NDArray[np.intp]:
    """Return every choice of so many lines, shape (lines, choices)."""
    chosen = np.fromiter(
        (i for choice in combinations(range(places), lines) for i in choice), dtype=np.intp
    )
    return np.ascontiguousarray(chosen.reshape(-1, lines).T)


# Gain of a least-squares fit of equal lines at each choice of places, and their heights; one with a
# negative line loses. overlap: of lines 1 and 2, 1 and 3, 2 and 3.


def _gain_of_two(projection: Array, overlap: Array) -> tuple[Array, Array]:
    a, b = projection
    (r,) = overlap
    height = np.array([a - r * b, b - r * a]) / (1.0 + _RIDGE - r * r)
    return _where_positive(height, height[0] * a + height[1] * b), height


def _gain_of_three(projection: Array, overlap: Array) -> tuple[Array, Array]:
    a, b, c = projection
    r, s, t = overlap
    u, v, w = s * t - r, r * t - s, r * s - t
    p, q, o = 1.0 - t * t, 1.0 - s * s, 1.0 - r * r
    height = np.array([p * a + u * b + v * c, u * a + q * b + w * c, v * a + w * b + o * c])
    height /= p + r * u + s * v + _RIDGE
    return _where_positive(height, height[0] * a + height[1] * b + height[2] * c), height


_RIDGE = 1e-6  # two lines at nearly one place


@lru_cache(maxsize=64)
def _overlaps(sigma: float) -> Array:
    """Return the overlap of two Gaussians at every distance in pixels at which they have any."""
    return np.asarray(np.exp(-((np.arange(np.ceil(12.0 * sigma) + 1.0) / (2.0 * sigma)) ** 2)))


def _where_positive(height: Array, gain: Array) -> Array:
    return np.where(height.min(axis=0) > 0, gain, -np.inf)


def _usable(pixels: int) -> list[float]:
    return [sigma for sigma in _WIDTHS_PX if 8.0 * sigma + 3.0 <= pixels]


@lru_cache(maxsize=256)
def kernel(sigma: float) -> Array:
    """Return a Gaussian of unit square sum, reaching 4 sigma to both sides; sigma in pixels."""
    reach = int(np.ceil(4.0 * sigma))
    gauss = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    normalised: Array = gauss / np.sqrt((gauss**2).sum())
    normalised.flags.writeable = False
    return normalised


_MOST_PIXELS_AT_ONCE = 8192
_LONG_KERNEL = 200


def smoothed(values: Array, shape: Array) -> Array:
    """Return np.convolve(values, shape, "same"), of a line of many pixels in far less time."""
    if values.size > max(_MOST_PIXELS_AT_ONCE, shape.size) and shape.size > _LONG_KERNEL:
        return np.asarray(oaconvolve(values, shape, "same"))
    return np.convolve(values, shape, "same")


def _responses(spectrum: Array, power: int) -> Array:
    """Return the correlation with the kernels to a power, one row for each usable width."""
    widths = _usable(spectrum.size)
    if spectrum.size > _MOST_PIXELS_AT_ONCE:
        return np.array([smoothed(spectrum, kernel(s) ** power) for s in widths])
    transform, size = _kernel_transforms(spectrum.size, power)
    seen = irfft(transform * rfft(spectrum, size), size, axis=1)
    return np.asarray(seen[:, : spectrum.size])


@lru_cache(maxsize=64)
def _kernel_transforms(pixels: int, power: int) -> tuple[NDArray[np.complex128], int]:
    """Return the transforms of the kernels about pixel 0, and their length."""
    widths = _usable(pixels)
    size = int(next_fast_len(pixels + int(np.ceil(4.0 * max(widths, default=0.0))), real=True))
    rows = np.zeros((len(widths), size))
    for row, sigma in zip(rows, widths, strict=True):
        shape = kernel(sigma) ** power
        reach = shape.size // 2
        row[: reach + 1], row[size - reach :] = shape[reach:], shape[:reach]
    return rfft(rows, size, axis=1), size
