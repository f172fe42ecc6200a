"""From the file of a lamp to the instrument profile: which of its lines stand alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.detector.detector_noise import DetectorNoise
from analysis.estimation.instrument_profile import InstrumentProfile
from analysis.lamp.lamp_axis import LampAxis
from analysis.lamp.lamp_profile import profile_of_lamp
from analysis.readers.measured_spectra import MeasuredSpectra
from analysis.spectra.matched_filter import floor_of
from analysis.spectra.spectrum_window import in_electrons
from analysis.wavelength.units import energy_from_wavelength_eV, vacuum_from_air_nm

__all__ = ["measured_profile"]

Array = NDArray[np.float64]

_ALONE_WIDTHS = 8.0  # FWHM to the next peak and to the end of the detector: wings reach so far
_BRIGHTER = 0.02  # of a line's height, from which on a neighbour spoils it
_LEAST_HEIGHT = 0.02  # of the highest line: fainter ones say nothing beside it
_LEAST_SIGMAS = 40.0  # of the read noise
_MOST_LINES = 12


def measured_profile(
    lamp: MeasuredSpectra, axis: LampAxis, noise: DetectorNoise
) -> InstrumentProfile:
    """Return the profile that the lines of a lamp show, along the axis as it was delivered.

    axis: which tells the lines of the list from everything else. A medium that the lamp's file does
    not name is air, as for the axis. Raises ValueError, naming the file, where no line stands
    alone, all are saturated or faint, or they do not agree.
    """
    delivered = lamp.wavelength_nm
    vacuum_nm = delivered if lamp.medium == "vacuum" else vacuum_from_air_nm(delivered)
    alone = _alone(lamp.counts[0], axis, noise)
    if not alone.size:
        raise ValueError(
            f"{lamp.source}: none of {axis.calibration.pixel.size} lamp lines stands alone and is "
            "neither saturated nor faint: no instrument profile"
        )
    at_nm = np.interp(alone, np.arange(vacuum_nm.size), vacuum_nm)
    whole = in_electrons(vacuum_nm, lamp.counts[:1], noise=noise, background=None)
    try:
        return profile_of_lamp(whole, energy_from_wavelength_eV(at_nm).tolist())
    except ValueError as error:
        raise ValueError(f"{lamp.source}: {error}") from error


def _alone(counts: Array, axis: LampAxis, noise: DetectorNoise) -> Array:
    """Return the pixels of the lines that nothing else is near, the brightest at most."""
    light = np.nan_to_num(counts, nan=np.nanmax(counts)) - floor_of(counts[np.isfinite(counts)])
    known = axis.calibration.pixel
    peaks = np.concatenate([known, [pixel for pixel, _ in axis.calibration.excluded]])
    near = np.clip(np.rint(peaks).astype(np.intp), 0, counts.size - 1)
    height = light[near]
    least = _LEAST_SIGMAS * noise.read_noise_e / noise.gain_e_per_count
    reach = _ALONE_WIDTHS * float(np.median([_fwhm_px(light, at) for at in near[: known.size]]))
    kept = [
        i
        for i, pixel in enumerate(known)
        if reach < pixel < counts.size - 1 - reach
        and height[i] > max(_LEAST_HEIGHT * height.max(), least)
        and _is_whole(counts[near[i] - 2 : near[i] + 3], noise)
        and not _is_disturbed(i, peaks, height, reach)
    ]
    kept.sort(key=lambda i: -height[i])
    return np.sort(known[kept[:_MOST_LINES]])


def _is_whole(peak: Array, noise: DetectorNoise) -> bool:
    return bool(np.isfinite(peak).all() and (peak < noise.saturation_counts).all())


def _is_disturbed(line: int, peaks: Array, height: Array, reach: float) -> bool:
    others = np.abs(peaks - peaks[line]) < reach
    others[line] = False
    return bool((height[others] > _BRIGHTER * height[line]).any())


def _fwhm_px(light: Array, peak: int) -> float:
    below = np.flatnonzero(light < 0.5 * light[peak])
    left, right = below[below < peak], below[below > peak]
    if not (left.size and right.size):
        return 1.0
    return max(float(right[0] - left[-1] - 1), 1.0)
