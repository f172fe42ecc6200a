"""The response of each pixel, from an evenly lit exposure, and spectra divided by it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter1d

__all__ = ["correct_response", "flat_response", "lamp_response"]

Array = NDArray[np.float64]

_LEAST_RESPONSE = 0.05


def flat_response(
    flat: ArrayLike, dark: ArrayLike | None = None, *, smooth_px: float = 0.0
) -> Array:
    """Return the relative response of each pixel from frames of an even source, mean 1.

    flat: raw frames (frames, pixels) or (pixels,); dark: likewise, same exposure. smooth_px: width
    (sigma) of the slow shape of source and grating that is taken out, so that etalon ripple and
    pixel scatter remain; 0 keeps everything. Pixels without a sensible response are NaN.
    Raises ValueError if shapes differ or there is no light in the flat.
    """
    light = _mean(flat, "flat") - (0.0 if dark is None else _mean(dark, "dark", flat))
    if not np.nanmedian(light) > 0:
        raise ValueError(f"flat: median {np.nanmedian(light):.3g} above dark, there is no light")
    slow = np.full_like(light, np.nanmean(light))
    if smooth_px > 0:
        known = np.isfinite(light)
        filled = np.interp(np.arange(light.size), np.flatnonzero(known), light[known])
        slow = gaussian_filter1d(filled, smooth_px, mode="nearest")
    return _sensible(light / slow)


def lamp_response(measured: ArrayLike, known: ArrayLike) -> Array:
    """Return the response over wavelength from a lamp of known spectrum, mean 1.

    measured: counts above dark; known: photons per pixel of the lamp in any unit; one measurement
    per grating position and polariser angle. It enters area ratios, hardly positions.
    """
    counts, photons = np.asarray(measured, np.float64), np.asarray(known, np.float64)
    if counts.shape != photons.shape or counts.ndim != 1:
        raise ValueError(f"measured of shape {counts.shape} for a known of {photons.shape}")
    if not (np.isfinite(photons) & (photons > 0)).all():
        raise ValueError("known: the lamp must shine at every pixel")
    ratio = counts / photons
    if not np.nanmean(ratio) > 0:
        raise ValueError("measured: there is no light")
    return _sensible(ratio / np.nanmean(ratio))


def correct_response(
    electrons: ArrayLike,
    variance: ArrayLike,
    response: ArrayLike,
    response_error: ArrayLike | float = 0.0,
) -> tuple[Array, Array]:
    """Return electrons and variance as of an even detector; NaN where there is no response.

    response_error: relative, of each pixel; it is not small where the flat had few counts.
    """
    signal, noise2 = np.asarray(electrons, np.float64), np.asarray(variance, np.float64)
    even = np.asarray(response, dtype=np.float64)
    if signal.shape != noise2.shape or signal.shape[-1:] != even.shape:
        raise ValueError(
            f"electrons {signal.shape}, variance {noise2.shape} and response {even.shape} differ"
        )
    corrected = signal / even
    return corrected, noise2 / even**2 + (corrected * np.asarray(response_error)) ** 2


def _mean(frames: ArrayLike, name: str, like: ArrayLike | None = None) -> Array:
    mean = np.atleast_2d(np.asarray(frames, dtype=np.float64)).mean(axis=0)
    if like is not None and mean.shape != np.shape(like)[-1:]:
        raise ValueError(f"{name} of {mean.shape[0]} pixels for {np.shape(like)[-1]}")
    return np.asarray(mean)


def _sensible(response: Array) -> Array:
    return np.where(response > _LEAST_RESPONSE, response, np.nan)
