"""The wavelength axis of a detector: from the grating, and its pixel edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.wavelength.units import energy_from_wavelength_eV

__all__ = [
    "check_wavelength_axis",
    "energy_edges_eV",
    "grating_wavelength_nm",
    "pixel_edges_nm",
]


def grating_wavelength_nm(
    pixel: ArrayLike,
    *,
    centre_nm: float,
    grooves_per_mm: float,
    focal_length_mm: float,
    pixel_um: float,
    centre_pixel: float,
    half_included_angle_deg: float,
    order: int = 1,
    detector_tilt_deg: float = 0.0,
) -> NDArray[np.float64]:
    """Return the wavelength in nm at each (fractional) pixel of a grating spectrograph.

    Constant-deviation (Czerny-Turner) geometry: sin a + sin b = m G lambda, with b - a = 2 *
    half_included_angle_deg at centre_pixel, where the wavelength is centre_nm; negative where the
    diffracted beam leaves nearer to the normal than the light comes in, which disperses more.
    Raises ValueError where the grating cannot diffract centre_nm at this angle.
    Source: J. M. Lerner and A. Thevenon, The Optics of Spectroscopy (Jobin Yvon), section 2.
    """
    m_g_per_nm = order * grooves_per_mm * 1e-6
    half = np.deg2rad(half_included_angle_deg)
    sine = m_g_per_nm * centre_nm / (2.0 * np.cos(half))
    if not 0.0 < sine < 1.0:
        raise ValueError(
            f"grating of {grooves_per_mm} lines/mm in order {order} cannot reach {centre_nm} nm: "
            f"the sine of its angle would be {sine:.3f}, allowed is 0 to 1"
        )
    incidence, diffraction = np.arcsin(sine) - half, np.arcsin(sine) + half
    tilt = np.deg2rad(detector_tilt_deg)
    offset_mm = (np.asarray(pixel, dtype=np.float64) - centre_pixel) * pixel_um * 1e-3
    angle = np.arctan2(offset_mm * np.cos(tilt), focal_length_mm + offset_mm * np.sin(tilt))
    wavelength: NDArray[np.float64] = (np.sin(incidence) + np.sin(diffraction + angle)) / m_g_per_nm
    return wavelength


def check_wavelength_axis(wavelength_nm: ArrayLike) -> NDArray[np.float64]:
    """Return the axis as float64 if it can be one, shape (n,), n >= 2, rising or falling.

    Raises ValueError naming the first pixel that is not finite, not positive or not in order.
    """
    axis = np.asarray(wavelength_nm, dtype=np.float64)
    if axis.ndim != 1 or axis.size < 2:
        raise ValueError(
            f"wavelength axis of shape {axis.shape}: needs one row of 2 or more pixels"
        )
    wrong = np.flatnonzero(~(np.isfinite(axis) & (axis > 0)))
    if wrong.size:
        raise ValueError(
            f"wavelength axis: pixel {wrong[0]} is {axis[wrong[0]]} nm, must be finite and positive"
        )
    steps = np.diff(axis) * np.sign(axis[-1] - axis[0])
    wrong = np.flatnonzero(steps <= 0)
    if wrong.size:
        i = int(wrong[0])
        raise ValueError(
            f"wavelength axis: pixels {i} and {i + 1} are at {axis[i]} and {axis[i + 1]} nm, "
            "the axis must rise or fall throughout"
        )
    return axis


def pixel_edges_nm(wavelength_nm: ArrayLike) -> NDArray[np.float64]:
    """Return the n + 1 pixel edges of n pixel centres: midpoints, and half a pixel at the ends."""
    axis = check_wavelength_axis(wavelength_nm)
    middle = 0.5 * (axis[1:] + axis[:-1])
    first, last = 2.0 * axis[0] - middle[0], 2.0 * axis[-1] - middle[-1]
    return np.concatenate(([first], middle, [last]))


def energy_edges_eV(wavelength_nm: ArrayLike) -> NDArray[np.float64]:
    """Return the n + 1 pixel edges in eV, in the order of the pixels."""
    return energy_from_wavelength_eV(pixel_edges_nm(wavelength_nm))
