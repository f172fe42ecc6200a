"""From raw frames to electrons with variance and a mask of pixels not to be used.

Nothing here changes a count that is kept: cosmic rays are masked, never replaced, and frames are
never combined by a median, which spectral diffusion and blinking would bias.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import maximum_filter1d, median_filter, uniform_filter1d

from analysis.detector_noise import DetectorNoise

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
    frames: ArrayLike, noise: DetectorNoise, *, narrowest_fwhm_px: float = 2.0
) -> Mask:
    """Mark what particles left in the frames of a point, shape (frames, pixels).

    A hit stands 7 sigma above what the other frames show within 2 pixels (from three frames on;
    else above the running median) and is sharper than a line of narrowest_fwhm_px of its height
    could be. So a real line is never marked, however sharp and wherever it jumps, while a hit as
    wide as a line, or below one, is left to the residuals of the fit.
    """
    electrons, _ = electrons_with_variance(np.atleast_2d(np.asarray(frames)), noise)
    mask = np.zeros(electrons.shape, dtype=np.bool_)
    for one, expected, marked in zip(electrons, _expected(electrons), mask, strict=True):
        deviation = np.sqrt(np.maximum(expected, 0.0) + noise.read_noise_e**2 + 1.0)
        excess = (one - expected) / deviation
        _mark_hits(marked, excess, narrowest_fwhm_px=narrowest_fwhm_px)
    return mask


def _expected(electrons: Array) -> Array:
    """Return what may be in each frame going by the others, or by its own surroundings."""
    if len(electrons) < 3:
        return np.asarray(median_filter(electrons, (1, 15), mode="nearest"))
    floor = np.median(electrons, axis=1, keepdims=True)
    # The second largest of the others: one of them may have been hit at the same place.
    third, second = np.sort(electrons, axis=0)[-3:-1]
    shown = np.where(electrons >= second, third, second)
    above = np.maximum(maximum_filter1d(shown, 5, axis=1) - floor, 0.0)
    is_line = uniform_filter1d(above, 5, axis=1) > 3.0 * np.sqrt(np.maximum(floor, 1.0))
    return np.asarray(floor + np.where(is_line, _ALLOWANCE * above, 0.0))


def _mark_hits(mask: Mask, excess: Array, *, narrowest_fwhm_px: float) -> None:
    sigma_px = narrowest_fwhm_px / _SIGMAS_PER_FWHM
    for seed in np.flatnonzero(excess > _SEED):
        if mask[seed]:
            continue
        first, last = seed, seed
        while first > 0 and excess[first - 1] > _EDGE:
            first -= 1
        while last < excess.size - 1 and excess[last + 1] > _EDGE:
            last += 1
        height = float(excess[first : last + 1].max())
        # A line this high would stand above the edge over so many pixels.
        as_line = 2.0 * sigma_px * np.sqrt(2.0 * np.log(height / _EDGE))
        if last - first + 1 < 0.75 * as_line:
            mask[first : last + 1] = True
