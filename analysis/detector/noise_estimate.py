"""Offset and noise of a detector that a foreign file says nothing about, from its spectra."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.detector.detector_noise import DetectorNoise

__all__ = ["estimate_noise"]

Array = NDArray[np.float64]

_BLOCK = 16  # pixels
_QUIET = 0.2  # share of the blocks that are taken for dark
_LEAST_NOISE_E = 0.1


def estimate_noise(
    counts: ArrayLike,
    *,
    gain_e_per_count: float = 1.0,
    read_noise_e: float | None = None,
    offset_counts: float | None = None,
    saturation_counts: float = np.inf,
) -> DetectorNoise:
    """Return the noise of spectra (spectra, pixels), from their darkest stretches.

    What is given is taken; the offset is else the level of the darkest fifth of the blocks of 16
    pixels, and the read noise what neighbouring pixels differ by there. The gain cannot be told
    from one spectrum: if it is not given, chi2 of a good fit shows by how much it is wrong.
    Raises ValueError for spectra without a finite count.
    """
    spectra = np.atleast_2d(np.asarray(counts, dtype=np.float64))
    level, noise = _dark_level(spectra)
    measured = noise * gain_e_per_count
    return DetectorNoise(
        gain_e_per_count=gain_e_per_count,
        read_noise_e=max(measured, _LEAST_NOISE_E) if read_noise_e is None else read_noise_e,
        offset_counts=level if offset_counts is None else offset_counts,
        saturation_counts=saturation_counts,
    )


def _dark_level(spectra: Array) -> tuple[float, float]:
    blocks = max(1, spectra.shape[1] // _BLOCK)
    parts = np.array_split(spectra, blocks, axis=1)
    finite = [part[np.isfinite(part).all(axis=1)] for part in parts]
    rows = [row for part in finite for row in part if row.size > 1]
    if not rows:
        raise ValueError("no stretch of the spectra has finite counts")
    levels = np.array([np.median(row) for row in rows])
    quiet = np.argsort(levels, kind="stable")[: max(1, round(_QUIET * len(rows)))]
    steps = np.concatenate([np.diff(rows[i]) for i in quiet])
    noise = 1.4826 * float(np.median(np.abs(steps))) / np.sqrt(2.0)
    return float(np.median(levels[quiet])), noise
