"""From raw frames to electrons with variance and a mask of pixels not to be used.

Nothing here changes a count that is kept: cosmic rays are masked, never replaced, and frames are
never combined by a median, which spectral diffusion and blinking would bias.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import maximum_filter1d, median_filter, uniform_filter1d
from scipy.special import ndtr

from analysis.detector.detector_noise import DetectorNoise

__all__ = [
    "cosmic_ray_mask",
    "dead_pixel_mask",
    "electrons_with_variance",
    "saturation_mask",
    "subtract_background",
]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_SIGMAS_PER_FWHM = float(np.sqrt(8.0 * np.log(2.0)))
_SEED, _EDGE = 7.0, 2.5  # sigma: where a hit is noticed, and how far it reaches
_REACH, _LONGEST_HIT = 7, 4  # pixels
_LINE_NEARBY = 0.3  # of the hit's height: what is left of a line there has a shape of its own
_BETTER_BY, _WORSE_THAN = 30.0, 0.03  # chi2 of a line over that of a hit, and as a share of all
_LEFT_BY_A_HIT = 30.0  # chi2 of the 11 pixels around it
_SEARCHES = 5  # in each, what the one before has marked shows nothing and hides nothing
_FRAMES_TO_COMPARE = 3
_ALLOWANCE = 1.5  # on what the other frames show: lines move and flicker


def electrons_with_variance(counts: ArrayLike, noise: DetectorNoise) -> tuple[Array, Array]:
    """Return electrons above the offset, and the variance estimated from them.

    The variance is that of photons and read noise, never below the latter; for fits use the
    model's variance instead, since this one is correlated with the counts.
    """
    electrons = noise.gain_e_per_count * (
        np.asarray(counts, dtype=np.float64) - noise.offset_counts
    )
    return electrons, np.maximum(electrons, 0.0) + noise.read_noise_e**2


def subtract_background(
    counts: ArrayLike, background: ArrayLike, noise: DetectorNoise
) -> tuple[Array, Array]:
    """Return electrons above the mean of background frames, and their variance.

    background: raw frames of the same exposure without the light, (frames, pixels) or (pixels,);
    they carry the offset, so none is subtracted twice.
    Raises ValueError if the pixels differ in number.
    """
    frames = np.atleast_2d(np.asarray(background, dtype=np.float64))
    raw = np.asarray(counts, dtype=np.float64)
    if frames.shape[-1] != raw.shape[-1]:
        raise ValueError(f"background of {frames.shape[-1]} pixels for {raw.shape[-1]}")
    dark, dark_variance = electrons_with_variance(frames.mean(axis=0), noise)
    electrons, variance = electrons_with_variance(raw, noise)
    return electrons - dark, variance + dark_variance / len(frames)


def saturation_mask(counts: ArrayLike, saturation_counts: float, *, reach: int = 0) -> Mask:
    """Mark pixels at or above saturation, and so many neighbours into which charge blooms."""
    over = np.asarray(counts, dtype=np.float64) >= saturation_counts
    return np.asarray(maximum_filter1d(over, 2 * reach + 1, axis=-1))


def dead_pixel_mask(darks: ArrayLike, *, threshold: float = 8.0) -> Mask:
    """Mark pixels that are wrong in dark frames, shape (frames, pixels), at least 5.

    Wrong is a mean, or a scatter, that stands out of those of its 50 neighbours by threshold robust
    deviations. Raises ValueError for fewer frames.
    """
    frames = np.asarray(darks, dtype=np.float64)
    if frames.ndim != 2 or len(frames) < 5:
        raise ValueError(f"dark frames of shape {frames.shape}: needed are 5 or more of (pixels,)")
    wrong = ~np.isfinite(frames).all(axis=0)
    frames = np.where(np.isfinite(frames), frames, np.nanmedian(frames))
    for seen in (frames.mean(axis=0), np.log(frames.std(axis=0) + 0.1)):
        excess = np.abs(seen - median_filter(seen, 51, mode="nearest"))
        usual = max(float(np.median(excess)) / 0.6745, 1e-6)
        wrong |= excess > threshold * usual
    return np.asarray(wrong)


def cosmic_ray_mask(
    frames: ArrayLike,
    noise: DetectorNoise,
    *,
    narrowest_fwhm_px: float = 2.0,
    only_frame: int | None = None,
) -> Mask:
    """Mark what particles left in the frames of a point, shape (frames, pixels).

    A hit stands 7 sigma above what the other frames show within 2 pixels (from three frames on;
    else above the running median), and up to four pixels explain it better than any line of
    narrowest_fwhm_px or more. So a real line is never marked, however sharp and wherever it jumps,
    while a hit below a line is left to the residuals of the fit. A marked pixel neither shows other
    frames what to expect nor hides a hit beside it, so the search is repeated until nothing new is
    found. only_frame: the others serve for comparison and are not marked.
    """
    electrons, variance = electrons_with_variance(np.atleast_2d(np.asarray(frames)), noise)
    mask = np.zeros(electrons.shape, dtype=np.bool_)
    lines = _line_templates(narrowest_fwhm_px)
    expectation = _expected(electrons, mask)
    for _ in range(_SEARCHES):
        known = int(mask.sum())
        for i in range(len(electrons)) if only_frame is None else (only_frame,):
            expected = expectation[i]
            deviation = np.sqrt(np.maximum(expected, 0.0) + noise.read_noise_e**2 + 1.0)
            weight = np.where(mask[i], 0.0, 1.0 / (variance[i] + 1.0))
            _mark_hits(mask[i], electrons[i] - expected, weight, expected, deviation, lines)
        if mask.sum() == known:
            break
        if len(electrons) >= _FRAMES_TO_COMPARE:  # the running median hardly feels a hit
            expectation = _expected(electrons, mask)
    return mask


def _mark_hits(
    marked: Mask, excess: Array, weight: Array, expected: Array, deviation: Array, lines: Array
) -> None:
    """Mark what is a hit and no line in one frame, from the highest down."""
    seen = marked.copy()
    seeds = np.flatnonzero((excess > _SEED * deviation) & ~marked)
    for seed in seeds[np.argsort(-excess[seeds], kind="stable")]:
        if not seen[seed]:  # else it is the flank of something higher
            seen[max(0, seed - _REACH) : seed + _REACH + 1] = True
            around = np.arange(max(0, seed - _REACH), min(excess.size, seed + _REACH + 1))
            beside = expected[around] - expected[around].min()
            if beside.max() < _LINE_NEARBY * excess[seed]:
                e, w, t = excess[around], weight[around], lines[:, around - seed + _REACH]
                hit = _hit_in(e, w, t)
                # What others show may cut into a line that stands elsewhere in this frame.
                if hit.any() and _misses(e + beside, w, t):
                    marked[around[hit]] = True


def _hit_in(e: Array, w: Array, lines: Array) -> Mask:
    """Return the pixels of a hit, if it is one and no line. e: excess, w: 1 / variance."""
    power = w @ e**2
    inside = np.convolve(w * e**2, np.ones(_LONGEST_HIT), "full")[_LONGEST_HIT - 1 :]
    first = int(np.argmax(inside))
    as_hit = power - inside[first]
    hit = np.zeros(e.size, dtype=np.bool_)
    # Beside another hit too little of a line may be left to show its shape.
    is_whole = bool(w.all()) or as_hit < _LEFT_BY_A_HIT
    if is_whole and _misses(e, w, lines, as_hit):
        part = slice(first, first + _LONGEST_HIT)
        hit[part] = e[part] * np.sqrt(w[part]) > _EDGE
    return hit


def _misses(e: Array, w: Array, lines: Array, as_hit: float = 0.0) -> bool:
    """Return whether every line misses this by far, and by more than a hit does."""
    power = w @ e**2
    shown = np.maximum(lines**2 @ w, np.finfo(np.float64).tiny)
    as_line = power - np.max(np.maximum(lines @ (w * e), 0.0) ** 2 / shown)
    return bool(as_line - as_hit > _BETTER_BY and as_line > _WORSE_THAN * power)


@lru_cache(maxsize=8)
def _line_templates(narrowest_fwhm_px: float) -> Array:
    """Return lines of several widths and positions, shape (lines, pixels), integrated."""
    sigma = narrowest_fwhm_px / _SIGMAS_PER_FWHM * np.array([1.0, 1.3, 1.7, 2.4, 3.5])
    centre = np.arange(-2.0, 2.01, 0.1)
    edges = np.arange(-_REACH - 0.5, _REACH + 1.0)
    below = ndtr((edges - centre[:, None, None]) / sigma[:, None])
    templates: Array = np.diff(below, axis=2).reshape(-1, edges.size - 1)
    templates.flags.writeable = False
    return templates


def _expected(electrons: Array, mask: Mask) -> Array:
    """Return what may be in each frame going by the others, or by its own surroundings."""
    if len(electrons) < _FRAMES_TO_COMPARE:
        return np.asarray(median_filter(electrons, (1, 15), mode="nearest"))
    floor = np.minimum(np.median(electrons, axis=1, keepdims=True), _local_median(electrons))
    light = np.where(mask, floor, electrons)
    # The second largest of the others: one of them may have been hit at the same place.
    third, second = np.sort(light, axis=0)[-3:-1]
    shown = np.where(light >= second, third, second)
    above = np.maximum(maximum_filter1d(shown, 5, axis=1) - floor, 0.0)
    is_line = uniform_filter1d(above, 5, axis=1) > 3.0 * np.sqrt(np.maximum(floor, 1.0))
    return np.asarray(floor + np.where(is_line, _ALLOWANCE * above, 0.0))


_BLOCK = 64  # pixels


def _local_median(electrons: Array) -> Array:
    """Return the median of each block of pixels, for all of its pixels.

    Where broad light covers most of the detector, the median of all is no floor of the dark rest.
    """
    blocks = np.array_split(electrons, max(1, electrons.shape[1] // _BLOCK), axis=1)
    medians = [np.repeat(np.median(b, axis=1, keepdims=True), b.shape[1], axis=1) for b in blocks]
    return np.concatenate(medians, axis=1)
