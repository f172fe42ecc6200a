"""From a detector image to a spectrum: rows added up with their variance, less the background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.detector.detector_noise import DetectorNoise

__all__ = ["BinnedRows", "bin_rows"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BinnedRows:
    """electrons and variance of each column; rows: how many good ones it is the sum of.

    Columns with masked rows are scaled up to all rows, and their variance with them; a column
    without any is NaN.
    """

    electrons: Array
    variance: Array
    rows: NDArray[np.int64]


def bin_rows(
    image: ArrayLike,
    rows: tuple[int, int],
    noise: DetectorNoise,
    *,
    background_rows: tuple[int, int] | None = None,
    masked: ArrayLike | None = None,
) -> BinnedRows:
    """Add up rows of an image read pixel by pixel; read noise counts once per row.

    image: raw counts (rows, columns); rows: first and one past the last. background_rows: those
    beside the sample whose mean is taken off each row; they carry the offset too. masked: True for
    pixels not to be used (dead, hit, saturated), same shape as the image.
    Raises ValueError for rows that are not on the image, or overlap with those of the background.
    """
    counts = np.asarray(image, dtype=np.float64)
    if counts.ndim != 2:
        raise ValueError(f"image of shape {counts.shape} must have rows and columns")
    good = np.isfinite(counts) & (counts < noise.saturation_counts)
    if masked is not None:
        if np.shape(masked) != counts.shape:
            raise ValueError(f"masked of shape {np.shape(masked)} for an image {counts.shape}")
        good &= ~np.asarray(masked, dtype=np.bool_)
    light = noise.gain_e_per_count * (np.where(good, counts, 0.0) - noise.offset_counts)
    part = _range(rows, counts.shape[0], "rows")
    electrons, variance, number = _sum(light[part], good[part], noise)
    total = part.stop - part.start
    scale = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    electrons, variance = electrons * scale, variance * scale**2
    if background_rows is not None:
        beside = _range(background_rows, counts.shape[0], "background_rows")
        if beside.start < part.stop and part.start < beside.stop:
            raise ValueError(f"background_rows {background_rows} overlap rows {rows}")
        below, its_variance, of = _sum(light[beside], good[beside], noise)
        share = np.where(of > 0, total / np.maximum(of, 1), np.nan)
        electrons, variance = electrons - below * share, variance + its_variance * share**2
    return BinnedRows(electrons, variance, number)


def _sum(
    light: Array, good: NDArray[np.bool_], noise: DetectorNoise
) -> tuple[Array, Array, NDArray[np.int64]]:
    """Return sum, variance and number of the good pixels of each column."""
    number = good.sum(axis=0)
    electrons = np.where(good, light, 0.0).sum(axis=0)
    variance = np.maximum(electrons, 0.0) + number * noise.read_noise_e**2
    return np.asarray(electrons), np.asarray(variance), np.asarray(number, dtype=np.int64)


def _range(rows: tuple[int, int], height: int, name: str) -> slice:
    first, last = rows
    if not 0 <= first < last <= height:
        raise ValueError(f"{name} {first} to {last} are not on an image of {height} rows")
    return slice(first, last)
