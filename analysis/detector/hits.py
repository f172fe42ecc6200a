"""Cosmic hits in a single spectrum: before the fit by their shape, after it by the residuals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects, label, median_filter

from analysis.detector.corrections import cosmic_ray_mask
from analysis.detector.detector_noise import DetectorNoise

__all__ = ["lone_pixels", "narrow_outliers", "spikes"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_SPIKE = 7.0  # sigma above twice the highest neighbour 2 and 3 pixels away
_WIDEST_HIT_PX = 3


def spikes(electrons: Array, shift: Array, *, narrowest_fwhm_px: float) -> Mask:
    """Mark the hits of one spectrum, shape (pixels,), in electrons; shift: signal-free variance.

    What stands out from its neighbours is marked only where a hit explains it better than any line
    of narrowest_fwhm_px or more.
    """
    padded = np.pad(electrons, 3)
    size = electrons.size
    around = np.max([padded[3 + k : 3 + k + size] for k in (-3, -2, 2, 3)], axis=0)
    around = np.maximum(around, 0.0)
    suspect = electrons - 2.0 * around > _SPIKE * np.sqrt(around + shift)
    if not suspect.any():
        return np.asarray(suspect)
    noise = DetectorNoise(read_noise_e=float(np.sqrt(np.median(shift))))
    hit = cosmic_ray_mask(electrons, noise, narrowest_fwhm_px=narrowest_fwhm_px)[0]
    marked, _ = label(hit)
    real = np.unique(marked[suspect & hit])
    return np.asarray(np.isin(marked, real[real > 0]))


# A Gaussian line of 1 pixel FWHM in the middle of a pixel puts 0.157 of what that pixel holds into
# each neighbour; anywhere else, wider or with wings, the higher neighbour gets more.
_LEAST_IN_NEIGHBOUR = 0.12
_SIGMA_PER_MEDIAN = 1.4826  # of the absolute deviation
_SURELY = 3.0  # sigma by which the neighbours must stay below


def lone_pixels(electrons: Array, shift: Array) -> Mask:
    """Mark the pixels that stand so alone that no line of 1 pixel FWHM or more can be there.

    electrons: one spectrum, shape (pixels,); shift: its signal-free variance. Nothing else tells a
    hit from a sharp line where there are no other spectra; hits of several pixels are not marked.
    """
    floor = median_filter(electrons, 15, mode="nearest")
    above = electrons - floor
    # The scatter around is what the noise is at least, whatever was said of the detector.
    scatter = _SIGMA_PER_MEDIAN * median_filter(np.abs(above), 51, mode="nearest")
    variance = np.maximum(np.maximum(floor, 0.0) + shift, scatter**2)
    beside = np.full(electrons.size, np.inf)
    beside[1:-1] = np.maximum(above[:-2], above[2:])
    deviation = np.sqrt(np.maximum(beside, 0.0) + variance)
    is_bright = above > _SPIKE * np.sqrt(variance)
    return np.asarray(is_bright & (beside + _SURELY * deviation < _LEAST_IN_NEIGHBOUR * above))


def narrow_outliers(residual_sigma: Array, *, clip: float = 6.0) -> Mask:
    """Mark what stands above a fit by so many sigma, if it is at most 3 pixels wide.

    What is wider is no hit but a line that jumped or one the model lacks.
    """
    marked, _ = label(residual_sigma > clip)
    mask = np.zeros(residual_sigma.shape, dtype=np.bool_)
    for (stretch,) in find_objects(marked):
        if stretch.stop - stretch.start <= _WIDEST_HIT_PX:
            mask[stretch] = True
    return mask
