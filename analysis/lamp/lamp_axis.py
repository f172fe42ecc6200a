"""The axis of a detector from the spectrum of a lamp on it, whatever axis was delivered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.lamp.lamp_calibration import LampCalibration, calibrate_by_polynomial
from analysis.lamp.lamp_lines import LampLine, LineList, identify_lines, measure_lines
from analysis.readers.measured_spectra import MeasuredSpectra
from analysis.wavelength.units import vacuum_from_air_nm

__all__ = ["LampAxis", "calibrate_axis"]

Array = NDArray[np.float64]

_TOLERANCE_NM = 0.3  # between a line and where the delivered axis, once displaced, has it
_LARGEST_OFFSET_NM = 2.0
_LEAST_STRENGTH = 0.005  # of the strongest line of the list on the detector
_DEGREES = ((12, 3), (7, 2), (3, 1))  # least lines for each degree of the polynomial


@dataclass(frozen=True, slots=True)
class LampAxis:
    """The wavelength of every pixel in vacuum, and how far the delivered axis was off.

    offset_nm, scatter_nm: mean and standard deviation of delivered minus true, over the lines.
    error_nm: of the axis at every pixel; large where lines are far.
    """

    vacuum_nm: Array
    error_nm: Array
    offset_nm: float
    scatter_nm: float
    nm_per_px: float
    calibration: LampCalibration

    def described(self) -> str:
        """Return in one line what a person must know of the calibration."""
        of = self.calibration
        return (
            f"{of.pixel.size} lamp lines, {len(of.excluded)} not used; the axis delivered was off "
            f"by {self.offset_nm:+.4f} nm (scatter {self.scatter_nm:.4f} nm); polynomial of degree "
            f"{len(of.names) - 1}: residuals {1e3 * of.rms_nm:.1f} pm rms, leave-one-out "
            f"{1e3 * of.left_out_rms_nm:.1f} pm, {self.nm_per_px:.4f} nm per pixel, error up to "
            f"{1e3 * float(self.error_nm.max()):.0f} pm"
        )


def calibrate_axis(lamp: MeasuredSpectra, references: LineList) -> LampAxis:
    """Return the axis from the first spectrum of a lamp.

    The delivered axis, in the medium its file names or else air, may be displaced by up to 2 nm and
    bent by 0.3 nm; pixels without a finite count are taken for saturated. Raises ValueError, naming
    the lamp's file, where fewer than three lines can be told.
    """
    in_air = lamp.medium != "vacuum"
    lines = references.to_medium("air" if in_air else "vacuum")
    seen = lamp.counts[0]
    full = float(np.nanmax(seen)) + 1.0 if np.isfinite(seen).any() else 1.0
    peaks = measure_lines(np.where(np.isfinite(seen), seen, full), saturation_counts=full)
    delivered = lamp.wavelength_nm
    on_detector = (lines.wavelength_nm > delivered[0]) & (lines.wavelength_nm < delivered[-1])
    if not on_detector.any():
        raise ValueError(f"{lamp.source}: no line of the list is on the detector")
    strong = on_detector & (lines.strength >= _LEAST_STRENGTH * lines.strength[on_detector].max())
    shown = LineList(lines.wavelength_nm[strong], lines.strength[strong], lines.medium)
    try:
        displaced = delivered - _displacement(peaks, delivered, shown)
        found = identify_lines(peaks, displaced, shown, tolerance_nm=_TOLERANCE_NM)
        degree = next((d for least, d in _DEGREES if found.pixel.size >= least), 1)
        calibration = calibrate_by_polynomial(found, degree)
    except ValueError as error:
        raise ValueError(f"{lamp.source}: {error}") from error
    pixel = np.arange(delivered.size, dtype=np.float64)
    true = calibration.wavelength_nm(pixel)
    off = (delivered - true)[np.clip(np.rint(calibration.pixel).astype(np.intp), 0, pixel.size - 1)]
    return LampAxis(
        vacuum_nm=vacuum_from_air_nm(true) if in_air else true,
        error_nm=calibration.error_nm(pixel),
        offset_nm=float(off.mean()),
        scatter_nm=float(off.std(ddof=1)),
        nm_per_px=calibration.nm_per_pixel(0.5 * pixel[-1]),
        calibration=calibration,
    )


def _displacement(peaks: list[LampLine], delivered: Array, lines: LineList) -> float:
    """Return the displacement that brings most light of the peaks onto lines of the list.

    Each peak and line counts by the root of its strength, so that neither one strong peak nor many
    faint lines decide.
    """
    usable = [peak for peak in peaks if np.isfinite(peak.error_px) and not peak.excluded]
    if not usable:
        raise ValueError("no usable peak")
    place = np.interp([p.pixel for p in usable], np.arange(delivered.size), delivered)
    weight = np.sqrt([max(p.area_counts, 0.0) for p in usable])
    apart = place[:, None] - lines.wavelength_nm
    strength = np.sqrt(lines.strength)
    tries = np.arange(-_LARGEST_OFFSET_NM, _LARGEST_OFFSET_NM + 0.01, 0.02)
    near = [
        float((weight[:, None] * strength * np.exp(-0.5 * ((apart - t) / 0.06) ** 2)).sum())
        for t in tries
    ]
    return float(tries[int(np.argmax(near))])
