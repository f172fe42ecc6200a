"""How much light of a dipole passes objective and analyser.

High aperture: J. T. Fourkas, Opt. Lett. 26, 211 (2001), in vacuum.
"""

from math import cos, radians, sin, sqrt

import numpy as np
from numpy.typing import NDArray

__all__ = ["axis_deg", "dipole_axes", "passed", "visibility"]

Axes = NDArray[np.float64]
LOW_APERTURE = 0.02  # below it the closed form cancels, and its limit is exact to 1e-4


def dipole_axes(alpha_deg: float, beta_deg: float, gamma_deg: float) -> Axes:
    """Return Rz(alpha) Ry(beta) Rz(gamma): its columns are the dipoles of the three lines."""
    first, second = _about_z(alpha_deg), _about_z(gamma_deg)
    b = radians(beta_deg)
    tilt = np.array([[cos(b), 0.0, sin(b)], [0.0, 1.0, 0.0], [-sin(b), 0.0, cos(b)]])
    return np.asarray(first @ tilt @ second)


def passed(axes: Axes, analyser_deg: float, numerical_aperture: float) -> NDArray[np.float64]:
    """Return the share of each line that passes, 1 for a dipole in plane along the analyser."""
    constant, tilted, turning = _weights(numerical_aperture)
    angle = 2.0 * radians(analyser_deg)
    x, y, _ = axes
    in_plane = x * x + y * y
    oriented = (x * x - y * y) * cos(angle) + 2.0 * x * y * sin(angle)
    return np.asarray(constant + tilted * in_plane + turning * oriented)


def visibility(axes: Axes, numerical_aperture: float) -> NDArray[np.float64]:
    """Return (max - min) / (max + min) of each line over the analyser angle."""
    constant, tilted, turning = _weights(numerical_aperture)
    in_plane = axes[0] ** 2 + axes[1] ** 2
    return np.asarray(turning * in_plane / np.maximum(constant + tilted * in_plane, 1e-300))


def axis_deg(axes: Axes) -> NDArray[np.float64]:
    """Return the analyser angle of most light of each line, within [0, 180)."""
    return np.asarray(np.degrees(np.arctan2(axes[1], axes[0])) % 180.0)


def _weights(numerical_aperture: float) -> tuple[float, float, float]:
    if numerical_aperture < LOW_APERTURE:
        return 0.0, 0.5, 0.5
    c = sqrt(1.0 - numerical_aperture**2)
    constant = 1.0 / 6.0 - c / 4.0 + c**3 / 12.0
    tilted = (c - c**3) / 8.0
    turning = 7.0 / 48.0 - c / 16.0 - c**2 / 16.0 - c**3 / 48.0
    total = constant + tilted + turning
    return constant / total, tilted / total, turning / total


def _about_z(angle_deg: float) -> Axes:
    a = radians(angle_deg)
    return np.array([[cos(a), -sin(a), 0.0], [sin(a), cos(a), 0.0], [0.0, 0.0, 1.0]])
