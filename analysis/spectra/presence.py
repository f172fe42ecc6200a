"""Whether a trion or a biexciton is there: matched filters on what a fit without it leaves.

Deciding from the raw spectrum fails where light is plenty, since the flanks of replicas reach into
the windows; and a component that is absent must not stay in the model, where its place and width
would be free to wander.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from analysis.spectra.matched_filter import kernel, smoothed

__all__ = ["LEAST_Z", "Residual", "Sighting", "sight_mirrored", "sight_single"]

Array = NDArray[np.float64]

LEAST_Z = 4.5
_SIGMAS_PER_FWHM = float(np.sqrt(8.0 * np.log(2.0)))
_WIDTHS = (1.0, 1.4, 2.0)  # of the exciton's: a trion has no reason to be narrower
_LEAST_VARIANCE = 1e-12


@dataclass(frozen=True, slots=True)
class Residual:
    """What a fit leaves: counts minus expectation in electrons, and the inverse variance of the
    model, 0 where a pixel is not to be used; middle_eV rising."""

    middle_eV: Array
    electrons: Array
    weight: Array

    def filtered(self, fwhm_px: float) -> tuple[Array, Array]:
        """Return height of the best line at each pixel, times its norm, and its weight."""
        shape = kernel(fwhm_px / _SIGMAS_PER_FWHM)
        projection = smoothed(self.weight * self.electrons, shape)
        return projection, np.maximum(smoothed(self.weight, shape**2), _LEAST_VARIANCE)


@dataclass(frozen=True, slots=True)
class Sighting:
    """The likeliest place of a component: binding_eV below the exciton's centre, centre_eV.

    z: significance, as of one line, whatever the number of lines.
    """

    centre_eV: float
    binding_eV: float
    area_e: Array
    fwhm_eV: float
    z: float


def sight_single(
    residual: Residual, centre_eV: float, window_eV: tuple[float, float], fwhm_eV: float
) -> Sighting | None:
    """Return where a single line fits best, or None where the window is off the axis."""
    middle = residual.middle_eV
    first, last = np.searchsorted(middle, (centre_eV - window_eV[1], centre_eV - window_eV[0]))
    if last - first < 3:
        return None
    pixel_eV = float(middle[-1] - middle[0]) / (middle.size - 1)
    best: Sighting | None = None
    for factor in _WIDTHS:
        fwhm_px = max(factor * fwhm_eV / pixel_eV, 1.5)
        projection, weight = residual.filtered(fwhm_px)
        z = (projection / np.sqrt(weight))[first:last]
        peak = int(np.argmax(z))
        if best is None or z[peak] > best.z:
            place = first + peak
            area = projection[place] / weight[place] * kernel(fwhm_px / _SIGMAS_PER_FWHM).sum()
            best = Sighting(
                centre_eV,
                float(centre_eV - middle[place]),
                np.array([area]),
                fwhm_px * pixel_eV,
                float(z[peak]),
            )
    return best


def sight_mirrored(
    residual: Residual, energy_eV: Array, window_eV: tuple[float, float], fwhm_eV: float
) -> Sighting | None:
    """Return where the exciton's lines mirrored at their centre fit best, areas free."""
    middle, centre = residual.middle_eV, float(energy_eV.mean())
    pixel_eV = float(middle[-1] - middle[0]) / (middle.size - 1)
    binding = np.arange(window_eV[0], window_eV[1], 0.5 * pixel_eV)
    places = 2.0 * centre - energy_eV[:, None] - binding
    inside = (places > middle[0]).all(axis=0) & (places < middle[-1]).all(axis=0)
    if not inside.any():
        return None
    places, binding = places[:, inside], binding[inside]
    fwhm_px = max(fwhm_eV / pixel_eV, 1.5)
    projection, weight = residual.filtered(fwhm_px)
    z = np.interp(places, middle, projection / np.sqrt(weight))
    height = np.interp(places, middle, projection / weight)
    power = (np.maximum(z, 0.0) ** 2).sum(axis=0)
    best = int(np.argmax(power))
    return Sighting(
        centre,
        float(binding[best]),
        height[:, best] * kernel(fwhm_px / _SIGMAS_PER_FWHM).sum(),
        fwhm_eV,
        _as_of_one(float(power[best]), energy_eV.size),
    )


def _as_of_one(power: float, lines: int) -> float:
    """Return the z of one line that is as unlikely by chance."""
    if lines == 1 or power > 1e3:
        return float(np.sqrt(power))
    return float(norm.isf(0.5 * chi2.sf(power, lines)))
