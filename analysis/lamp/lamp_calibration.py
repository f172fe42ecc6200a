"""From the pixels of lamp lines to the wavelength of every pixel, with residuals and errors.

By the grating equation, whose few parameters hold between and beyond the lines, or by a polynomial
where the geometry is not known and lines are many.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from analysis.estimation.curve_fit import fit_curve
from analysis.estimation.verdict import Verdict
from analysis.lamp.lamp_lines import Medium, Pairing
from analysis.wavelength.axis import grating_wavelength_nm

__all__ = ["Grating", "LampCalibration", "calibrate_by_grating", "calibrate_by_polynomial"]

Array = NDArray[np.float64]
Curve = Callable[[Array, Array], Array]  # pixels (n,), parameters -> wavelengths (n,)

_LEAST_CHANCE = 0.01


@dataclass(frozen=True, slots=True)
class LampCalibration:
    """The wavelength of a pixel, in the medium of the line list.

    names, values, covariance: of the parameters, errors from the residuals. residuals_nm: of the
    lines used, list minus curve; left_out_nm: of each line by the calibration without it.
    excluded: pixel and reason of every peak that was not used.
    """

    names: tuple[str, ...]
    values: Array
    covariance: Array
    medium: Medium
    pixel: Array
    residuals_nm: Array
    left_out_nm: Array
    excluded: tuple[tuple[float, str], ...]
    verdict: Verdict
    reason: str
    curve: Curve

    @property
    def rms_nm(self) -> float:
        return float(np.sqrt(np.mean(self.residuals_nm**2)))

    @property
    def left_out_rms_nm(self) -> float:
        return float(np.sqrt(np.mean(self.left_out_nm**2)))

    def wavelength_nm(self, pixel: ArrayLike) -> Array:
        return self.curve(np.asarray(pixel, dtype=np.float64), self.values)

    def error_nm(self, pixel: ArrayLike) -> Array:
        """Return the error of the curve at each pixel; large where lines are far."""
        place = np.atleast_1d(np.asarray(pixel, dtype=np.float64))
        slopes = _slopes(self.curve, place, self.values, np.sqrt(np.diag(self.covariance)))
        return np.asarray(np.sqrt(np.einsum("ni,ij,nj->n", slopes, self.covariance, slopes)))

    def nm_per_pixel(self, pixel: float) -> float:
        below, above = self.wavelength_nm([pixel - 0.5, pixel + 0.5])
        return float(above - below)


@dataclass(frozen=True, slots=True)
class Grating:
    """What is known of a spectrograph beforehand; see axis.grating_wavelength_nm.

    focal_length_mm and half_included_angle_deg are start values: lines fix centre and dispersion,
    and more than three of them the angle.
    """

    grooves_per_mm: float
    focal_length_mm: float
    pixel_um: float
    centre_pixel: float
    half_included_angle_deg: float
    centre_nm: float
    order: int = 1


def calibrate_by_grating(lines: Pairing, grating: Grating) -> LampCalibration:
    """Fit centre wavelength, focal length and, from four lines on, the included angle.

    Raises ValueError for fewer than three lines.
    """
    free = 3 if lines.pixel.size > 3 else 2
    start = np.array(
        [grating.centre_nm, grating.focal_length_mm, grating.half_included_angle_deg][:free]
    )

    def curve(pixel: Array, at: Array) -> Array:
        angle = at[2] if at.size > 2 else grating.half_included_angle_deg
        return grating_wavelength_nm(
            pixel,
            centre_nm=float(at[0]),
            grooves_per_mm=grating.grooves_per_mm,
            focal_length_mm=float(at[1]),
            pixel_um=grating.pixel_um,
            centre_pixel=grating.centre_pixel,
            half_included_angle_deg=float(angle),
            order=grating.order,
        )

    names = ("centre_nm", "focal_length_mm", "half_included_angle_deg")[:free]
    return _calibrated(lines, curve, start, names)


def calibrate_by_polynomial(lines: Pairing, degree: int = 3) -> LampCalibration:
    """Fit a polynomial in the pixel, centred on the lines and scaled to their span.

    Raises ValueError for fewer lines than coefficients and one more.
    """
    if not 1 <= degree <= 5:
        raise ValueError(f"degree {degree} must be 1 to 5")
    if lines.pixel.size < degree + 2:
        raise ValueError(f"{lines.pixel.size} usable lines are too few for degree {degree}")
    middle, half = float(lines.pixel.mean()), 0.5 * float(np.ptp(lines.pixel))

    def curve(pixel: Array, at: Array) -> Array:
        return np.asarray(np.polynomial.polynomial.polyval((pixel - middle) / half, at))

    start = np.append(float(lines.wavelength_nm.mean()), np.zeros(degree))
    return _calibrated(lines, curve, start, tuple(f"c{k}_nm" for k in range(degree + 1)))


def _calibrated(
    lines: Pairing, curve: Curve, start: Array, names: tuple[str, ...]
) -> LampCalibration:
    """Fit, leave out the line that disagrees with all others, and fit again."""
    excluded = list(lines.excluded)
    kept = np.arange(lines.pixel.size)
    while True:
        pixel, target = lines.pixel[kept], lines.wavelength_nm[kept]
        if pixel.size < len(names) + 1:
            raise ValueError(f"{pixel.size} usable lines are too few for {len(names)} parameters")
        fit = fit_curve(partial(curve, pixel), target, start=start, names=names)
        slopes = _slopes(curve, pixel, fit.values, fit.errors)
        lever = np.einsum("ni,ij,nj->n", slopes, np.linalg.pinv(slopes.T @ slopes), slopes)
        left_out = fit.residuals / np.maximum(1.0 - lever, 1e-9)
        worst = _outlier(fit.residuals, left_out, fit.dof)
        if worst is None:
            break
        excluded.append((float(pixel[worst]), f"{1e3 * left_out[worst]:.0f} pm off the others"))
        kept = np.delete(kept, worst)
    return LampCalibration(
        names=names,
        values=fit.values,
        covariance=fit.covariance,
        medium=lines.medium,
        pixel=pixel,
        residuals_nm=fit.residuals,
        left_out_nm=left_out,
        excluded=tuple(sorted(excluded)),
        verdict=fit.verdict,
        reason=f"{pixel.size} lines in {lines.medium}, {len(excluded)} left out; {fit.reason}",
        curve=curve,
    )


def _outlier(residuals: Array, left_out: Array, dof: int) -> int | None:
    """Return the line that is less than 1 % likely to belong to the others, if there is one.

    By the residual over the scatter of the others. Source: R. D. Cook and S. Weisberg, Residuals
    and Influence in Regression (1982), section 2.2.
    """
    if dof < 2:
        return None
    without = np.maximum((residuals @ residuals - residuals * left_out) / (dof - 1), 1e-30)
    studentised = np.sqrt(np.abs(residuals * left_out) / without)
    worst = int(np.argmax(studentised))
    chance = 2.0 * residuals.size * float(student.sf(studentised[worst], dof - 1))
    return worst if chance < _LEAST_CHANCE else None


def _slopes(curve: Curve, pixel: Array, at: Array, errors: Array) -> Array:
    columns = []
    for k, error in enumerate(errors):
        step = np.zeros_like(at)
        step[k] = max(0.1 * float(error), 1e-7 * max(1.0, abs(float(at[k]))))
        columns.append((curve(pixel, at + step) - curve(pixel, at - step)) / (2.0 * step[k]))
    return np.column_stack(columns)
